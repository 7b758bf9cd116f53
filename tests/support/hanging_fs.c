/* As much of the FUSE protocol as logs and volumes need, passed on to the backing directory. */
#include "tests/support/hanging_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/memory.h"

enum { REQUEST_SIZE = 1 << 20, NODES_MAX = 512, PATH_SIZE = 1024, LOOK_MS = 2, WAITING_MAX = 4096 };

struct hanging_state {
    atomic_bool hangs;
    atomic_uint waiting;
};

/* In the server. A node's id is its index and one; the first is the root. */
struct server {
    struct hanging_state *state;
    int device;
    size_t count;
    char *paths[NODES_MAX]; /* in the backing directory */
    void *waiting[WAITING_MAX];
    size_t waiting_count;
};

static void reply(struct server *server, uint64_t unique, int error, const void *data, size_t size)
{
    struct fuse_out_header header = {.unique = unique, .error = -error, .len = (uint32_t)(sizeof(header) + size)};
    autofree char *message = xmalloc(sizeof(header) + size);

    memcpy(message, &header, sizeof(header));
    if (size)
        memcpy(message + sizeof(header), data, size);
    if (write(server->device, message, header.len) < 0 && errno != ENOENT && errno != ENODEV)
        perror("hanging_fs");
}

/* --- nodes -------------------------------------------------------------------------------------------------------- */

static const char *path_of(const struct server *server, uint64_t node)
{
    return node >= 1 && node <= server->count ? server->paths[node - 1] : "";
}

static char *path_below(const struct server *server, uint64_t parent, const char *name)
{
    return xasprintf("%s/%s", path_of(server, parent), name);
}

static uint64_t node_of(struct server *server, const char *path)
{
    for (size_t i = 0; i < server->count; i++)
        if (!strcmp(server->paths[i], path))
            return i + 1;
    if (server->count == NODES_MAX)
        return 0;
    server->paths[server->count++] = xstrdup(path);
    return server->count;
}

static struct fuse_attr attributes(uint64_t node, const struct stat *info)
{
    return (struct fuse_attr){.ino = node,
                              .size = (uint64_t)info->st_size,
                              .blocks = (uint64_t)info->st_blocks,
                              .mtime = (uint64_t)info->st_mtime,
                              .mode = info->st_mode,
                              .nlink = (uint32_t)info->st_nlink,
                              .uid = info->st_uid,
                              .gid = info->st_gid,
                              .blksize = 4096};
}

/* Nothing is cached: everything is asked for each time. */
static int entry_make(struct server *server, const char *path, struct fuse_entry_out *ret)
{
    struct stat info;

    if (lstat(path, &info) < 0)
        return errno;
    *ret = (struct fuse_entry_out){.nodeid = node_of(server, path)};
    ret->attr = attributes(ret->nodeid, &info);
    return ret->nodeid ? 0 : ENFILE;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void serve_entry(struct server *server, const struct fuse_in_header *in, const char *path)
{
    struct fuse_entry_out out;
    int error = entry_make(server, path, &out);

    reply(server, in->unique, error, &out, error ? 0 : sizeof(out));
}

static void serve_attributes(struct server *server, const struct fuse_in_header *in)
{
    struct fuse_attr_out out = {0};
    struct stat info;

    if (lstat(path_of(server, in->nodeid), &info) < 0) {
        reply(server, in->unique, errno, NULL, 0);
        return;
    }
    out.attr = attributes(in->nodeid, &info);
    reply(server, in->unique, 0, &out, sizeof(out));
}

static void serve_setattr(struct server *server, const struct fuse_in_header *in, const struct fuse_setattr_in *wanted)
{
    if ((wanted->valid & FATTR_SIZE) && truncate(path_of(server, in->nodeid), (off_t)wanted->size) < 0)
        reply(server, in->unique, errno, NULL, 0);
    else
        serve_attributes(server, in);
}

static void serve_create(struct server *server, const struct fuse_in_header *in, const struct fuse_create_in *wanted)
{
    autofree char *path = path_below(server, in->nodeid, (const char *)(wanted + 1));
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = {0};
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, wanted->mode & 07777);
    int error = fd < 0 ? errno : entry_make(server, path, &out.entry);

    if (fd >= 0)
        close(fd);
    reply(server, in->unique, error, &out, error ? 0 : sizeof(out));
}

