/* A thread of any process, named so that it can't be mistaken within this boot. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The caller's tid and start time (field 22 of /proc/TID/stat; 0 where /proc cannot be read). */
void thread_id_self(uint32_t *ret_tid, uint64_t *ret_start_ticks);

/* Does this thread live, and may it still write? A zombie and one that is on its way out (closing files, maybe for ever) may not. */
bool thread_id_is_alive(uint32_t tid, uint64_t start_ticks);
