/* Which containers may be another's target: running ones of the same pod. */
#include "services/sandboxd/container_target.h"

#include "common/memory.h"
#include "services/sandboxd/spec/spec.h"
#include "services/sandboxd/table.h"

struct error *container_target_find(struct container *container, char **ret_id)
{
    const Runtime__V1__PodSandboxConfig *pod = container->pod->config;
    auto_container target = NULL;

    if (spec_container_namespaces(container->config, pod).pid != RUNTIME__V1__NAMESPACE_MODE__TARGET)
        return NULL;
    const char *id = container->config->linux->security_context->namespace_options->target_id;
    TRY_TO(table_find_container(container->d, id, &target), "namespace_options.target_id");
    if (target->pod != container->pod)
        return error_new(ERROR_INVALID_ARGUMENT, "namespace_options.target_id: container \"%s\" is of another sandbox", id);
    if (container_state_get(target) != CONTAINER_RUNNING)
        return error_new(ERROR_FAILED_PRECONDITION, "namespace_options.target_id: container \"%s\" is not running", id);
    *ret_id = xstrdup(target->record->id);
    return NULL;
}
