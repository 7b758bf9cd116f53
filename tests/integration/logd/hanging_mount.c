/* As much of the FUSE protocol as it takes to hang a write(). */
#include "tests/integration/logd/hanging_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_NODE = 2, REQUEST_SIZE = 1 << 20 };

static void reply(int device, uint64_t unique, int error, const void *data, size_t size)
{
    struct {
        struct fuse_out_header header;
        char data[256];
    } out = {.header = {.unique = unique, .error = error, .len = (uint32_t)(sizeof(out.header) + size)}};

    memcpy(out.data, data, size);
    if (write(device, &out, out.header.len) < 0 && errno != ENOENT)
        perror("fuse");
}

static struct fuse_attr attributes(uint64_t node)
{
    return (struct fuse_attr){.ino = node,
                              .mode = node == FILE_NODE ? S_IFREG | 0666 : S_IFDIR | 0777,
                              .nlink = 1,
                              .blksize = 4096};
}

static void serve(struct hanging_mount *mount, const struct fuse_in_header *in)
{
    switch (in->opcode) {
    case FUSE_INIT: {
        struct fuse_init_out out = {.major = 7, .minor = 31, .max_write = 128 << 10, .max_background = 4};
        reply(mount->device, in->unique, 0, &out, sizeof(out));
        break;
    }
    case FUSE_LOOKUP: {
        struct fuse_entry_out out = {.nodeid = FILE_NODE, .attr = attributes(FILE_NODE), .attr_valid = 3600, .entry_valid = 3600};
        reply(mount->device, in->unique, 0, &out, sizeof(out));
        break;
    }
    case FUSE_GETATTR: {
        struct fuse_attr_out out = {.attr_valid = 3600, .attr = attributes(in->nodeid)};
        reply(mount->device, in->unique, 0, &out, sizeof(out));
        break;
    }
    case FUSE_OPEN: {
        struct fuse_open_out out = {.fh = 1};
        reply(mount->device, in->unique, 0, &out, sizeof(out));
        break;
    }
    case FUSE_WRITE:
        atomic_fetch_add(mount->writes, 1); /* and no answer */
        break;
    case FUSE_FLUSH: /* logd's close() hangs too; root's, in every exec of the test, does not */
        if (in->uid == 0)
            reply(mount->device, in->unique, 0, "", 0);
        break;
    case FUSE_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        reply(mount->device, in->unique, -ENOSYS, "", 0);
    }
}

static void serve_all(struct hanging_mount *mount)
{
    static char request[REQUEST_SIZE];

    for (;;) {
        ssize_t size = read(mount->device, request, sizeof(request));
        if (size < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
            continue;
        if (size <= 0)
            _exit(0);
        serve(mount, (const struct fuse_in_header *)request);
    }
}

static int mount_fuse(const char *directory, const char *options)
{
    return mount("bulkhead-test", directory, "fuse", MS_NOSUID | MS_NODEV, options);
}

_Bool hanging_mount_open(struct hanging_mount *mount, const char *directory)
{
    char options[128];

    snprintf(mount->path, sizeof(mount->path), "%s", directory);
    mount->writes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    mount->device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (mount->device < 0)
        return false;
    snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", mount->device);
    if (mkdir(directory, 0755) < 0 || mount_fuse(directory, options) < 0) {
        close(mount->device);
        return false;
    }
    mount->server = fork();
    if (mount->server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve_all(mount);
    }
    close(mount->device);
    return mount->server > 0;
}

void hanging_mount_close(struct hanging_mount *mount)
{
    kill(mount->server, SIGKILL); /* its /dev/fuse closes, which aborts all that waits for it */
    waitpid(mount->server, NULL, 0);
    umount2(mount->path, MNT_DETACH);
    munmap((void *)mount->writes, 4096);
}
