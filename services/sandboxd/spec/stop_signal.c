/* How an image names the signal that asks its program to end. */
#include <signal.h>
#include <string.h>
#include <strings.h>

#include "services/sandboxd/spec/spec.h"

static bool number_parse(const char *text, int *ret)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || value < 1 || value > SIGRTMAX)
        return false;
    *ret = (int)value;
    return true;
}

/* RTMIN, RTMIN+N, RTMAX, RTMAX-N */
static bool realtime_parse(const char *name, int *ret)
{
    bool from_min = strncasecmp(name, "RTMIN", 5) == 0;
    char sign = from_min ? '+' : '-';
    int offset = 0;

    if (!from_min && strncasecmp(name, "RTMAX", 5) != 0)
        return false;
    if (name[5] && (name[5] != sign || !number_parse(name + 6, &offset) || offset > SIGRTMAX - SIGRTMIN))
        return false;
    *ret = from_min ? SIGRTMIN + offset : SIGRTMAX - offset;
    return true;
}

static bool name_parse(const char *name, int *ret)
{
    for (int signal = 1; signal < __SIGRTMIN; signal++) {
        const char *known = sigabbrev_np(signal);
        if (known && strcasecmp(known, name) == 0) {
            *ret = signal;
            return true;
        }
    }
    return false;
}

struct error *spec_stop_signal_parse(const char *text, int *ret_signal)
{
    if (!text || !text[0]) {
        *ret_signal = SIGTERM;
        return NULL;
    }
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    if (number_parse(text, ret_signal) || realtime_parse(name, ret_signal) || name_parse(name, ret_signal))
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "stop signal \"%s\" is not known", text);
}
