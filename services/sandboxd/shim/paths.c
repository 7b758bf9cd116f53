/* Where the shim's files are. */
#include <stdarg.h>

#include "common/memory.h"
#include "services/sandboxd/shim/shim.h"

char *shim_path(const struct shim *shim, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    autofree char *name = xvasprintf(format, arguments);
    va_end(arguments);
    return xasprintf("%s/%s", shim->directory, name);
}

char *shim_storage_path(const struct shim *shim, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    autofree char *name = xvasprintf(format, arguments);
    va_end(arguments);
    return xasprintf("%s/%s", shim->storage, name);
}
