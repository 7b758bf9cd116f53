/* The order in which every daemon comes up. */
#include "common/service.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/service_environment.h"
#include "common/service_heartbeat.h"
#include "common/service_lock.h"

/* One daemon as it runs; it lives as long as the process. */
struct running {
    const struct service *service;
    struct config *config;
    struct service_environment environment;
    struct service_context context;
    char *directory; /* STATE/NAME */
    int lock_fd;     /* this generation's, never closed */
    uint32_t callers[16];
    struct ipc_server *server;
    sigset_t ending;
};

static enum log_level log_level_of(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0)
            return (enum log_level)i;
    }
    return LOG_LEVEL_INFO;
}

/* Before there are threads: they inherit the mask. */
static void signals_prepare(struct running *running)
{
    sigemptyset(&running->ending);
    sigaddset(&running->ending, SIGTERM);
    sigaddset(&running->ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &running->ending, NULL);
    signal(SIGPIPE, SIG_IGN);
    umask(022);
}

int service_fd(const struct service_context *context, const char *name)
{
    const struct running *running =
        (const struct running *)((const char *)context - offsetof(struct running, context));

    return service_environment_fd(&running->environment, name);
}

/* The keeper has made these; alone, a daemon makes them itself. */
static struct error *directory_open(const char *base, const char *path, uid_t owner, int *ret_fd)
{
    struct stat status;

    if (mkdir(base, 0711) < 0 && errno != EEXIST)
        return error_errno(errno, "make %s", base);
    if (mkdir(path, 0711) < 0 && errno != EEXIST)
        return error_errno(errno, "make %s", path);
    autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_errno(errno, "open %s", path);
    if (status.st_uid != owner && fchown(fd, owner, owner) < 0)
        return error_errno(errno, "give %s to user %u", path, owner);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

static struct error *directories_open(struct running *running)
{
    const struct service *service = running->service;
    uid_t owner = config_uid(running->config, service->privileges->user);
    autofree char *root = config_root_path(running->config, service->name);

    running->directory = config_state_path(running->config, service->name);
    TRY(directory_open(running->config->root, root, owner, &running->context.root_fd));
    return directory_open(running->config->state, running->directory, owner, &running->context.state_fd);
}

static struct error *page_open(struct running *running)
{
    int fd = service_environment_fd(&running->environment, "page");

    if (fd < 0) /* nobody keeps it for the next generation */
        TRY(request_page_create(&fd));
    struct error *failure = request_page_open(fd, running->environment.last_death, &running->context.page);
    close(fd);
    return failure;
}

static void callers_fill(struct running *running)
{
    size_t count = 0, room = sizeof(running->callers) / sizeof(running->callers[0]);
    const enum config_user *caller = running->service->callers;

    for (; caller && *caller != CONFIG_USER_ROOT && count + 1 < room; caller++)
        running->callers[count++] = config_uid(running->config, *caller);
    running->callers[count] = 0;
}

static struct error *prepare(struct running *running)
{
    struct service_context *context = &running->context;

    service_environment_init(&running->environment);
    context->config = running->config;
    context->generation = running->environment.generation;
    context->last_death = running->environment.last_death;
    context->fds = running->environment.fds;
    context->fd_count = running->environment.count;
    callers_fill(running);
    TRY(directories_open(running));
    TRY(service_lock(running->config->state, running->service->name, context->generation, &running->lock_fd));
    TRY(page_open(running)); /* counts strikes: once a generation */
    if (running->service->open)
        TRY(running->service->open(running->service->state, context));
    TRY_TO(service_confine(running->config, running->service->privileges), "drop rights");
    return NULL;
}

static struct error *serve(struct running *running)
{
    const struct service *service = running->service;
    struct ipc_server_options options = {
        .directory = running->directory,
        .service = service->name,
        .generation = running->context.generation,
        .methods = service->methods,
        .state = service->state,
        .ping = service->ping,
        .allowed_uids = running->callers,
        .page = running->context.page,
    };

    if (service->recover)
        TRY_TO(service->recover(service->state, &running->context), "recover");
    if (service->methods)
        TRY(ipc_server_open(&options, &running->server));
    service_notify("READY=1");
    log_info("ready", "generation=%ju last_death=%s pid=%d uid=%u", (uintmax_t)running->context.generation,
             death_reason_name(running->context.last_death), (int)getpid(), (unsigned)getuid());
    if (service->methods || service->ping)
        return service_heartbeat_start(service->methods ? running->directory : NULL, running->context.generation,
                                       service->ping, service->state);
    return NULL;
}

/* Handlers may be in the middle of work: a daemon ends as it would by a kill, only that it may tidy up first. */
static void end(struct running *running)
{
    service_notify("STOPPING=1");
    if (running->service->close)
        running->service->close(running->service->state);
    log_info("ended", "generation=%ju", (uintmax_t)running->context.generation);
}

static void *ending_main(void *argument)
{
    struct running *running = argument;
    int number;

    sigwait(&running->ending, &number);
    end(running);
    _exit(0);
}

static struct error *run(struct running *running)
{
    pthread_t thread;

    if (!running->service->run)
        ending_main(running);
    int failure = pthread_create(&thread, NULL, ending_main, running);
    if (failure)
        return error_errno(failure, "start a thread for signals");
    return running->service->run(running->service->state);
}

static int fail(struct error *error)
{
    log_error("daemon ends", "code=%s error=%s", error_code_name(error->code), log_quote(error->text));
    error_free(error);
    return 1;
}

int service_main(int argc, char **argv, const struct service *service)
{
    struct running running = {.service = service};

    log_open(service->name, LOG_LEVEL_INFO);
    signals_prepare(&running);
    struct error *failure = config_from_arguments(&argc, argv, &running.config);
    if (!failure && argc > 1)
        failure = error_new(ERROR_INVALID_ARGUMENT, "unknown argument '%.200s'", argv[1]);
    if (failure) {
        config_free(running.config);
        return fail(failure);
    }
    log_open(service->name, log_level_of(running.config->log_level));
    failure = prepare(&running);
    if (!failure)
        failure = serve(&running);
    if (!failure)
        failure = run(&running);
    int status = failure ? fail(failure) : 0;
    _exit(status); /* other threads may still use what lies on this stack */
}
