/* How a path's text is made comparable. */
#include "services/sandboxd/spec/path.h"

#include <string.h>

#include "common/memory.h"

char *path_clean(const char *path)
{
    char *clean = xmalloc(strlen(path) + 2);
    size_t size = 0;

    while (*path) {
        size_t length = strcspn(path, "/");
        if (length > 0 && !(length == 1 && path[0] == '.')) {
            clean[size++] = '/';
            memcpy(clean + size, path, length);
            size += length;
        }
        path += length + (path[length] == '/');
    }
    if (size == 0)
        clean[size++] = '/';
    clean[size] = '\0';
    return clean;
}

bool path_is_absolute(const char *path)
{
    return path[0] == '/';
}

bool path_has_dotdot(const char *path)
{
    while (*path) {
        size_t length = strcspn(path, "/");
        if (length == 2 && path[0] == '.' && path[1] == '.')
            return true;
        path += length + (path[length] == '/');
    }
    return false;
}
