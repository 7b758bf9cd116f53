/* `bulkhead check`: what can be known to be wrong before a start. The configuration itself was checked when it was
 * loaded. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/memory.h"
#include "services/sandboxd/cgroup_driver.h"
#include "services/sandboxd/runtime.h"

static bool program_check(const char *what, const char *path)
{
    bool is_there = access(path, X_OK) == 0;

    if (!is_there)
        fprintf(stderr, "%s: %s is missing or not executable\n", what, path);
    return is_there;
}

static bool programs_check(const struct config *config)
{
    static const char *const names[] = {"keeper", "supervisor", "criapi", "sandboxd", "imaged",
                                        "logd",   "shim",       "fetch",  "unpack"};
    bool is_good = true;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        autofree char *path = xasprintf("%s/bulkhead-%s", config->programs, names[i]);
        is_good = program_check("program", path) && is_good;
    }
    return is_good;
}

static bool runtimes_check(const struct config *config)
{
    const struct config_runtime *chosen = runtime_default(config);
    bool is_good = chosen != NULL;

    if (!is_good)
        fprintf(stderr, "runtimes: there is no OCI runtime; install crun or runc\n");
    for (size_t i = 0; i < config->runtime_count; i++) {
        const struct config_runtime *runtime = &config->runtimes[i];
        is_good = program_check("runtime", runtime->path) && is_good;
        printf("runtime: %s (%s)%s\n", runtime->name, runtime->path, runtime == chosen ? ", the default" : "");
    }
    return is_good;
}

static bool cgroups_check(const struct config *config)
{
    autoptr(error) failure = cgroup_driver_check(config);

    if (failure)
        fprintf(stderr, "%s\n", failure->text);
    else
        printf("cgroup driver: %s\n", config->cgroup_driver);
    return !failure;
}

int cli_check(const struct config *config, int argc, char **argv)
{
    if (argc != 1) {
        fprintf(stderr, "bulkhead check: unknown argument \"%s\"\n", argv[1]);
        return CLI_USAGE;
    }
    bool is_good = programs_check(config);
    is_good = runtimes_check(config) && is_good;
    is_good = cgroups_check(config) && is_good;
    is_good = check_network(config) && is_good;
    is_good = check_registries(config) && is_good;
    if (!is_good)
        return CLI_FAILED;
    printf("configuration is good: %s\n", config->file ? config->file : "defaults");
    return CLI_OK;
}
