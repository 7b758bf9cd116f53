/* How an archive's names are brought into a form that cannot leave the layer. */
#include "services/imaged/unpack/path.h"

#include <string.h>

#include "common/memory.h"

struct error *path_clean(const char *path, char **ret)
{
    autofree char *clean = xcalloc(1, strlen(path) + 1);
    char *end = clean;

    for (const char *part = path; *part;) {
        size_t length = strcspn(part, "/");
        if (length == 2 && part[0] == '.' && part[1] == '.')
            return error_new(ERROR_INVALID_ARGUMENT, "path \"%s\" climbs out of the layer", path);
        if (length > 0 && !(length == 1 && part[0] == '.')) {
            if (end > clean)
                *end++ = '/';
            memcpy(end, part, length);
            end += length;
        }
        part += length;
        part += strspn(part, "/");
    }
    *ret = TAKE(clean);
    return NULL;
}

const char *path_base(const char *path, char **ret_parent)
{
    const char *slash = strrchr(path, '/');

    *ret_parent = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup("");
    return slash ? slash + 1 : path;
}

struct error *path_classify(const char *base, enum path_kind *ret_kind, const char **ret_hidden)
{
    static const char whiteout[] = ".wh.", special[] = ".wh..wh.", opaque[] = ".wh..wh..opq";

    if (strncmp(base, whiteout, sizeof(whiteout) - 1) != 0) {
        *ret_kind = PATH_PLAIN;
    } else if (strncmp(base, special, sizeof(special) - 1) == 0) {
        *ret_kind = strcmp(base, opaque) == 0 ? PATH_OPAQUE : PATH_IGNORED; /* aufs kept its own files there */
    } else {
        *ret_hidden = base + sizeof(whiteout) - 1;
        if (**ret_hidden == '\0' || strcmp(*ret_hidden, ".") == 0 || strcmp(*ret_hidden, "..") == 0)
            return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is a whiteout of nothing", base);
        *ret_kind = PATH_WHITEOUT;
    }
    return NULL;
}
