/* The one error type: a gRPC code, and a text that grows by context on its way up. */
#pragma once

#include "common/cleanup.h"

/* The codes of gRPC (google.rpc.Code), so that an error travels to the kubelet as it is. */
enum error_code {
    ERROR_OK = 0,
    ERROR_CANCELLED = 1,
    ERROR_UNKNOWN = 2,
    ERROR_INVALID_ARGUMENT = 3,
    ERROR_DEADLINE_EXCEEDED = 4,
    ERROR_NOT_FOUND = 5,
    ERROR_ALREADY_EXISTS = 6,
    ERROR_PERMISSION_DENIED = 7,
    ERROR_RESOURCE_EXHAUSTED = 8,
    ERROR_FAILED_PRECONDITION = 9,
    ERROR_ABORTED = 10,
    ERROR_OUT_OF_RANGE = 11,
    ERROR_UNIMPLEMENTED = 12,
    ERROR_INTERNAL = 13,
    ERROR_UNAVAILABLE = 14,
    ERROR_DATA_LOSS = 15,
    ERROR_UNAUTHENTICATED = 16,
};

struct error {
    enum error_code code;
    char *text;
};

/* A new error; the caller owns it. Never NULL (out of memory aborts). */
struct error *error_new(enum error_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));

/* An error from an errno value: "text: strerror". ENOSPC, EDQUOT, EMFILE and ENOMEM become RESOURCE_EXHAUSTED, ENOENT
 * NOT_FOUND, EACCES and EPERM PERMISSION_DENIED, the rest INTERNAL. */
struct error *error_errno(int errnum, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));

/* Puts "context: " before the text; takes and returns the same error. */
struct error *error_wrap(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));

/* Frees an error; NULL is fine. Also the way to say that a failure is ignored on purpose. */
void error_free(struct error *error);
DEFINE_AUTOPTR(error)

/* The code's name as gRPC spells it, "INVALID_ARGUMENT"; "UNKNOWN" for any number that is none. */
const char *error_code_name(enum error_code code);

/* Returns the step's error to the caller, if there is one. */
#define TRY(step)                                                                                                      \
    do {                                                                                                               \
        struct error *error_ = (step);                                                                                 \
        if (error_)                                                                                                    \
            return error_;                                                                                             \
    } while (0)

/* The same, with context. */
#define TRY_TO(step, ...)                                                                                              \
    do {                                                                                                               \
        struct error *error_ = (step);                                                                                 \
        if (error_)                                                                                                    \
            return error_wrap(error_, __VA_ARGS__);                                                                    \
    } while (0)
