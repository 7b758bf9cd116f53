/* Which names of the configuration are an image's. */
#include "services/imaged/pinned.h"

#include <string.h>

#include "common/memory.h"
#include "services/imaged/reference.h"

static bool list_has(const struct text_list *list, const char *text, size_t size, bool is_prefix)
{
    for (size_t i = 0; i < list->count; i++)
        if (strncmp(list->list[i], text, size) == 0 && (is_prefix || list->list[i][size] == '\0'))
            return true;
    return false;
}

/* "pause" is docker.io/library/pause:latest; what does not parse is taken as it stands. */
static char *name_normalize(const char *name)
{
    autoptr(reference) reference = NULL;
    autoptr(error) wrong = reference_parse(name, &reference);

    return wrong ? xstrdup(name) : reference_format(reference);
}

static bool is_named(const struct image *image, const char *name)
{
    size_t size = strlen(name);
    bool is_prefix = size > 0 && name[size - 1] == '*';
    autofree char *whole = is_prefix ? xstrndup(name, size - 1) : name_normalize(name);

    return list_has(&image->tags, whole, strlen(whole), is_prefix) || list_has(&image->digests, whole, strlen(whole), is_prefix);
}

bool image_is_pinned(const struct image *image, char *const *names)
{
    for (; names && *names; names++)
        if (is_named(image, *names))
            return true;
    return false;
}
