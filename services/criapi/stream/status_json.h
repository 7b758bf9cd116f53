/* What the error channel says at the end of an exec or attach: metav1.Status as JSON (v4, v5), or plain text (before).
 * Pure. */
#pragma once

#include <stdbool.h>

#include "common/error.h"

/* Each gives a new text that the caller frees; without JSON it may be empty, and nothing is sent then. */
char *status_success(bool as_json);

/* A command that ended by itself, from waitpid(2)'s status; 128 + N where signal N killed it. 0 is success. */
char *status_exit(bool as_json, int wait_status);

/* A failure of ours: "error executing command in container: TEXT". */
char *status_failure(bool as_json, const char *what, const struct error *why);
