/* How the shim's arguments are read, and names are checked. */
#include "services/sandboxd/shim/options.h"

#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/config.h"
#include "common/memory.h"
#include "services/sandboxd/shim/shim.h"

enum { NAME_MAX_LENGTH = 64 };
static const uid_t UID_UNKNOWN = (uid_t)-1;
enum option_number { OPTION_STATE = 256, OPTION_ROOT, OPTION_ADOPT, OPTION_UID, OPTION_LEVEL, OPTION_IGNORED };

bool shim_name_is_valid(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > NAME_MAX_LENGTH || name[0] == '.')
        return false;
    for (const char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("_-", *at))
            return false;
    return true;
}

static struct error *uid_parse(const char *text, uid_t *ret)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (!*text || *end || value > 0xfffffffeUL)
        return error_new(ERROR_INVALID_ARGUMENT, "uid \"%s\" is no number", text);
    *ret = (uid_t)value;
    return NULL;
}

/* The keeper makes STATE/sandboxd, and gives it to sandboxd's user. */
static uid_t uid_of_directory(const char *state)
{
    autofree char *path = xasprintf("%s/sandboxd", state);
    struct stat about;

    return stat(path, &about) == 0 ? about.st_uid : 0;
}

static enum log_level level_parse(const char *text)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};

    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum log_level)i;
    return LOG_LEVEL_INFO;
}

static struct error *option_take(int number, struct options *options)
{
    switch (number) {
    case OPTION_STATE:
        options->state = optarg;
        return NULL;
    case OPTION_ROOT:
        options->root = optarg;
        return NULL;
    case OPTION_ADOPT:
        options->adopt = true;
        return NULL;
    case OPTION_UID:
        return uid_parse(optarg, &options->sandboxd_uid);
    case OPTION_LEVEL:
        options->level = level_parse(optarg);
        return NULL;
    case OPTION_IGNORED:
        return NULL;
    default:
        return error_new(ERROR_INVALID_ARGUMENT, "usage: bulkhead-shim --state DIRECTORY --root DIRECTORY [--adopt] POD");
    }
}

static struct error *options_check(const struct options *options)
{
    if (!options->state || options->state[0] != '/' || !options->root || options->root[0] != '/')
        return error_new(ERROR_INVALID_ARGUMENT, "--state and --root must be absolute paths");
    if (!options->pod || !shim_name_is_valid(options->pod))
        return error_new(ERROR_INVALID_ARGUMENT, "no valid pod id is given");
    return NULL;
}

struct error *options_parse(int argc, char **argv, struct options *ret)
{
    static const struct option known[] = {
        {"state", required_argument, NULL, OPTION_STATE},       {"root", required_argument, NULL, OPTION_ROOT},
        {"adopt", no_argument, NULL, OPTION_ADOPT},             {"sandboxd-uid", required_argument, NULL, OPTION_UID},
        {"log-level", required_argument, NULL, OPTION_LEVEL},   {"config", required_argument, NULL, OPTION_IGNORED},
        {"address", required_argument, NULL, OPTION_IGNORED},   {"programs", required_argument, NULL, OPTION_IGNORED},
        {0},
    };
    const char *uid = getenv("BULKHEAD_SANDBOXD_UID");

    *ret = (struct options){.level = LOG_LEVEL_INFO, .sandboxd_uid = UID_UNKNOWN};
    optind = 1;
    opterr = 0;
    for (int number; (number = getopt_long(argc, argv, "", known, NULL)) != -1;)
        TRY(option_take(number, ret));
    if (optind == argc - 1)
        ret->pod = argv[optind];
    if (uid)
        TRY(uid_parse(uid, &ret->sandboxd_uid));
    if (ret->sandboxd_uid == UID_UNKNOWN && ret->state)
        ret->sandboxd_uid = uid_of_directory(ret->state);
    ret->stream_uid = ret->sandboxd_uid == 0 || ret->sandboxd_uid == UID_UNKNOWN
                          ? 0
                          : ret->sandboxd_uid + CONFIG_USER_STREAM - CONFIG_USER_SANDBOXD;
    return options_check(ret);
}
