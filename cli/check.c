/* `bulkhead check`: what can be known to be wrong before a start. The configuration itself was checked when it was loaded. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/memory.h"

static bool file_check(const char *what, const char *path, int mode)
{
    bool is_there = access(path, mode) == 0;

    if (!is_there)
        fprintf(stderr, "%s: %s is missing\n", what, path);
    return is_there;
}

static bool programs_check(const struct config *config)
{
    static const char *const names[] = {"keeper", "supervisor", "criapi", "sandboxd", "imaged",
                                        "logd",   "shim",       "fetch",  "unpack"};
    bool is_good = true;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        autofree char *path = xasprintf("%s/bulkhead-%s", config->programs, names[i]);
        is_good = file_check("program", path, X_OK) && is_good;
    }
    return is_good;
}

static bool runtimes_check(const struct config *config)
{
    bool is_good = config->runtime_count > 0;

    if (!is_good)
        fprintf(stderr, "runtimes: there is no OCI runtime; install crun or runc\n");
    for (size_t i = 0; i < config->runtime_count; i++)
        is_good = file_check("runtime", config->runtimes[i].path, X_OK) && is_good;
    for (size_t i = 0; config->default_runtime_name && i <= config->runtime_count; i++) {
        if (i == config->runtime_count) {
            fprintf(stderr, "default_runtime_name: no runtime \"%s\"\n", config->default_runtime_name);
            return false;
        }
        if (strcmp(config->runtimes[i].name, config->default_runtime_name) == 0)
            break;
    }
    return is_good;
}

int cli_check(const struct config *config, int argc, char **argv)
{
    if (argc != 1) {
        fprintf(stderr, "bulkhead check: unknown argument \"%s\"\n", argv[1]);
        return CLI_USAGE;
    }
    bool is_good = programs_check(config);
    is_good = runtimes_check(config) && is_good;
    if (!file_check("cni.conf_dir", config->cni_conf_dir, R_OK))
        fprintf(stderr, "  (a warning: pods without host network wait until a network is configured there)\n");
    if (!is_good)
        return CLI_FAILED;
    printf("configuration is good: %s\n", config->file ? config->file : "defaults");
    return CLI_OK;
}
