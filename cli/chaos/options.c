/* The flags: their names, their defaults, what each may be. */
#include "cli/chaos/options.h"

#include <errno.h>
#include <getopt.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "cli/chaos/random.h"
#include "cli/chaos/target.h"

enum { PODS_MAX = 64, RATE_MAX = 1000 };
static const int64_t duration_max_ms = INT64_C(7) * 86400 * 1000;

enum flag {
    FLAG_SEED = 1,
    FLAG_DURATION,
    FLAG_CALL_TIMEOUT,
    FLAG_RATE,
    FLAG_OVERLAP,
    FLAG_STOP,
    FLAG_TARGETS,
    FLAG_KILL,
    FLAG_PODS,
    FLAG_IMAGE,
    FLAG_PULL,
    FLAG_HANDLER,
    FLAG_CGROUP_PARENT,
    FLAG_NODE,
    FLAG_KEEP_NETWORK,
    FLAG_HTML,
    FLAG_JSON,
};

static const struct option flags[] = {
    {"seed", required_argument, NULL, FLAG_SEED},
    {"duration", required_argument, NULL, FLAG_DURATION},
    {"call-timeout", required_argument, NULL, FLAG_CALL_TIMEOUT},
    {"rate", required_argument, NULL, FLAG_RATE},
    {"overlap", no_argument, NULL, FLAG_OVERLAP},
    {"stop", required_argument, NULL, FLAG_STOP},
    {"targets", required_argument, NULL, FLAG_TARGETS},
    {"kill", required_argument, NULL, FLAG_KILL},
    {"pods", required_argument, NULL, FLAG_PODS},
    {"image", required_argument, NULL, FLAG_IMAGE},
    {"pull", required_argument, NULL, FLAG_PULL},
    {"runtime-handler", required_argument, NULL, FLAG_HANDLER},
    {"cgroup-parent", required_argument, NULL, FLAG_CGROUP_PARENT},
    {"node", no_argument, NULL, FLAG_NODE},
    {"keep-network", no_argument, NULL, FLAG_KEEP_NETWORK},
    {"html", required_argument, NULL, FLAG_HTML},
    {"json", required_argument, NULL, FLAG_JSON},
    {0},
};

void options_help(FILE *out)
{
    fputs("usage: bulkhead [flags] chaos [flags]\n"
          "\n"
          "Runs pods through a CRI socket while processes are killed, and checks that nothing is lost.\n"
          "\n"
          "  --image REF            image of the containers, with /bin/sh and sleep (docker.io/library/busybox:latest)\n"
          "  --pull REF             another image, pulled and removed again and again\n"
          "  --pods N               pods at the same time (4)\n"
          "  --runtime-handler NAME runtime of the pods\n"
          "  --cgroup-parent PATH   cgroup of the pods (/bulkhead-chaos-PID; with --kill the runtime's own)\n"
          "  --duration TIME        as 120s, 10m (60s)\n"
          "  --rate N               kills a second (10)\n"
          "  --overlap              do not wait for the last victim's successor\n"
          "  --targets LIST         criapi sandboxd imaged logd supervisor keeper backstop (all of them: daemons), shim,\n"
          "                         stream fetch unpack oci cni (children), all (all; backstop only with --node)\n"
          "  --kill REGEX           processes of any runtime, by their command lines, instead of those\n"
          "  --stop PERCENT         so many of the kills of daemons and shims are SIGSTOP (0)\n"
          "  --seed N               repeats the decisions of a run\n"
          "  --call-timeout TIME    deadline of each call (120s)\n"
          "  --node                 start a node of its own, in namespaces and directories of its own, and end it\n"
          "  --keep-network         with --node: in this network namespace, where the registry is\n"
          "  --html FILE --json FILE  the report (bulkhead-chaos.html, bulkhead-chaos.json)\n"
          "\n"
          "exit status: 0 every promise was kept, 1 one was not, 2 wrong usage, or the run could not begin\n",
          out);
}

static struct error *number_parse(const char *text, double highest, double *ret)
{
    char *end;

    errno = 0;
    *ret = strtod(text, &end);
    if (errno || end == text || *end || !(*ret >= 0) || *ret > highest)
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no number up to %.0f", text, highest);
    return NULL;
}

static struct error *count_parse(const char *text, uint32_t lowest, uint32_t highest, uint32_t *ret)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || value < lowest || value > highest)
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no number from %u to %u", text, lowest, highest);
    *ret = (uint32_t)value;
    return NULL;
}

