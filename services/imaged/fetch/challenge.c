/* How a registry says what kind of proof it wants: RFC 9110's list of schemes with parameters. */
#include "services/imaged/fetch/challenge.h"

#include <string.h>

#include "common/memory.h"

void challenge_fini(struct challenge *challenge)
{
    free(TAKE(challenge->realm));
    free(TAKE(challenge->service));
    free(TAKE(challenge->scope));
    challenge->scheme = CHALLENGE_NONE;
}

static const char *skip(const char *at)
{
    return at + strspn(at, " \t,");
}

static size_t token_length(const char *at)
{
    return strcspn(at, " \t,=\"");
}

/* A quoted or plain value; moves *at behind it. */
static char *value_parse(const char **at)
{
    const char *from = *at;

    if (*from != '"') {
        size_t length = strcspn(from, " \t,");
        *at = from + length;
        return xstrndup(from, length);
    }
    char *value = xcalloc(1, strlen(from));
    char *end = value;
    for (from++; *from && *from != '"'; from++) {
        if (*from == '\\' && from[1])
            from++;
        *end++ = *from;
    }
    *at = *from ? from + 1 : from;
    return value;
}

static void parameter_take(struct challenge *challenge, const char *name, size_t length, char *value)
{
    autofree char *unused = value;
    const struct {
        const char *name;
        char **place;
    } known[] = {{"realm", &challenge->realm}, {"service", &challenge->service}, {"scope", &challenge->scope}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strlen(known[i].name) == length && strncasecmp(name, known[i].name, length) == 0 && !*known[i].place)
            *known[i].place = TAKE(unused);
    }
}

/* Where the value begins if what follows is a parameter, "name=" with blanks around the sign or not; NULL if it is the next scheme. */
static const char *parameter_value(const char *at)
{
    size_t length = token_length(at);
    const char *sign = at + length + strspn(at + length, " \t");

    return length > 0 && *sign == '=' ? sign + 1 + strspn(sign + 1, " \t") : NULL;
}

static void one_parse(const char **at, struct challenge *ret)
{
    size_t length = token_length(*at);

    if (length == 6 && strncasecmp(*at, "Bearer", 6) == 0)
        ret->scheme = CHALLENGE_BEARER;
    else if (length == 5 && strncasecmp(*at, "Basic", 5) == 0)
        ret->scheme = CHALLENGE_BASIC;
    *at = skip(*at + length);
    for (const char *name = *at, *value; (value = parameter_value(name)); name = *at) {
        *at = value;
        parameter_take(ret, name, token_length(name), value_parse(at));
        *at = skip(*at);
    }
}

void challenge_parse(const char *value, struct challenge *ret)
{
    *ret = (struct challenge){.scheme = CHALLENGE_NONE};
    for (const char *at = skip(value); *at;) {
        struct challenge one = {.scheme = CHALLENGE_NONE};
        const char *before = at;
        one_parse(&at, &one);
        if (at == before)
            at++; /* what can't be read is passed over */
        if (one.scheme > ret->scheme) {
            challenge_fini(ret);
            *ret = one;
        } else {
            challenge_fini(&one);
        }
    }
}
