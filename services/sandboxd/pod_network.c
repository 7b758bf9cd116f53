/* How a chain of plugins is run, and what is saved between them. */
#include "services/sandboxd/pod_network.h"

#include <stdbool.h>
#include <string.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/cni/cni.h"
#include "services/sandboxd/network.h"
#include "services/sandboxd/pod_shim.h"

enum { OUTPUT_MAX = 1 << 20, SHIM_SLACK_S = 30 };

/* One plugin's run, as the shim reports it. */
struct plugin_output {
    int wait_status;
    char *out;
    size_t out_size;
    char *err;
    size_t err_size;
};

static void plugin_output_fini(struct plugin_output *output)
{
    free(output->out);
    free(output->err);
}

/* The record's texts, as cni_compose() wants them. */
static struct cni_attachment attachment_of(const struct pod *pod, const char *netns)
{
    const Runtime__V1__PodSandboxMetadata *metadata = pod->config->metadata;

    return (struct cni_attachment){
        .container_id = pod->record->id,
        .netns = netns,
        .interface = pod->record->attachment->interface,
        .pod_namespace = metadata->namespace_,
        .pod_name = metadata->name,
        .pod_uid = metadata->uid,
        .runtime_config = pod->record->attachment->runtime_config,
        .bin_dirs = pod->d->config->cni_bin_dirs,
    };
}

static struct error *memfd_read(int fd, char **ret, size_t *ret_size)
{
    if (fd < 0) {
        *ret = xstrdup("");
        return NULL;
    }
    if (lseek(fd, 0, SEEK_SET) < 0) /* the writer left its offset at the end */
        return error_new(ERROR_INTERNAL, "rewind a plugin's output");
    return fd_read_all(fd, OUTPUT_MAX, ret, ret_size);
}

static struct error *plugin_run(struct pod *pod, uint64_t step, const char *path, const struct cni_invocation *invocation,
                                struct plugin_output *ret)
{
    struct shim_client *client = pod_shim(pod);
    uint64_t limit_s = pod->d->config->cni_timeout_s;
    struct shim_patience patience = {.deadline_ns = clock_boottime_ns() + (int64_t)(limit_s + SHIM_SLACK_S) * 1000000000};
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};

    wire_put_string(&fields, SHIM_TAG_PROGRAM, path);
    wire_put_string(&fields, SHIM_TAG_ARG, path);
    for (char **variable = invocation->env; *variable; variable++)
        wire_put_string(&fields, SHIM_TAG_ENV, *variable);
    wire_put(&fields, SHIM_TAG_STDIN, invocation->stdin_text, strlen(invocation->stdin_text));
    wire_put_u64(&fields, SHIM_TAG_TIMEOUT_MS, limit_s * 1000);
    struct error *error = shim_client_call(client, step, SHIM_RUN, &fields, &patience, &reply);
    wire_writer_fini(&fields);
    TRY_TO(error, "run %s", path);
    ret->wait_status = (int)shim_reply_u64(&reply, SHIM_TAG_STATUS);
    TRY(memfd_read(reply.fd_count > 0 ? reply.fds[0] : -1, &ret->out, &ret->out_size));
    return memfd_read(reply.fd_count > 1 ? reply.fds[1] : -1, &ret->err, &ret->err_size);
}

/* Runs plugin `index`; ret may be NULL. The result stays in the shim until the step is acknowledged. */
static struct error *plugin_invoke(struct pod *pod, const struct cni_network *network, size_t index,
                                   enum cni_command command, uint64_t step, const char *netns, char **ret_out,
                                   size_t *ret_size)
{
    const char *type = cni_network_plugin_type(network, index);
    struct cni_attachment attachment = attachment_of(pod, netns);
    const ProtobufCBinaryData *result = &pod->record->attachment->result;
    autofree char *previous = result->len ? xstrndup((const char *)result->data, result->len) : NULL;
    autofree char *path = NULL;
    autoptr(cni_invocation) invocation = NULL;
    __attribute__((cleanup(plugin_output_fini))) struct plugin_output output = {0};

    TRY(cni_network_find_plugin(network, index, pod->d->config->cni_bin_dirs, &path));
    TRY(cni_compose(network, index, command, &attachment, previous, &invocation));
    TRY(plugin_run(pod, step, path, invocation, &output));
    if (output.wait_status != 0)
        return cni_plugin_error(type, command, output.wait_status, output.out, output.out_size, output.err,
                                output.err_size);
    if (ret_out) {
        *ret_out = TAKE(output.out);
        *ret_size = output.out_size;
    }
    return NULL;
}