static void serve_read(struct server *server, const struct fuse_in_header *in, const struct fuse_read_in *wanted)
{
    autofree char *data = xmalloc(wanted->size + 1);
    int fd = open(path_of(server, in->nodeid), O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : pread(fd, data, wanted->size, (off_t)wanted->offset);
    int error = size < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    reply(server, in->unique, error, data, size > 0 ? (size_t)size : 0);
}

static void serve_write(struct server *server, const struct fuse_in_header *in, const struct fuse_write_in *wanted)
{
    int fd = open(path_of(server, in->nodeid), O_WRONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : pwrite(fd, wanted + 1, wanted->size, (off_t)wanted->offset);
    struct fuse_write_out out = {.size = (uint32_t)size};
    int error = size < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    reply(server, in->unique, error, &out, error ? 0 : sizeof(out));
}

static void serve_readdir(struct server *server, const struct fuse_in_header *in, const struct fuse_read_in *wanted)
{
    DIR *directory = opendir(path_of(server, in->nodeid));
    char data[4096];
    size_t used = 0;
    uint64_t number = 0;

    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        struct fuse_dirent out = {
            .ino = entry->d_ino, .off = ++number, .namelen = (uint32_t)strlen(entry->d_name), .type = entry->d_type};
        size_t size = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + out.namelen);
        if (number <= wanted->offset)
            continue;
        if (used + size > sizeof(data) || used + size > wanted->size)
            break;
        memset(data + used, 0, size);
        memcpy(data + used, &out, FUSE_NAME_OFFSET);
        memcpy(data + used + FUSE_NAME_OFFSET, entry->d_name, out.namelen);
        used += size;
    }
    if (directory)
        closedir(directory);
    reply(server, in->unique, 0, data, used);
}

static void serve_init(struct server *server, const struct fuse_in_header *in)
{
    struct fuse_init_out out = {.major = 7, .minor = 31, .max_write = 128 << 10, .max_background = 16};

    reply(server, in->unique, 0, &out, sizeof(out));
}

static void serve_named(struct server *server, const struct fuse_in_header *in, const char *name)
{
    autofree char *path = path_below(server, in->nodeid, name);
    int result = 0;

    if (in->opcode == FUSE_LOOKUP) {
        serve_entry(server, in, path);
        return;
    }
    result = in->opcode == FUSE_UNLINK ? unlink(path) : rmdir(path);
    reply(server, in->unique, result < 0 ? errno : 0, NULL, 0);
}

static void serve_mkdir(struct server *server, const struct fuse_in_header *in, const struct fuse_mkdir_in *wanted)
{
    autofree char *path = path_below(server, in->nodeid, (const char *)(wanted + 1));

    if (mkdir(path, wanted->mode & 07777) < 0)
        reply(server, in->unique, errno, NULL, 0);
    else
        serve_entry(server, in, path);
}

static void serve(struct server *server, const struct fuse_in_header *in)
{
    static const struct fuse_open_out opened;
    static const struct fuse_statfs_out statistics = {.st = {.bsize = 4096, .namelen = 255}};
    const void *body = in + 1;

    switch (in->opcode) {
    case FUSE_INIT:
        serve_init(server, in);
        return;
    case FUSE_LOOKUP:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
        serve_named(server, in, body);
        return;
    case FUSE_MKDIR:
        serve_mkdir(server, in, body);
        return;
    case FUSE_GETATTR:
        serve_attributes(server, in);
        return;
    case FUSE_SETATTR:
        serve_setattr(server, in, body);
        return;
    case FUSE_CREATE:
        serve_create(server, in, body);
        return;
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        reply(server, in->unique, 0, &opened, sizeof(opened));
        return;
    case FUSE_READ:
        serve_read(server, in, body);
        return;
    case FUSE_WRITE:
        serve_write(server, in, body);
        return;
    case FUSE_READDIR:
        serve_readdir(server, in, body);
        return;
    case FUSE_STATFS:
        reply(server, in->unique, 0, &statistics, sizeof(statistics));
        return;
    case FUSE_FLUSH:
    case FUSE_FSYNC:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
        reply(server, in->unique, 0, NULL, 0);
        return;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: /* these have no answer */
        return;
    default:
        reply(server, in->unique, ENOSYS, NULL, 0);
    }
}