static struct error *seed_parse(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no seed", text);
    return NULL;
}

struct error *duration_parse(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    for (size_t i = 0; *text >= '0' && *text <= '9' && i < sizeof(units) / sizeof(units[0]); i++)
        if (!strcmp(end, units[i].name) && value > 0 && value <= (unsigned long)(duration_max_ms / units[i].ms)) {
            *ret_ms = (int64_t)value * units[i].ms;
            return NULL;
        }
    return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no duration (90s, 1500ms, 10m, 2h)", text);
}

static struct error *regex_check(const char *text)
{
    regex_t compiled;

    if (regcomp(&compiled, text, REG_EXTENDED | REG_NOSUB) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no regular expression", text);
    regfree(&compiled);
    return NULL;
}

static struct error *flag_set(struct options *options, enum flag flag, const char *value)
{
    switch (flag) {
    case FLAG_SEED: return seed_parse(value, &options->seed);
    case FLAG_DURATION: return duration_parse(value, &options->duration_ms);
    case FLAG_CALL_TIMEOUT: return duration_parse(value, &options->call_timeout_ms);
    case FLAG_RATE: return number_parse(value, RATE_MAX, &options->kills_per_second);
    case FLAG_OVERLAP: options->is_overlapping = true; return NULL;
    case FLAG_STOP: return count_parse(value, 0, 100, &options->stop_percent);
    case FLAG_TARGETS: return targets_parse(value, &options->targets);
    case FLAG_KILL: options->kill = value; return regex_check(value);
    case FLAG_PODS: return count_parse(value, 1, PODS_MAX, &options->pods);
    case FLAG_IMAGE: options->image = value; return NULL;
    case FLAG_PULL: options->pull = value; return NULL;
    case FLAG_HANDLER: options->handler = value; return NULL;
    case FLAG_CGROUP_PARENT: options->cgroup_parent = value; return NULL;
    case FLAG_NODE: options->is_node = true; return NULL;
    case FLAG_KEEP_NETWORK: options->keeps_network = true; return NULL;
    case FLAG_HTML: options->html = value; return NULL;
    case FLAG_JSON: options->json = value; return NULL;
    }
    return error_new(ERROR_INTERNAL, "flag %d", flag);
}

/* What goes together, and what follows from it. */
static struct error *options_finish(struct options *options)
{
    if (options->keeps_network && !options->is_node)
        return error_new(ERROR_INVALID_ARGUMENT, "--keep-network is for --node");
    if (options->pull && !strcmp(options->pull, options->image))
        return error_new(ERROR_INVALID_ARGUMENT, "--pull removes its image: it must be another one than --image");
    if (!options->is_node)
        options->targets &= ~(1u << TARGET_BACKSTOP); /* nobody here would start it again */
    if (options->kill)
        options->targets = 1u << TARGET_MATCH;
    if (!options->targets)
        return error_new(ERROR_INVALID_ARGUMENT, "--targets backstop is for --node, which starts it again");
    return NULL;
}

struct error *options_parse(int argc, char **argv, struct options *ret)
{
    struct options options = {.seed = random_seed(),
                              .duration_ms = 60000,
                              .call_timeout_ms = 120000,
                              .kills_per_second = 10,
                              .pods = 4,
                              .image = "docker.io/library/busybox:latest",
                              .handler = "",
                              .html = "bulkhead-chaos.html",
                              .json = "bulkhead-chaos.json"};
    int letter, at = 0;

    TRY(targets_parse("all", &options.targets));
    optind = 0; /* begins anew, and reads the mode in the "+" and ":" */
    while ((letter = getopt_long(argc, argv, "+:", flags, &at)) != -1) {
        if (letter == ':')
            return error_new(ERROR_INVALID_ARGUMENT, "%s needs a value", argv[optind - 1]);
        if (letter == '?')
            return error_new(ERROR_INVALID_ARGUMENT, "unknown flag %s", argv[optind - 1]);
        TRY_TO(flag_set(&options, (enum flag)letter, optarg), "--%s", flags[at].name);
    }
    if (optind < argc)
        return error_new(ERROR_INVALID_ARGUMENT, "unknown argument \"%s\"", argv[optind]);
    TRY(options_finish(&options));
    *ret = options;
    return NULL;
}
