/* How integration tests look at errors. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"

static inline void check(struct error *error)
{
    if (error)
        fail_msg("%s: %s", error_code_name(error->code), error->text);
}

/* The call must have failed with this code, and its text must have these words. */
static inline void check_refused(struct error *error, enum error_code code, const char *words)
{
    if (!error)
        fail_msg("no error, but %s (%s) was to come", error_code_name(code), words);
    if (error->code != code || !strstr(error->text, words))
        fail_msg("%s (%s) was to come, but: %s: %s", error_code_name(code), words, error_code_name(error->code),
                 error->text);
    error_free(error);
}
