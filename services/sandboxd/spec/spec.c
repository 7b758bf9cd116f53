/* How the parts of config.json come together. */
#include "services/sandboxd/spec/parts.h"

#include "services/sandboxd/cdi/cdi.h"
#include "services/sandboxd/spec/message.h"

static struct error *root_object(const struct spec_input *input, const struct capability_sets *capabilities,
                                 json_t *root)
{
    const Runtime__V1__LinuxContainerSecurityContext *context = spec_context(input->config);
    json_t *process = NULL, *linux = NULL;

    json_object_set_new(root, "ociVersion", json_string("1.0.2"));
    TRY(spec_process_object(input, capabilities, &process));
    json_object_set_new(root, "process", process);
    json_object_set_new(
        root, "root",
        json_pack("{ss sb}", "path", input->rootfs_path, "readonly", context && context->readonly_rootfs));
    json_object_set_new(root, "mounts", spec_mounts_list(input));
    TRY(spec_linux_object(input, capabilities, &linux));
    json_object_set_new(root, "linux", linux);
    if (input->cgroups_path[0] != '/') /* crun(1): the container's processes are in the scope itself, where limits are set and usage is read */
        json_object_set_new(root, "annotations", json_pack("{ss}", "run.oci.systemd.subgroup", ""));
    if (input->found && input->found->cdi_edits)
        cdi_edits_apply(input->found->cdi_edits, root);
    return NULL;
}

struct error *spec_build(const struct spec_input *input, char **ret_json)
{
    struct capability_sets capabilities;

    TRY_TO(message_check_utf8(&input->image->base), "the image's configuration");
    TRY(capability_decide(spec_context(input->config), input->host->bounding_capabilities, &capabilities));
    json_t *root = json_object();
    struct error *failure = root_object(input, &capabilities, root);
    char *text = failure ? NULL : json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (failure)
        return failure;
    if (!text)
        return error_new(ERROR_INTERNAL, "the OCI spec could not be written as JSON");
    *ret_json = text;
    return NULL;
}
