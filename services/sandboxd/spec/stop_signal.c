/* How an image names the signal that asks its program to end. */
#include <signal.h>
#include <string.h>
#include <strings.h>

#include "common/memory.h"
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
    static const struct {
        const char *name;
        int signal;
    } others[] = {{"IO", SIGPOLL}, {"CLD", SIGCHLD}, {"IOT", SIGABRT}};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcasecmp(others[i].name, name) == 0) {
            *ret = others[i].signal;
            return true;
        }
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

char *spec_stop_signal_from_cri(Runtime__V1__Signal signal)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(&runtime__v1__signal__descriptor, signal);
    const char *name = value && signal ? value->name + strlen("SIGNAL_") : "";
    const char *plus = strstr(name, "PLUS"), *minus = strstr(name, "MINUS");

    if (plus)
        return xasprintf("%.*s+%s", (int)(plus - name), name, plus + strlen("PLUS"));
    if (minus)
        return xasprintf("%.*s-%s", (int)(minus - name), name, minus + strlen("MINUS"));
    return xstrdup(name);
}

Runtime__V1__Signal spec_stop_signal_to_cri(const char *text)
{
    const ProtobufCEnumDescriptor *all = &runtime__v1__signal__descriptor;
    int wanted, number;

    autoptr(error) unknown = spec_stop_signal_parse(text, &wanted);
    for (unsigned i = 0; !unknown && i < all->n_values; i++) {
        Runtime__V1__Signal signal = (Runtime__V1__Signal)all->values[i].value;
        autofree char *name = spec_stop_signal_from_cri(signal);
        autoptr(error) failure = *name ? spec_stop_signal_parse(name, &number) : NULL;
        if (*name && !failure && number == wanted)
            return signal;
    }
    return RUNTIME__V1__SIGNAL__SIGNAL_RUNTIME_DEFAULT;
}
