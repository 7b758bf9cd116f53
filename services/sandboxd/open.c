/* How sandboxd starts: what it opens as root, what it connects to afterwards, and how it answers its own heartbeat. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/process_id.h"
#include "services/sandboxd/cgroup_driver.h"
#include "services/sandboxd/directory.h"
#include "services/sandboxd/events.h"
#include "services/sandboxd/host.h"
#include "services/sandboxd/image_client.h"
#include "services/sandboxd/recover.h"
#include "services/sandboxd/runtime.h"
#include "services/sandboxd/sampler.h"
#include "services/sandboxd/table.h"
#include "services/sandboxd/user_namespaces.h"

struct error *sandboxd_open(void *state, const struct service_context *context)
{
    struct sandboxd *d = state;
    autofree char *directory = config_root_path(context->config, "sandboxd");

    TRY(host_read(&d->host));
    d->host.user_namespaces_refusal = user_namespaces_probe(context->config->root, directory);
    if (d->host.user_namespaces_refusal)
        log_warn("pods can't have user namespaces", "reason=%s", log_quote(d->host.user_namespaces_refusal));
    return NULL;
}

static struct error *own_directory_open(int root_fd, const char *name, int *ret_fd)
{
    TRY(directory_make(root_fd, name));
    return directory_open(root_fd, name, ret_fd);
}

/* One dead shim, whose exit record has served: its successor, if the pod needs one, is started by the pod's own client. */
struct shim_exit {
    struct sandboxd *d;
    struct process_id process;
};

static void *shim_exit_run(void *argument)
{
    struct shim_exit *exit = argument;
    struct keeper_message reply, request = {.type = KEEPER_DROP_EXIT, .process = exit->process};
    int fds[FD_PASS_MAX];
    size_t fd_count = 0;
    struct error *error = keeper_client_call(exit->d->keeper, &request, NULL, 0, 0, &reply, fds, &fd_count);

    if (!error)
        fds_close(fds, fd_count);
    error_free(error); /* else the keeper drops it in a minute */
    free(exit);
    return NULL;
}

/* On the keeper client's thread, which must not wait. */
static void shim_exited(void *argument, const struct keeper_message *message)
{
    struct shim_exit *exit = xmalloc(sizeof(*exit));

    *exit = (struct shim_exit){.d = argument, .process = message->process};
    sandboxd_thread(shim_exit_run, exit);
}

static struct error *peers_open(struct sandboxd *d)
{
    autofree char *imaged = config_state_path(d->config, "imaged");
    struct keeper_client_options keeper = {.state_directory = d->config->state, 
                                           .subscribe = KEEPER_SHIM,
                                           .on_exit = shim_exited,
                                           .argument = d};

    TRY(keeper_client_open(&keeper, &d->keeper));
    return ipc_client_open(imaged, &d->imaged);
}

/* After READY in effect: it waits for nobody, as each object goes on by itself. */
static void *resume_run(void *state)
{
    struct sandboxd *d = state;

    recover_resume(d);
    sampler_start(d);
    image_keep_leases(d);
    return NULL;
}

struct error *sandboxd_recover(void *state, const struct service_context *context)
{
    struct sandboxd *d = state;

    d->config = context->config;
    d->generation = context->generation;
    d->page = context->page;
    d->root = config_root_path(context->config, "sandboxd");
    d->layers = config_root_path(context->config, "shim");
    d->host.has_systemd_driver = cgroup_driver_is_systemd(context->config);
    d->default_runtime = runtime_default(context->config);
    pthread_mutex_init(&d->lock, NULL);
    condition_init(&d->leases_changed);
    condition_init(&d->samples_changed);
    TRY(own_directory_open(context->root_fd, "pods", &d->pods_fd));
    TRY(own_directory_open(context->root_fd, "containers", &d->containers_fd));
    TRY(recover_records(d));
    TRY(events_open(d));
    TRY(peers_open(d));
    sandboxd_thread(resume_run, d);
    return NULL;
}

struct error *sandboxd_ping(void *state)
{
    struct sandboxd *d = state;
    unsigned count = 0;

    pthread_mutex_lock(&d->lock);
    for (const struct pod *pod = d->pods; pod; pod = pod->next)
        count += pod_state_is_listed(pod->record->state);
    pthread_mutex_unlock(&d->lock);
    log_debug("heartbeat", "pods=%u", count);
    return NULL;
}
