/* `bulkhead check`: whether what is set for each registry can be read. */
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/memory.h"
#include "services/imaged/fetch/hosts.h"

static bool has_file(const char *directory, const char *host, const char *name)
{
    autofree char *path = xasprintf("%s/%s/%s", directory, host, name);

    return access(path, F_OK) == 0;
}

static bool host_check(const char *directory, const char *host)
{
    autoptr(registry_hosts) hosts = NULL;

    if (!has_file(directory, host, "hosts.json")) {
        if (has_file(directory, host, "hosts.toml"))
            fprintf(stderr, "warning: %s/%s/hosts.toml is not read: hosts.json is\n", directory, host);
        return true;
    }
    autoptr(error) wrong = registry_hosts_load(directory, host, &hosts);
    if (!wrong)
        printf("registry: %s, %zu to ask\n", host, hosts->count);
    else
        fprintf(stderr, "registry.config_path: %s: %s: %s\n", directory, host, wrong->text);
    return !wrong;
}

bool check_registries(const struct config *config)
{
    const char *directory = config->registry_config_path;
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, NULL, alphasort);
    bool is_good = true;

    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.')
            is_good = host_check(directory, entries[i]->d_name) && is_good;
        free(entries[i]);
    }
    free(entries);
    return is_good;
}
