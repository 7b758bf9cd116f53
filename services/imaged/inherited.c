/* How a child of imaged finds its descriptors: systemd's LISTEN_FDS and LISTEN_FDNAMES. */
#include "services/imaged/inherited.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_FD = 3 };

int inherited_fd(const char *name)
{
    const char *names = getenv("LISTEN_FDNAMES");
    size_t length = strlen(name);

    for (int fd = FIRST_FD; names; fd++) {
        size_t part = strcspn(names, ":");
        if (part == length && memcmp(names, name, length) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
            return fd;
        names = names[part] ? names + part + 1 : NULL;
    }
    return -1;
}
