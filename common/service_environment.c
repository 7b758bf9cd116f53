/* How descriptors and the circumstances of the start are inherited. */
#include "common/service_environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

enum { FIRST_FD = 3, FDS_MAX = 4096 };

static uint64_t take_number(const char *name)
{
    const char *text = getenv(name);
    uint64_t number = text ? strtoull(text, NULL, 10) : 0;

    unsetenv(name);
    return number;
}

/* A name as death_reason_name() gives it, or its number. */
static enum death_reason take_death(void)
{
    const char *text = getenv("BULKHEAD_LAST_DEATH");
    enum death_reason reason = text ? (enum death_reason)strtoul(text, NULL, 10) : DEATH_NONE;

    for (unsigned i = DEATH_NONE; text && i <= DEATH_UNKNOWN; i++) {
        if (strcmp(text, death_reason_name((enum death_reason)i)) == 0)
            reason = (enum death_reason)i;
    }
    unsetenv("BULKHEAD_LAST_DEATH");
    return reason;
}

static void take_fds(struct service_environment *environment)
{
    const char *listed = getenv("LISTEN_FDNAMES");
    autofree char *names = xstrdup(listed ? listed : "");
    char *rest = names;
    uint64_t count = take_number("LISTEN_FDS");

    unsetenv("LISTEN_FDNAMES");
    unsetenv("LISTEN_PID");
    environment->count = count > FDS_MAX ? FDS_MAX : (size_t)count;
    environment->fds = xcalloc(environment->count, sizeof(int));
    environment->names = xcalloc(environment->count, sizeof(char *));
    for (size_t i = 0; i < environment->count; i++) {
        const char *name = rest ? strsep(&rest, ":") : NULL;
        environment->fds[i] = FIRST_FD + (int)i;
        environment->names[i] = xstrdup(name ? name : "");
        fcntl(environment->fds[i], F_SETFD, FD_CLOEXEC);
    }
}

void service_environment_init(struct service_environment *environment)
{
    environment->generation = take_number("BULKHEAD_GENERATION");
    environment->last_death = take_death();
    take_fds(environment);
}

void service_environment_fini(struct service_environment *environment)
{
    for (size_t i = 0; i < environment->count; i++)
        free(environment->names[i]);
    free(environment->names);
    free(environment->fds);
}

int service_environment_fd(const struct service_environment *environment, const char *name)
{
    for (size_t i = 0; i < environment->count; i++) {
        if (strcmp(environment->names[i], name) == 0)
            return environment->fds[i];
    }
    return -1;
}
