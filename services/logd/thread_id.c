/* Which threads of a killed logd may still be inside write(). */
#include "services/logd/thread_id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"

enum { FLAG_EXITING = 0x4 }; /* PF_EXITING: it will not return from the kernel, nor write any more */

struct thread_stat {
    char state;
    unsigned long flags;
    unsigned long long start_ticks;
};

/* Fields 3, 9 and 22. The name in field 2 may hold anything, so counting starts behind its last parenthesis. */
static bool stat_parse(const char *text, struct thread_stat *ret)
{
    const char *rest = strrchr(text, ')');

    return rest && sscanf(rest + 1, " %c %*d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                          &ret->state, &ret->flags, &ret->start_ticks) == 3;
}

static bool stat_read(uint32_t tid, struct thread_stat *ret)
{
    autofree char *text = NULL;
    char path[40];
    size_t size;

    snprintf(path, sizeof(path), "/proc/%u/stat", tid);
    autoptr(error) failure = file_read_all(path, 4096, &text, &size);
    return !failure && stat_parse(text, ret);
}

void thread_id_self(uint32_t *ret_tid, uint64_t *ret_start_ticks)
{
    struct thread_stat stat = {0};

    *ret_tid = (uint32_t)gettid();
    stat_read(*ret_tid, &stat);
    *ret_start_ticks = stat.start_ticks;
}

bool thread_id_is_alive(uint32_t tid, uint64_t start_ticks)
{
    struct thread_stat stat;

    return tid && stat_read(tid, &stat) && stat.start_ticks == start_ticks && stat.state != 'Z' && stat.state != 'X' &&
           !(stat.flags & FLAG_EXITING);
}
