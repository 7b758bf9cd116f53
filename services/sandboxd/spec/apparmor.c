/* Which AppArmor profile a container runs under, and where one cannot be had. */
#include <string.h>

#include "services/sandboxd/spec/validate.h"

enum choice { NOTHING_SAID, UNCONFINED, RUNTIME_DEFAULT, LOCALHOST, UNKNOWN };

/* *ret_name: of a Localhost profile. */
static enum choice choose_old(const char *text, const char **ret_name)
{
    if (!spec_text_is_set(text))
        return NOTHING_SAID;
    if (strcmp(text, "unconfined") == 0)
        return UNCONFINED;
    if (strcmp(text, "runtime/default") == 0)
        return RUNTIME_DEFAULT;
    if (strncmp(text, "localhost/", 10) != 0)
        return UNKNOWN;
    *ret_name = text + 10;
    return LOCALHOST;
}

static enum choice choose(const Runtime__V1__SecurityProfile *profile, const char *old, const char **ret_name)
{
    *ret_name = NULL;
    if (!profile)
        return choose_old(old, ret_name);
    switch (profile->profile_type) {
    case RUNTIME__V1__PROFILE_TYPE__RuntimeDefault:
        return RUNTIME_DEFAULT;
    case RUNTIME__V1__PROFILE_TYPE__Unconfined:
        return UNCONFINED;
    case RUNTIME__V1__PROFILE_TYPE__Localhost:
        /* The kubelet gives the bare name, older ones the annotation's form. */
        *ret_name = profile->localhost_ref + (strncmp(profile->localhost_ref, "localhost/", 10) == 0 ? 10 : 0);
        return LOCALHOST;
    default:
        return UNKNOWN;
    }
}

/* Without AppArmor in the kernel there is no default profile either, and nothing is lost. */
struct error *validate_apparmor(const Runtime__V1__SecurityProfile *profile, const char *old_profile,
                                const struct spec_host *host)
{
    const char *name;

    switch (choose(profile, old_profile, &name)) {
    case UNKNOWN:
        if (profile)
            return error_new(ERROR_INVALID_ARGUMENT, "apparmor: %d is no profile type", (int)profile->profile_type);
        return error_new(ERROR_INVALID_ARGUMENT, "apparmor_profile: \"%s\" is no profile", old_profile);
    case LOCALHOST:
        if (!name[0] || strlen(name) >= 4096 || strchr(name, '\n'))
            return error_new(ERROR_INVALID_ARGUMENT, "apparmor: the Localhost profile has no name");
        if (!host->has_apparmor)
            return error_new(ERROR_FAILED_PRECONDITION, "apparmor: profile %s is asked for, and this host has no AppArmor", name);
        return NULL;
    default:
        return NULL;
    }
}

/* As containerd: who says nothing has the default profile, unless he is privileged. */
const char *spec_apparmor_profile(const Runtime__V1__ContainerConfig *config, const struct spec_host *host)
{
    const Runtime__V1__LinuxContainerSecurityContext *context = spec_context(config);
    const char *name = NULL;
    enum choice choice = context ? choose(context->apparmor, context->apparmor_profile, &name) : NOTHING_SAID;

    if (!host->has_apparmor || choice == UNCONFINED)
        return NULL;
    if (choice == LOCALHOST)
        return name;
    return context && context->privileged ? NULL : SPEC_APPARMOR_DEFAULT;
}
