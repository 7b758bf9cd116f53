/* What is a CDI device's name, and where a container's configuration has them. */
#include <ctype.h>
#include <string.h>

#include "common/memory.h"
#include "services/sandboxd/cdi/cdi.h"

static const char annotation_prefix[] = "cdi.k8s.io/";

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alphanumeric(char c)
{
    return is_letter(c) || (c >= '0' && c <= '9');
}

/* All of it letters, digits and `others`, the last no other. */
static bool is_word(const char *text, size_t length, const char *others)
{
    for (size_t i = 0; i < length; i++)
        if (!is_alphanumeric(text[i]) && !strchr(others, text[i]))
            return false;
    return length > 0 && is_alphanumeric(text[length - 1]);
}

bool cdi_name_is_valid(const char *name)
{
    const char *equals = strchr(name, '='), *slash = strchr(name, '/');

    if (!equals || !slash || slash > equals)
        return false;
    size_t vendor = (size_t)(slash - name), class = (size_t)(equals - slash - 1), device = strlen(equals + 1);
    return is_letter(name[0]) && is_word(name, vendor, "_-.") && is_letter(slash[1]) && is_word(slash + 1, class, "_-.") &&
           is_alphanumeric(equals[1]) && is_word(equals + 1, device, "_-.:");
}

static bool has_name(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), name) == 0)
            return true;
    return false;
}

static struct error *name_add(json_t *list, const char *field, const char *name)
{
    if (!cdi_name_is_valid(name))
        return error_new(ERROR_INVALID_ARGUMENT, "%s: \"%.200s\" is not vendor/class=device", field, name);
    if (!has_name(list, name))
        json_array_append_new(list, json_string(name));
    return NULL;
}

/* "a.com/x=1,a.com/x=2" */
static struct error *names_add(json_t *list, const char *field, const char *text)
{
    for (const char *at = text;;) {
        size_t length = strcspn(at, ",");
        autofree char *name = xstrndup(at, length);
        TRY(name_add(list, field, name));
        if (!at[length])
            return NULL;
        at += length + 1;
    }
}

static struct error *wanted_add(const Runtime__V1__ContainerConfig *config, json_t *list)
{
    for (size_t i = 0; i < config->n_cdi_devices; i++)
        TRY(name_add(list, "CDI_devices", config->cdi_devices[i]->name));
    for (size_t i = 0; i < config->n_annotations; i++)
        if (strncmp(config->annotations[i]->key, annotation_prefix, strlen(annotation_prefix)) == 0)
            TRY(names_add(list, config->annotations[i]->key, config->annotations[i]->value));
    return NULL;
}

struct error *cdi_names_wanted(const Runtime__V1__ContainerConfig *config, json_t **ret)
{
    json_t *list = json_array();
    struct error *failure = wanted_add(config, list);

    if (failure)
        json_decref(list);
    else
        *ret = list;
    return failure;
}
