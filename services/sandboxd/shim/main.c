/* bulkhead-shim: the parent of one pod's processes, and all that root does for that pod. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/adopt.h"
#include "services/sandboxd/shim/children.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/first_process.h"
#include "services/sandboxd/shim/job.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/null_device.h"
#include "services/sandboxd/shim/options.h"
#include "services/sandboxd/shim/server.h"
#include "services/sandboxd/shim/shim.h"

enum { EXIT_LOCKED = 3, FLUSH_TRIES = 200 };

/* --- start -------------------------------------------------------------------------------------------------------- */

static struct error *directory_open(struct shim *shim, const char *name, mode_t mode, int *ret_fd)
{
    autofree char *path = *name ? shim_path(shim, "%s", name) : xstrdup(shim->directory);

    TRY(directories_make(path, 0755));
    *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_fd < 0 || fchmod(*ret_fd, mode) < 0)
        return error_errno(errno, "open %s", path);
    return NULL;
}

/* fcntl's lock: no child inherits it. Held: another shim of this pod runs. */
static struct error *lock_take(struct shim *shim)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    shim->lock_fd = openat(shim->directory_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (shim->lock_fd < 0)
        return error_errno(errno, "open the pod's lock");
    if (fcntl(shim->lock_fd, F_SETLK, &lock) < 0)
        return error_new(ERROR_ALREADY_EXISTS, "another shim of pod %s runs", shim->pod_id);
    return NULL;
}

/* A shim that ended here would be started again and again: a pod that is not set up yet is told why it will not be. */
static struct error *cgroups_open(struct shim *shim)
{
    struct error *failure = cgroups_init(&shim->cgroups, "/sys/fs/cgroup");

    if (!failure || shim->pod.record.state & SHIM_POD_IS_SET_UP)
        return failure;
    log_error("this host's cgroups cannot be used", "error=%s", log_quote(failure->text));
    shim->unfit = xstrdup(failure->text);
    error_free(failure);
    return NULL;
}

static struct error *shim_open(struct shim *shim, const struct options *options)
{
    shim->directory = xasprintf("%s/shim/%s", shim->state, shim->pod_id);
    shim->storage = xasprintf("%s/shim/%s", shim->root, shim->pod_id);
    TRY(directory_open(shim, "", 0755, &shim->directory_fd));
    TRY(lock_take(shim));
    TRY(directory_open(shim, "ctr", 0755, &shim->containers_fd));
    TRY(directory_open(shim, "exec", 0700, &shim->execs_fd));
    TRY(directory_open(shim, "tmp", 0700, &shim->work_fd));
    TRY(directory_open(shim, "streams", 0700, &shim->streams.tokens_fd));
    TRY(loop_init(&shim->loop));
    TRY(null_device_open(&shim->null_fd));
    TRY(pod_load(shim));
    TRY(cgroups_open(shim));
    TRY(children_open(shim));
    FAILPOINT("shim.open.before_socket");
    TRY(server_open(shim)); /* callers wait in it while the rest goes on */
    TRY(adopt_load(shim, options->adopt));
    TRY(sessions_open(shim));
    store_open(shim);
    logd_link_open(shim);
    adopt_begin(shim);
    log_info("shim is up", "pod=%s pid=%d adopt=%d", shim->pod_id, getpid(), options->adopt);
    return NULL;
}

static struct error *shim_run(struct shim *shim)
{
    while (!shim->is_quitting)
        TRY(loop_once(&shim->loop, shim));
    for (int i = 0; i < FLUSH_TRIES && !(server_is_flushed(shim) && store_is_flushed(shim)); i++)
        TRY(loop_once(&shim->loop, shim));
    return NULL;
}

static void nofile_raise(struct shim *shim)
{
    getrlimit(RLIMIT_NOFILE, &shim->nofile);
    struct rlimit raised = {.rlim_cur = shim->nofile.rlim_max, .rlim_max = shim->nofile.rlim_max};
    setrlimit(RLIMIT_NOFILE, &raised);
}

int main(int argc, char **argv)
{
    struct shim shim = {.directory_fd = -1};
    struct options options;

    if (argc == 2 && (strcmp(argv[1], "--first-process") == 0 || strcmp(argv[1], "--hold-scope") == 0))
        return first_process_main();
    struct error *failure = options_parse(argc, argv, &options);
    log_open("shim", failure ? LOG_LEVEL_INFO : options.level);
    if (!failure) {
        shim.state = options.state;
        shim.root = options.root;
        shim.pod_id = options.pod;
        shim.sandboxd_uid = options.sandboxd_uid;
        shim.streams.uid = options.stream_uid;
        setsid(); /* no terminal's signals; fails where it leads a group already */
        umask(022);
        nofile_raise(&shim);
        failure = shim_open(&shim, &options);
    }
    if (!failure)
        failure = shim_run(&shim);
    if (!failure)
        return EXIT_SUCCESS;
    int status = failure->code == ERROR_ALREADY_EXISTS ? EXIT_LOCKED : EXIT_FAILURE;
    log_error("shim ends", "error=%s", log_quote(failure->text));
    error_free(failure);
    return status;
}
