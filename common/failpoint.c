/* What a test's failpoint file makes the process do. */
#include "common/failpoint.h"

#ifdef BULKHEAD_FAILPOINTS

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/fd.h"

static void failpoint_obey(const char *order)
{
    unsigned milliseconds = 0;

    if (strncmp(order, "kill", 4) == 0)
        kill(getpid(), SIGKILL);
    else if (strncmp(order, "abort", 5) == 0)
        abort();
    else if (strncmp(order, "stop", 4) == 0)
        kill(getpid(), SIGSTOP);
    else if (sscanf(order, "sleep %u", &milliseconds) == 1)
        nanosleep(&(struct timespec){milliseconds / 1000, (long)(milliseconds % 1000) * 1000000}, NULL);
}

void failpoint_reach(const char *name)
{
    const char *directory = getenv("BULKHEAD_FAILPOINT_DIR");
    char path[512], hit[520];
    autofree char *order = NULL;
    size_t size;

    if (!directory)
        return;
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    snprintf(hit, sizeof(hit), "%s.hit", path);
    autoptr(error) failure = file_read_all(path, 64, &order, &size);
    if (failure || rename(path, hit) < 0)
        return; /* not asked for, or another thread was faster; read first, as the test may take the hit away at once */
    failpoint_obey(order);
}

#else

/* ISO C wants something in every file. */
typedef int failpoint_is_compiled_out;

#endif
