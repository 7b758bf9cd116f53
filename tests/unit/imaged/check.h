/* What imaged's unit tests begin with: cmocka, and how they look at errors. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "common/error.h"

static inline void fine(struct error *failure)
{
    if (failure)
        fail_msg("%s: %s", error_code_name(failure->code), failure->text);
}

/* Refused with this code, in a text that has the word. Frees the error. */
static inline void refused(struct error *failure, enum error_code code, const char *word)
{
    if (!failure)
        fail_msg("it was not refused; %s was to come: %s", error_code_name(code), word);
    if (failure->code != code || !strstr(failure->text, word))
        fail_msg("%s was to come with \"%s\": %s: %s", error_code_name(code), word, error_code_name(failure->code),
                 failure->text);
    error_free(failure);
}
