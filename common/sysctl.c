/* How the name of a kernel parameter is written, with dots or with slashes, and which of them belong to a namespace. */
#include "common/sysctl.h"

#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/memory.h"

static const char top[] = "/proc/sys/";

/* No empty part, none that is "." or "..". */
static bool parts_are_names(const char *path)
{
    for (const char *at = path;; at++) {
        size_t length = strcspn(at, "/");
        if (length == 0 || (length == 1 && at[0] == '.') || (length == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += length;
        if (!*at)
            return true;
    }
}

char *sysctl_path(const char *name)
{
    autofree char *path = xasprintf("%s%s", top, name);
    char *tail = path + strlen(top);
    bool has_dots = tail[strcspn(tail, "./")] == '.';

    for (char *at = tail; has_dots && *at; at++)
        *at = *at == '.' ? '/' : *at == '/' ? '.' : *at;
    return parts_are_names(tail) ? TAKE(path) : NULL;
}

enum sysctl_namespace sysctl_namespace_of(const char *name)
{
    static const struct {
        const char *start;
        enum sysctl_namespace namespace;
    } known[] = {
        {"net/", SYSCTL_OF_NET},       {"kernel/shm", SYSCTL_OF_IPC}, {"kernel/msg", SYSCTL_OF_IPC},
        {"kernel/sem", SYSCTL_OF_IPC}, {"fs/mqueue/", SYSCTL_OF_IPC}, {"kernel/domainname", SYSCTL_OF_UTS},
    };
    autofree char *path = sysctl_path(name);

    for (size_t i = 0; path && i < sizeof(known) / sizeof(known[0]); i++)
        if (strncmp(path + strlen(top), known[i].start, strlen(known[i].start)) == 0)
            return known[i].namespace;
    return SYSCTL_OF_NONE;
}
