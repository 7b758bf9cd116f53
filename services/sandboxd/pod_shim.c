/* What sandboxd asks of the keeper and the shim for one pod. */
#include "services/sandboxd/pod_shim.h"

#include <signal.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/cni/cni.h"
#include "services/sandboxd/container_exit.h"
#include "services/sandboxd/spec/spec.h"

/* Saves that a shim may exist, before it may; says whether one did before. */
static struct error *shim_note_spawn(struct pod *pod, bool *ret_existed)
{
    pthread_mutex_lock(&pod->d->lock);
    *ret_existed = pod->record->shim_spawned;
    pod->record->shim_spawned = true;
    bool is_winding_up = pod->record->state != POD_CREATING;
    pthread_mutex_unlock(&pod->d->lock);
    struct error *error = *ret_existed ? NULL : pod_save(pod);
    if (error && is_winding_up) { /* without space, too, things are given back */
        error_free(error);
        return NULL;
    }
    return error;
}

static struct error *shim_spawn(void *argument)
{
    struct pod *pod = argument;
    struct keeper_message request = {.type = KEEPER_SPAWN, .program = KEEPER_SHIM};
    struct keeper_message reply;
    int fds[FD_PASS_MAX];
    size_t fd_count = 0;
    bool existed = false;

    TRY(shim_note_spawn(pod, &existed));
    request.flags = existed && !pod->is_new_boot ? KEEPER_ADOPT : 0;
    memcpy(request.name, pod->record->id, strlen(pod->record->id));
    struct error *error = keeper_client_call(pod->d->keeper, &request, NULL, 0, 0, &reply, fds, &fd_count);
    pthread_mutex_lock(&pod->d->lock);
    pod->shims++;
    pthread_mutex_unlock(&pod->d->lock);
    if (error && error->code == ERROR_ALREADY_EXISTS) { /* it lives, and will listen soon */
        error_free(error);
        return NULL;
    }
    TRY_TO(error, "ask the keeper for a shim");
    fds_close(fds, fd_count);
    log_info("shim started", "pod=%s pid=%d adopts=%d", pod->record->id, reply.process.pid, existed);
    return NULL;
}

struct shim_search {
    const char *name;
    bool is_found;
    struct process_id process;
};

static void shim_search_each(void *argument, const struct keeper_message *reply, const int *fds, size_t fd_count)
{
    struct shim_search *search = argument;

    fds_close(fds, fd_count);
    if (!reply->found || strncmp(reply->name, search->name, KEEPER_NAME_SIZE))
        return;
    search->is_found = true;
    search->process = reply->process;
}

static struct error *shim_replace(void *argument)
{
    struct pod *pod = argument;
    struct shim_search search = {.name = pod->record->id};
    struct keeper_message request = {.type = KEEPER_LIST, .program = KEEPER_SHIM};
    struct keeper_message reply;
    int fds[FD_PASS_MAX];
    size_t fd_count = 0;

    TRY(keeper_client_call_each(pod->d->keeper, &request, 0, shim_search_each, &search));
    if (!search.is_found)
        return NULL;
    struct keeper_message kill = {.type = KEEPER_KILL, .program = KEEPER_SHIM, .process = search.process, .signal = SIGKILL};
    memcpy(kill.name, pod->record->id, strlen(pod->record->id));
    TRY(keeper_client_call(pod->d->keeper, &kill, NULL, 0, 0, &reply, fds, &fd_count));
    fds_close(fds, fd_count);
    return NULL;
}

static void shim_report_container(void *argument, const struct shim_report *report)
{
    container_report(argument, report);
}

static void shim_listed(void *argument)
{
    containers_listed(argument);
}

struct shim_client *pod_shim(struct pod *pod)
{
    struct shim_owner owner = {.argument = pod,
                               .spawn = shim_spawn,
                               .replace = shim_replace,
                               .report = shim_report_container,
                               .listed = shim_listed};
    bool is_new = false;

    pthread_mutex_lock(&pod->d->lock);
    if (!pod->shim) {
        autofree char *path = xasprintf("%s/shim/%s/sock", pod->d->config->state, pod->record->id);
        pod->shim = shim_client_new(pod->record->id, path, pod->d->generation, &owner);
        is_new = true;
    }
    struct shim_client *client = pod->shim;
    if (is_new)
        shim_client_start(client);
    pthread_mutex_unlock(&pod->d->lock);
    return client;
}

