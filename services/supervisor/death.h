/* How a wait status is judged. Pure; used by supervisor, keeper and backstop. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/request_page.h"

/* A KILL or TERM comes from outside (the OOM killer's too); any other signal is the process's own fault. */
enum death_reason death_reason_of(bool is_known, int wait_status);

/* "killed", "fault (SIGSEGV)", "hang", "exit 1", "unknown"; "" for DEATH_NONE. Returns text. */
const char *death_describe(enum death_reason reason, int wait_status, char *text, size_t size);
