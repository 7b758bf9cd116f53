/* What is asked for of a user namespace, and what of it can be had. */
#include "services/sandboxd/spec/parts.h"
#include "services/sandboxd/spec/validate.h"

static const Runtime__V1__NamespaceOption *pod_options(const Runtime__V1__PodSandboxConfig *config)
{
    const Runtime__V1__LinuxSandboxSecurityContext *context = config->linux ? config->linux->security_context : NULL;

    return context ? context->namespace_options : NULL;
}

static bool is_asked_for(const Runtime__V1__UserNamespace *user)
{
    return user && user->mode == RUNTIME__V1__NAMESPACE_MODE__POD;
}

bool spec_user_map(const Runtime__V1__PodSandboxConfig *config, struct spec_user_map *ret)
{
    const Runtime__V1__NamespaceOption *options = pod_options(config);

    if (!options || !is_asked_for(options->userns_options))
        return false;
    const Runtime__V1__IDMapping *uids = options->userns_options->uids[0], *gids = options->userns_options->gids[0];
    *ret = (struct spec_user_map){.uid_first = uids->host_id, .uid_count = uids->length, .gid_first = gids->host_id, .gid_count = gids->length};
    return true;
}

static struct error *number_check(const char *what, uint32_t number, uint32_t count)
{
    if (number < count)
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "%s %u is none of the %u of the pod's user namespace", what, number, count);
}

struct error *spec_user_check(const struct user *user, const Runtime__V1__PodSandboxConfig *config)
{
    struct spec_user_map map;

    if (!spec_user_map(config, &map))
        return NULL;
    TRY(number_check("user", user->uid, map.uid_count));
    TRY(number_check("group", user->gid, map.gid_count));
    for (size_t i = 0; i < user->group_count; i++)
        TRY(number_check("group", user->groups[i], map.gid_count));
    return NULL;
}

/* ---- checks ---- */

/* One that begins with 0, as the peers and Debian's runtimes have it. */
static struct error *mapping_check(const char *field, Runtime__V1__IDMapping *const *mappings, size_t count)
{
    if (count != 1)
        return error_new(ERROR_INVALID_ARGUMENT, "userns_options.%s: %zu mappings, one is needed", field, count);
    if (mappings[0]->container_id != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "userns_options.%s: 0 of the container is not mapped", field);
    if (mappings[0]->length == 0 || mappings[0]->length > UINT32_MAX - mappings[0]->host_id)
        return error_new(ERROR_INVALID_ARGUMENT, "userns_options.%s: %u from %u on are no ids", field, mappings[0]->length,
                         mappings[0]->host_id);
    return NULL;
}

static struct error *options_check(const Runtime__V1__UserNamespace *user)
{
    switch (user->mode) {
    case RUNTIME__V1__NAMESPACE_MODE__NODE:
        if (user->n_uids || user->n_gids)
            return error_new(ERROR_INVALID_ARGUMENT, "userns_options: mode NODE has mappings");
        return NULL;
    case RUNTIME__V1__NAMESPACE_MODE__POD:
        TRY(mapping_check("uids", user->uids, user->n_uids));
        return mapping_check("gids", user->gids, user->n_gids);
    default:
        return error_new(ERROR_INVALID_ARGUMENT, "userns_options.mode: %d is neither POD nor NODE", (int)user->mode);
    }
}

/* The host's namespaces are not the pod's root's: it could mount neither /proc nor /sys. */
struct error *validate_pod_user_namespace(const Runtime__V1__NamespaceOption *options, const struct spec_host *host)
{
    const Runtime__V1__UserNamespace *user = options ? options->userns_options : NULL;

    if (!user)
        return NULL;
    TRY(options_check(user));
    if (!is_asked_for(user))
        return NULL;
    if (options->network == RUNTIME__V1__NAMESPACE_MODE__NODE || options->pid == RUNTIME__V1__NAMESPACE_MODE__NODE ||
        options->ipc == RUNTIME__V1__NAMESPACE_MODE__NODE)
        return error_new(ERROR_INVALID_ARGUMENT, "userns_options: a pod with a user namespace can't have the host's network, pid or ipc");
    if (host->user_namespaces_refusal)
        return error_new(ERROR_FAILED_PRECONDITION, "userns_options: %s", host->user_namespaces_refusal);
    return NULL;
}

static bool is_same(Runtime__V1__IDMapping *const *own, size_t own_count, Runtime__V1__IDMapping *const *other, size_t other_count)
{
    return own_count == 1 && other_count == 1 && own[0]->container_id == other[0]->container_id &&
           own[0]->host_id == other[0]->host_id && own[0]->length == other[0]->length;
}

/* Nothing said is the pod's. */
struct error *validate_container_user_namespace(const Runtime__V1__NamespaceOption *options,
                                                const Runtime__V1__PodSandboxConfig *pod_config)
{
    const Runtime__V1__NamespaceOption *pod = pod_options(pod_config);
    const Runtime__V1__UserNamespace *own = options ? options->userns_options : NULL, *theirs = pod ? pod->userns_options : NULL;

    if (!own)
        return NULL;
    TRY(options_check(own));
    if (!is_asked_for(own) && !is_asked_for(theirs))
        return NULL;
    if (is_asked_for(own) && is_asked_for(theirs) && is_same(own->uids, own->n_uids, theirs->uids, theirs->n_uids) &&
        is_same(own->gids, own->n_gids, theirs->gids, theirs->n_gids))
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "userns_options: they are not the pod's");
}

struct error *validate_mount_mappings(const Runtime__V1__Mount *mount, const Runtime__V1__PodSandboxConfig *pod_config)
{
    const Runtime__V1__NamespaceOption *pod = pod_options(pod_config);
    const Runtime__V1__UserNamespace *user = pod ? pod->userns_options : NULL;

    if (!mount->n_uidmappings && !mount->n_gidmappings)
        return NULL;
    if (mount->propagation == RUNTIME__V1__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL)
        return validate_unsupported("propagation: PROPAGATION_BIDIRECTIONAL with uidMappings and gidMappings");
    if (is_asked_for(user) && is_same(mount->uidmappings, mount->n_uidmappings, user->uids, user->n_uids) &&
        is_same(mount->gidmappings, mount->n_gidmappings, user->gids, user->n_gids))
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "uidMappings and gidMappings are not those of the pod's user namespace");
}