/* --- the server --------------------------------------------------------------------------------------------------- */

/* A request that the server has taken can't be killed any more; one that waits in the kernel could. */
static void hold(struct server *server, const void *request, size_t size)
{
    const struct fuse_in_header *in = request;

    if (in->opcode == FUSE_INTERRUPT || in->opcode == FUSE_FORGET || in->opcode == FUSE_BATCH_FORGET)
        return;
    if (server->waiting_count == WAITING_MAX)
        _exit(1);
    server->waiting[server->waiting_count++] = xmemdup(request, size);
    atomic_store(&server->state->waiting, (unsigned)server->waiting_count);
}

static void serve_waiting(struct server *server)
{
    for (size_t i = 0; i < server->waiting_count; i++) {
        serve(server, server->waiting[i]);
        free(server->waiting[i]);
    }
    server->waiting_count = 0;
    atomic_store(&server->state->waiting, 0);
}

static void serve_all(struct server *server)
{
    static char request[REQUEST_SIZE];

    for (;;) {
        struct pollfd poll_fd = {.fd = server->device, .events = POLLIN};
        poll(&poll_fd, 1, LOOK_MS);
        if (!atomic_load(&server->state->hangs))
            serve_waiting(server);
        ssize_t size = read(server->device, request, sizeof(request));
        if (size < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
            continue;
        if (size <= 0)
            _exit(0);
        if (atomic_load(&server->state->hangs))
            hold(server, request, (size_t)size);
        else
            serve(server, (const struct fuse_in_header *)request);
    }
}

static void server_main(struct hanging_state *state, int device, const char *backing)
{
    struct server server = {.state = state, .device = device, .count = 1, .paths = {xstrdup(backing)}};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    umask(0);
    serve_all(&server);
}

/* --- the test's end ----------------------------------------------------------------------------------------------- */

static struct error *directory_make(const char *path)
{
    return mkdir(path, 0777) < 0 && errno != EEXIST ? error_errno(errno, "make %s", path) : NULL;
}

struct error *hanging_fs_open(struct hanging_fs *fs, const char *path, const char *backing)
{
    char options[128];

    *fs = (struct hanging_fs){.path = xstrdup(path), .backing = xstrdup(backing)};
    TRY(directory_make(path));
    TRY(directory_make(backing));
    fs->state = mmap(NULL, sizeof(*fs->state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int device = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fs->state == MAP_FAILED || device < 0)
        return error_errno(errno, "open /dev/fuse");
    snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", device);
    if (mount("bulkhead-test", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
        close(device);
        return error_errno(errno, "mount %s", path);
    }
    fs->server = fork();
    if (fs->server == 0)
        server_main(fs->state, device, backing);
    close(device);
    return fs->server < 0 ? error_errno(errno, "fork") : NULL;
}

void hanging_fs_hang(struct hanging_fs *fs)
{
    atomic_store(&fs->state->hangs, true);
}

unsigned hanging_fs_waiting(const struct hanging_fs *fs)
{
    return atomic_load(&fs->state->waiting);
}

void hanging_fs_heal(struct hanging_fs *fs)
{
    atomic_store(&fs->state->hangs, false);
}

void hanging_fs_abort(struct hanging_fs *fs)
{
    if (fs->server > 0) {
        kill(fs->server, SIGKILL); /* its /dev/fuse closes, which aborts all that waits for it */
        waitpid(fs->server, NULL, 0);
    }
    fs->server = 0;
}

void hanging_fs_close(struct hanging_fs *fs)
{
    hanging_fs_abort(fs);
    if (fs->path)
        umount2(fs->path, MNT_DETACH);
    if (fs->state && fs->state != MAP_FAILED)
        munmap(fs->state, sizeof(*fs->state));
    free(fs->path);
    free(fs->backing);
    *fs = (struct hanging_fs){0};
}
