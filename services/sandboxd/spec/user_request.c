/* Which of the configuration's and the image's words on the user count. */
#include "services/sandboxd/spec/parts.h"

static const int64_t *value_of(const Runtime__V1__Int64Value *value)
{
    return value ? &value->value : NULL;
}

struct error *spec_user_request(const Runtime__V1__ContainerConfig *config, const Bulkhead__ImageSettings *image,
                                struct user_request *ret, uint32_t **ret_groups)
{
    const Runtime__V1__LinuxContainerSecurityContext *context = spec_context(config);

    *ret_groups = NULL;
    *ret = (struct user_request){.user = image->user};
    if (!context)
        return NULL;
    ret->is_strict = context->supplemental_groups_policy == RUNTIME__V1__SUPPLEMENTAL_GROUPS_POLICY__Strict;
    ret->uid = value_of(context->run_as_user);
    ret->gid = value_of(context->run_as_group);
    bool has_name = spec_text_is_set(context->run_as_username);
    if (has_name) {
        ret->user = context->run_as_username;
        ret->uid = NULL;
    }
    if (ret->gid && !ret->uid && !has_name)
        return error_new(ERROR_INVALID_ARGUMENT, "run_as_group is set without run_as_user or run_as_username");
    if (context->n_supplemental_groups > 0) {
        *ret_groups = xcalloc(context->n_supplemental_groups, sizeof(**ret_groups));
        for (size_t i = 0; i < context->n_supplemental_groups; i++)
            (*ret_groups)[i] = (uint32_t)context->supplemental_groups[i];
    }
    ret->groups = *ret_groups;
    ret->group_count = context->n_supplemental_groups;
    return NULL;
}
