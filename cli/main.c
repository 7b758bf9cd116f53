/* `bulkhead`: which verbs there are. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/log.h"

static const struct verb {
    const char *name;
    int (*run)(const struct config *config, int argc, char **argv);
    const char *help;
} verbs[] = {
    {"chaos", cli_chaos, "kill processes while pods run, and check that nothing is lost (chaos --help)"},
    {"check", cli_check, "check the configuration, without starting anything"},
    {"run", cli_run, "run the container runtime in the foreground"},
    {"status", cli_status, "show its processes (--json), or what they may do (--rights)"},
};

static int help(FILE *out)
{
    fprintf(out, "usage: bulkhead [flags] VERB\n\nverbs:\n");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].help);
    fprintf(out, "  %-10s %s\n  %-10s %s\n", "version", "print the version", "help", "print this");
    fprintf(out,
            "\nflags:\n"
            "  --config FILE      configuration (/etc/bulkhead/config.json if it exists)\n"
            "  --root DIR         what is kept (/var/lib/bulkhead)\n"
            "  --state DIR        what a boot forgets (/run/bulkhead)\n"
            "  --address PATH     the CRI socket (/run/bulkhead/bulkhead.sock)\n"
            "  --log-level LEVEL  error, warn, info or debug (info)\n"
            "  --programs DIR     where the other programs are (beside this one, or ../lib/bulkhead)\n"
            "\nexit status: 0 well, 1 failed or degraded, 2 wrong usage or configuration, 3 not running (status)\n");
    return out == stdout ? CLI_OK : CLI_USAGE;
}

/* Needs no configuration, so that a broken one cannot hide them. */
static bool is_plain(const char *word, const char *name)
{
    return strcmp(word, name) == 0 || (strncmp(word, "--", 2) == 0 && strcmp(word + 2, name) == 0);
}

int main(int argc, char **argv)
{
    autoptr(config) config = NULL;

    if (argc >= 2 && (is_plain(argv[1], "help") || strcmp(argv[1], "-h") == 0))
        return help(stdout);
    if (argc >= 2 && is_plain(argv[1], "version")) {
        printf("bulkhead %s\n", BULKHEAD_VERSION);
        return CLI_OK;
    }
    log_open("bulkhead", LOG_LEVEL_INFO);
    autoptr(error) wrong = config_from_arguments(&argc, argv, &config);
    if (wrong) {
        fprintf(stderr, "bulkhead: %s\n", wrong->text);
        return CLI_USAGE;
    }
    if (argc < 2)
        return help(stderr);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, argv[1]) == 0)
            return verbs[i].run(config, argc - 1, argv + 1);
    fprintf(stderr, "bulkhead: no verb \"%s\"; see `bulkhead help`\n", argv[1]);
    return CLI_USAGE;
}