static void bytes_set(ProtobufCBinaryData *field, const char *text)
{
    free(field->data);
    field->len = strlen(text);
    field->data = field->len ? xmemdup(text, field->len) : NULL;
}

/* Saves what DEL will need, before the first ADD. */
static struct error *attachment_begin(struct pod *pod)
{
    autoptr(cni_network) network = NULL;
    Bulkhead__AttachmentRecord *attachment = xmalloc(sizeof(*attachment));

    bulkhead__attachment_record__init(attachment);
    struct error *error = network_load(pod->d, &network, NULL);
    if (error) {
        free(attachment);
        return error;
    }
    autofree char *text = cni_network_text(network);
    autofree char *runtime_config = cni_runtime_config(pod->config);
    text_set(&attachment->network, cni_network_name(network));
    text_set(&attachment->interface, "eth0");
    text_set(&attachment->runtime_config, runtime_config);
    bytes_set(&attachment->conflist, text);
    pthread_mutex_lock(&pod->d->lock);
    pod->record->attachment = attachment;
    pthread_mutex_unlock(&pod->d->lock);
    return pod_save(pod);
}

static struct error *attachment_network(const struct pod *pod, struct cni_network **ret)
{
    const ProtobufCBinaryData *text = &pod->record->attachment->conflist;

    return cni_network_parse("attachment.conflist", (const char *)text->data, text->len, ret);
}

static void attachment_set_result(struct pod *pod, size_t index, const char *text)
{
    pthread_mutex_lock(&pod->d->lock);
    bytes_set(&pod->record->attachment->result, text);
    pod->record->attachment->added = (uint32_t)index + 1;
    pthread_mutex_unlock(&pod->d->lock);
}

/* The step of a plugin's ADD, so that a successor of this sandboxd joins it; another one after each undo. */
static uint64_t add_step(const struct pod *pod, size_t index)
{
    return shim_step_derive(pod->record->id, "add", (uint64_t)pod->record->attachment->undone << 32 | index);
}

/* ADD of one plugin: the answer is in the record before the shim may forget it. */
static struct error *attachment_add(struct pod *pod, const struct cni_network *network, size_t index)
{
    uint64_t step = add_step(pod, index);
    autoptr(cni_result) result = NULL;
    autofree char *out = NULL;
    size_t size = 0;

    TRY_TO(plugin_invoke(pod, network, index, CNI_ADD, step, pod->record->netns, &out, &size), "ADD of plugin \"%s\"",
           cni_network_plugin_type(network, index));
    FAILPOINT("sandboxd.pod_network.after_add");
    TRY_TO(cni_result_parse(out, size, cni_network_version(network), &result), "answer of plugin \"%s\"",
           cni_network_plugin_type(network, index));
    autofree char *text = cni_result_text(result);
    attachment_set_result(pod, index, text);
    TRY(pod_save(pod));
    shim_client_ack(pod_shim(pod), step);
    return NULL;
}

static struct error *attachment_del(struct pod *pod, const struct cni_network *network, size_t index, const char *netns)
{
    uint64_t step = shim_step_new();
    struct error *error = plugin_invoke(pod, network, index, CNI_DEL, step, netns, NULL, NULL);

    shim_client_ack(pod_shim(pod), step);
    return error ? error_wrap(error, "DEL of plugin \"%s\"", cni_network_plugin_type(network, index)) : NULL;
}

/* A failed ADD's result is kept until it is undone and that is saved. */
static struct error *attachment_undo_add(struct pod *pod, const struct cni_network *network, size_t index)
{
    uint64_t step = add_step(pod, index);

