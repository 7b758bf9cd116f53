/* When another streaming process is wanted, and what a process's name says of it. */
#include <string.h>

#include "services/supervisor/sessions.h"

static const int64_t patience_ns = 500000000;

static size_t count_of(const struct sessions *sessions, enum session_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < sessions->count; i++)
        count += sessions->all[i].state == state;
    return count;
}

bool session_is_wanted(const struct sessions *sessions, bool is_pending, int64_t now_ns)
{
    size_t waiting = count_of(sessions, SESSION_WAITS);

    if (now_ns < sessions->next_start_ns || sessions->count >= SESSIONS_MAX ||
        waiting + count_of(sessions, SESSION_NEW) >= SESSIONS_UNPROVEN_MAX)
        return false;
    return waiting == 0 || (is_pending && now_ns - sessions->last_start_ns >= patience_ns);
}

enum session_state session_state_of(const char *name)
{
    if (strncmp(name, "stream-", 7) != 0 || strcmp(name, "stream-waits") == 0)
        return SESSION_WAITS; /* or it has not come to its first line yet, and will */
    return strcmp(name, "stream-new") == 0 ? SESSION_NEW : SESSION_OPEN;
}