void pod_namespaces_fini(struct pod_namespaces *namespaces)
{
    free(namespaces->netns);
    free(namespaces->shm);
}

/* A uts namespace of its own goes with a network of its own. */
static const char *pod_hostname(const struct pod *pod)
{
    if (!pod_has_network(pod))
        return NULL;
    return *pod->config->hostname ? pod->config->hostname : pod->d->host.hostname;
}

static size_t sysctls_compose(const struct pod *pod, struct wire_writer *fields)
{
    const Runtime__V1__LinuxPodSandboxConfig *linux = pod->config->linux;
    size_t count = linux ? linux->n_sysctls : 0;

    for (size_t i = 0; i < count; i++) {
        autofree char *sysctl = xasprintf("%s=%s", linux->sysctls[i]->key, linux->sysctls[i]->value);
        wire_put_string(fields, SHIM_TAG_SYSCTL, sysctl);
    }
    return count;
}

static void user_map_compose(const struct pod *pod, struct wire_writer *fields)
{
    struct spec_user_map map;

    if (!spec_user_map(pod->config, &map))
        return;
    wire_put_u64(fields, SHIM_TAG_UID_FIRST, map.uid_first);
    wire_put_u64(fields, SHIM_TAG_UID_COUNT, map.uid_count);
    wire_put_u64(fields, SHIM_TAG_GID_FIRST, map.gid_first);
    wire_put_u64(fields, SHIM_TAG_GID_COUNT, map.gid_count);
}

static void setup_compose(struct pod *pod, struct wire_writer *fields)
{
    struct spec_namespaces modes = spec_pod_namespaces(pod->config);

    wire_put_u64(fields, SHIM_TAG_NETNS_MODE, pod_has_network(pod) ? SHIM_NAMESPACE_OWN : SHIM_NAMESPACE_HOST);
    wire_put_u64(fields, SHIM_TAG_IPC_MODE,
                 modes.ipc == RUNTIME__V1__NAMESPACE_MODE__NODE ? SHIM_NAMESPACE_HOST : SHIM_NAMESPACE_OWN);
    wire_put_u64(fields, SHIM_TAG_PID_MODE,
                 modes.pid == RUNTIME__V1__NAMESPACE_MODE__POD ? SHIM_NAMESPACE_OWN : SHIM_NAMESPACE_HOST);
    user_map_compose(pod, fields);
    wire_put_string(fields, SHIM_TAG_HOSTNAME, pod_hostname(pod));
    wire_put_string(fields, SHIM_TAG_CGROUP, pod->record->cgroup);
    wire_put_u64(fields, SHIM_TAG_SHM_SIZE, 64 << 20);
    sysctls_compose(pod, fields);
}

/* An absent number is no number, not 0. */
static int reply_fd_number(const struct shim_reply *reply, uint16_t tag)
{
    uint64_t number = shim_reply_u64(reply, tag);

    return number ? (int)number : -1;
}

static char *reply_copy(const struct shim_reply *reply, uint16_t tag)
{
    const char *text = shim_reply_text(reply, tag);

    return text && *text ? xstrdup(text) : NULL;
}

struct error *pod_setup(struct pod *pod, uint64_t step, const char *target, const struct shim_patience *patience,
                        struct pod_namespaces *ret)
{
    struct shim_client *client = pod_shim(pod);
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};

    setup_compose(pod, &fields);
    if (target)
        wire_put_string(&fields, SHIM_TAG_CONTAINER, target);
    struct error *error = shim_client_call(client, step, SHIM_POD_SETUP, &fields, patience, &reply);
    wire_writer_fini(&fields);
    if (error) {
        shim_client_ack(client, step); /* whoever asks again has it done again */
        return error_wrap(error, "set up the pod's namespaces and cgroup");
    }
    *ret = (struct pod_namespaces){
        .shim_pid = (int)shim_reply_u64(&reply, SHIM_TAG_PID),
        .ipc_fd = reply_fd_number(&reply, SHIM_TAG_IPC_FD),
        .uts_fd = reply_fd_number(&reply, SHIM_TAG_UTS_FD),
        .pid_fd = reply_fd_number(&reply, SHIM_TAG_PID_NS_FD),
        .user_fd = reply_fd_number(&reply, SHIM_TAG_USER_FD),
        .target_fd = reply_fd_number(&reply, SHIM_TAG_TARGET_FD),
        .netns = reply_copy(&reply, SHIM_TAG_NETNS),
        .shm = reply_copy(&reply, SHIM_TAG_SHM),
    };
    shim_client_ack(client, step);
    return NULL;
}