    TRY(attachment_del(pod, network, index, pod->record->netns));
    pthread_mutex_lock(&pod->d->lock);
    pod->record->attachment->undone++;
    pthread_mutex_unlock(&pod->d->lock);
    TRY(pod_save(pod));
    shim_client_ack(pod_shim(pod), step);
    return NULL;
}

static unsigned shims_of(struct pod *pod)
{
    pthread_mutex_lock(&pod->d->lock);
    unsigned shims = pod->shims;
    pthread_mutex_unlock(&pod->d->lock);
    return shims;
}

/* A plugin whose shim died in the middle of ADD is run again under the next shim, and finds its own remains. So an ADD that
 * fails is undone and run again before its error counts: once in any case, as what was before this sandboxd is not known,
 * and each time that the shim has died under it. */
static struct error *attachment_add_cleanly(struct pod *pod, const struct cni_network *network, size_t index)
{
    for (bool is_first = true;; is_first = false) {
        unsigned shims = shims_of(pod);
        struct error *failure = attachment_add(pod, network, index);
        if (!failure || failure->code == ERROR_CANCELLED || failure->code == ERROR_DEADLINE_EXCEEDED)
            return failure;
        if (!is_first && shims_of(pod) == shims)
            return failure;
        autoptr(error) undo = attachment_undo_add(pod, network, index);
        if (undo) /* what stands in the way stays for the teardown, which tries until it succeeds */
            return error_wrap(failure, "(its undo failed: %s)", undo->text);
        log_warn("an ADD failed, was undone, and is run again", "pod=%s error=%s", pod->record->id, log_quote(failure->text));
        error_free(failure);
    }
}

static struct error *attachment_note_ips(struct pod *pod, const struct cni_network *network)
{
    Bulkhead__AttachmentRecord *attachment = pod->record->attachment;
    autoptr(cni_result) result = NULL;
    autofree const char **ips = NULL;
    size_t count = 0;

    TRY(cni_result_parse((const char *)attachment->result.data, attachment->result.len, cni_network_version(network),
                         &result));
    TRY(cni_result_pod_ips(result, attachment->interface, pod->d->config->cni_ip_pref, &ips, &count));
    char **copies = xcalloc(count + 1, sizeof(*copies));
    for (size_t i = 0; i < count; i++)
        copies[i] = xstrdup(ips[i]);
    pthread_mutex_lock(&pod->d->lock);
    for (size_t i = 0; i < attachment->n_ips; i++)
        free(attachment->ips[i]);
    free(attachment->ips);
    attachment->ips = copies;
    attachment->n_ips = count;
    pthread_mutex_unlock(&pod->d->lock);
    return pod_save(pod);
}

struct error *pod_network_add(struct pod *pod)
{
    autoptr(cni_network) network = NULL;

    if (!pod->record->attachment)
        TRY(attachment_begin(pod));
    TRY(attachment_network(pod, &network));
    for (size_t i = pod->record->attachment->added; i < cni_network_plugin_count(network); i++)
        TRY(attachment_add_cleanly(pod, network, i));
    return attachment_note_ips(pod, network);
}

/* The namespace for DEL: "" once it is gone. */
static const char *netns_for_removal(const struct pod *pod)
{
    return pod->is_new_boot ? "" : pod->record->netns;
}

struct error *pod_network_remove(struct pod *pod)
{
    Bulkhead__AttachmentRecord *attachment = pod->record->attachment;
    autoptr(cni_network) network = NULL;

    if (!attachment || attachment->deleted)
        return NULL;
    TRY(attachment_network(pod, &network));
    for (size_t i = cni_network_plugin_count(network); i-- > 0;)
        TRY(attachment_del(pod, network, i, netns_for_removal(pod)));
    pthread_mutex_lock(&pod->d->lock);
    attachment->deleted = true;
    pthread_mutex_unlock(&pod->d->lock);
    error_free(pod_save(pod)); /* without space DEL is done again one day, which is harmless */
    return NULL;
}
