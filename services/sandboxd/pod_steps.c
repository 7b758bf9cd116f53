/* The order in which a pod is made. */
#include "services/sandboxd/pod_steps.h"

#include "common/failpoint.h"
#include "common/fd.h"
#include "services/sandboxd/directory.h"
#include "services/sandboxd/files/files.h"
#include "services/sandboxd/pod_network.h"
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/reconcile.h"

enum { RESOLV_CONF_MAX = 64 << 10 };

/* Has everybody gone who wanted the pod? */
static bool creation_is_over(void *argument)
{
    struct pod *pod = argument;

    pthread_mutex_lock(&pod->d->lock);
    bool is_over = pod->record->state != POD_CREATING || is_abandoned(pod->joiners, pod->alone_since_ns);
    pthread_mutex_unlock(&pod->d->lock);
    return is_over;
}

static struct error *step_namespaces(struct pod *pod, const struct shim_patience *patience)
{
    auto_pod_namespaces namespaces = {0};
    struct spec_user_map map;

    TRY(pod_setup(pod, shim_step_derive(pod->record->id, "setup", 0), NULL, patience, &namespaces));
    pthread_mutex_lock(&pod->d->lock);
    text_set(&pod->record->netns, namespaces.netns);
    text_set(&pod->record->shm, namespaces.shm);
    pthread_mutex_unlock(&pod->d->lock);
    if (pod_has_network(pod) && !namespaces.netns)
        return error_new(ERROR_INTERNAL, "the shim made no network namespace");
    if (spec_user_map(pod->config, &map) && namespaces.user_fd < 0)
        return error_new(ERROR_INTERNAL, "the shim made no user namespace");
    return pod_save(pod);
}

static struct error *file_write(struct pod *pod, const char *file, char *text)
{
    struct error *error = directory_write(pod->d->pods_fd, pod->record->id, file, text);

    free(text);
    return error;
}

static struct error *step_files(struct pod *pod)
{
    const Bulkhead__AttachmentRecord *attachment = pod->record->attachment; /* changed by this thread only */
    const char *hostname = *pod->config->hostname ? pod->config->hostname : pod->d->host.hostname;
    autofree char *host_text = NULL;
    size_t size = 0;

    error_free(file_read_all("/etc/resolv.conf", RESOLV_CONF_MAX, &host_text, &size)); /* a host may have none */
    TRY(file_write(pod, "resolv.conf", files_resolv_conf(pod->config->dns_config, host_text)));
    TRY(file_write(pod, "hosts", files_hosts(hostname, attachment ? (const char *const *)attachment->ips : NULL,
                                             attachment ? attachment->n_ips : 0)));
    return file_write(pod, "hostname", files_hostname(hostname));
}

struct error *pod_create_steps(struct pod *pod)
{
    struct shim_patience patience = {.is_over = creation_is_over, .argument = pod};

    FAILPOINT("sandboxd.pod_run.before_namespaces");
    TRY(step_namespaces(pod, &patience));
    FAILPOINT("sandboxd.pod_run.before_network");
    if (pod_has_network(pod)) {
        TRY(pod_claim_ports(pod, shim_step_derive(pod->record->id, "ports", 0), &patience));
        TRY_TO(pod_network_add(pod), "network");
        TRY(pod_set_sysctls(pod, shim_step_derive(pod->record->id, "sysctls", 0), &patience));
    }
    FAILPOINT("sandboxd.pod_run.before_files");
    TRY_TO(step_files(pod), "files of the pod");
    FAILPOINT("sandboxd.pod_run.before_ready");
    return NULL;
}