/* A step that has no answer but its end. */
static struct error *pod_step(struct pod *pod, uint64_t step, enum shim_type type, const struct wire_writer *fields,
                              const struct shim_patience *patience)
{
    struct shim_client *client = pod_shim(pod);
    auto_shim_reply reply = {0};

    struct error *error = shim_client_call(client, step, type, fields, patience, &reply);
    shim_client_ack(client, step);
    return error;
}

struct error *pod_set_sysctls(struct pod *pod, uint64_t step, const struct shim_patience *patience)
{
    struct wire_writer fields = {0};
    struct error *error = NULL;

    if (sysctls_compose(pod, &fields) > 0)
        error = pod_step(pod, step, SHIM_SYSCTLS, &fields, patience);
    wire_writer_fini(&fields);
    return error;
}

static void port_compose(const Runtime__V1__PortMapping *port, const char *address, struct wire_writer *fields)
{
    autofree char *text = xasprintf("%s %s %d", cni_protocol_name(port->protocol), address, port->host_port);

    wire_put_string(fields, SHIM_TAG_PORT, text);
}

/* Where no address is said, it is all of both families. */
static size_t ports_compose(const struct pod *pod, struct wire_writer *fields)
{
    size_t count = 0;

    for (size_t i = 0; i < pod->config->n_port_mappings; i++) {
        const Runtime__V1__PortMapping *port = pod->config->port_mappings[i];
        bool has_address = port->host_ip && *port->host_ip;
        if (port->host_port <= 0)
            continue;
        port_compose(port, has_address ? port->host_ip : "0.0.0.0", fields);
        if (!has_address)
            port_compose(port, "::", fields);
        count++;
    }
    return count;
}

struct error *pod_claim_ports(struct pod *pod, uint64_t step, const struct shim_patience *patience)
{
    struct wire_writer fields = {0};
    struct error *error = NULL;

    if (ports_compose(pod, &fields) > 0)
        error = pod_step(pod, step, SHIM_CLAIM_PORTS, &fields, patience);
    wire_writer_fini(&fields);
    return error;
}

static struct error *container_step(struct container *container, enum shim_type type, int signal,
                                    const struct shim_patience *patience)
{
    struct shim_client *client = pod_shim(container->pod);
    uint64_t step = shim_step_new();
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};

    wire_put_string(&fields, SHIM_TAG_CONTAINER, container->record->id);
    if (signal)
        wire_put_u64(&fields, SHIM_TAG_SIGNAL, (uint64_t)signal);
    struct error *error = shim_client_call(client, step, type, &fields, patience, &reply);
    wire_writer_fini(&fields);
    shim_client_ack(client, step);
    return error;
}

struct error *container_signal(struct container *container, int signal, const struct shim_patience *patience)
{
    TRY_TO(container_step(container, SHIM_SIGNAL, signal, patience), "send signal %d to container %s", signal,
           container->record->id);
    return NULL;
}

struct error *container_delete(struct container *container, const struct shim_patience *patience)
{
    TRY_TO(container_step(container, SHIM_DELETE, 0, patience), "delete container %s", container->record->id);
    return NULL;
}

struct error *container_reopen_log(struct container *container, const struct shim_patience *patience)
{
    TRY_TO(container_step(container, SHIM_REOPEN_LOG, 0, patience), "reopen the log of container %s",
           container->record->id);
    return NULL;
}

struct error *pod_shim_teardown(struct pod *pod, const struct shim_patience *patience)
{
    struct shim_client *client = pod_shim(pod);
    uint64_t step = shim_step_new();
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};

    wire_put_string(&fields, SHIM_TAG_CGROUP, pod->record->cgroup);
    struct error *error = shim_client_call(client, step, SHIM_POD_TEARDOWN, &fields, patience, &reply);
    wire_writer_fini(&fields);
    shim_client_ack(client, step);
    TRY_TO(error, "tear down the pod's namespaces and cgroup");
    return NULL;
}

struct error *pod_shim_quit(struct pod *pod, const struct shim_patience *patience)
{
    struct shim_client *client = pod_shim(pod);
    auto_shim_reply reply = {0};

    TRY_TO(shim_client_call(client, shim_step_new(), SHIM_QUIT, NULL, patience, &reply), "end the pod's shim");
    shim_client_stop(client);
    return NULL;
}
