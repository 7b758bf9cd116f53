/* How errors are made, grown and freed. */
#include "common/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/memory.h"

static struct error *error_make(enum error_code code, char *text)
{
    struct error *error = xmalloc(sizeof(*error));

    error->code = code;
    error->text = text;
    return error;
}

struct error *error_new(enum error_code code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    char *text = xvasprintf(format, arguments);
    va_end(arguments);
    return error_make(code, text);
}

static enum error_code error_code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return ERROR_RESOURCE_EXHAUSTED;
    case ENOENT:
        return ERROR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERROR_PERMISSION_DENIED;
    default:
        return ERROR_INTERNAL;
    }
}

struct error *error_errno(int errnum, const char *format, ...)
{
    va_list arguments;
    char reason[128];

    va_start(arguments, format);
    autofree char *what = xvasprintf(format, arguments);
    va_end(arguments);
    return error_make(error_code_of_errno(errnum),
                      xasprintf("%s: %s", what, strerror_r(errnum, reason, sizeof(reason))));
}

struct error *error_wrap(struct error *error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    autofree char *context = xvasprintf(format, arguments);
    va_end(arguments);
    autofree char *inner = error->text;
    error->text = xasprintf("%s: %s", context, inner);
    return error;
}

void error_free(struct error *error)
{
    if (!error)
        return;
    free(error->text);
    free(error);
}

const char *error_code_name(enum error_code code)
{
    static const char *const names[] = {
        [ERROR_OK] = "OK",
        [ERROR_CANCELLED] = "CANCELLED",
        [ERROR_UNKNOWN] = "UNKNOWN",
        [ERROR_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
        [ERROR_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
        [ERROR_NOT_FOUND] = "NOT_FOUND",
        [ERROR_ALREADY_EXISTS] = "ALREADY_EXISTS",
        [ERROR_PERMISSION_DENIED] = "PERMISSION_DENIED",
        [ERROR_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
        [ERROR_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
        [ERROR_ABORTED] = "ABORTED",
        [ERROR_OUT_OF_RANGE] = "OUT_OF_RANGE",
        [ERROR_UNIMPLEMENTED] = "UNIMPLEMENTED",
        [ERROR_INTERNAL] = "INTERNAL",
        [ERROR_UNAVAILABLE] = "UNAVAILABLE",
        [ERROR_DATA_LOSS] = "DATA_LOSS",
        [ERROR_UNAUTHENTICATED] = "UNAUTHENTICATED",
    };

    if ((unsigned)code >= sizeof(names) / sizeof(names[0]))
        return "UNKNOWN";
    return names[code];
}
