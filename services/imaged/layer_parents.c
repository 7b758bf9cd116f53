/* How unpack is told which directories to mend, and by which layers. */
#include "services/imaged/layer_parents.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "services/imaged/unpack/report.h"
#include "services/imaged/unpack_job.h"

struct error *layer_parents_open(int *ret_fd)
{
    autoclose int fd = memfd_create("parents", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, UNPACK_PARENTS_MAX) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0)
        return error_errno(errno, "make a file in memory");
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

/* The topmost first. */
static struct error *below_write(int fd, char *const *chains, size_t count)
{
    for (size_t i = count; i > 0; i--) {
        const char *name = digest_hex(chains[i - 1]);
        TRY(fd_write_all(fd, name, strlen(name) + 1));
    }
    return NULL;
}

struct error *layer_parents_mend(struct keeper_client *keeper, uint64_t generation, const char *making, int list,
                                 uint64_t size, char *const *chains, size_t count)
{
    autoclose int below = memfd_create("below", MFD_CLOEXEC);

    if (below < 0)
        return error_errno(errno, "make a file in memory");
    if (size > UNPACK_PARENTS_MAX || ftruncate(list, (off_t)size) < 0)
        return error_new(ERROR_INTERNAL, "unpack reports a list of %llu bytes", (unsigned long long)size);
    TRY(below_write(below, chains, count));
    const struct unpack_job job = {{"parents", "below"}, {list, below}, 2};
    return unpack_job_run(keeper, generation, making, &job);
}
