/* `bulkhead check`: whether the network configuration can give a pod a network. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/cni/cni.h"

/* The file that counts, or NULL; the caller frees it. */
static char *file_choose(const char *directory)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, NULL, alphasort);
    autofree const char **names = xcalloc(count > 0 ? (size_t)count : 1, sizeof(*names));

    for (int i = 0; i < count; i++)
        names[i] = entries[i]->d_name;
    const char *chosen = count > 0 ? cni_choose(names, (size_t)count) : NULL;
    char *copy = chosen ? xstrdup(chosen) : NULL;
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return copy;
}

static struct error *network_check(const struct config *config, const char *name, struct cni_network **ret)
{
    autofree char *path = xasprintf("%s/%s", config->cni_conf_dir, name);
    autofree char *text = NULL;
    size_t size = 0;

    TRY(file_read_all(path, CNI_CONFIG_MAX, &text, &size));
    TRY(cni_network_parse(name, text, size, ret));
    for (size_t i = 0; i < cni_network_plugin_count(*ret); i++) {
        autofree char *plugin = NULL;
        TRY_TO(cni_plugin_find(cni_network_plugin_type(*ret, i), config->cni_bin_dirs, &plugin), "network \"%s\"",
               cni_network_name(*ret));
    }
    return NULL;
}

bool check_network(const struct config *config)
{
    autofree char *name = file_choose(config->cni_conf_dir);
    autoptr(cni_network) network = NULL;

    if (!name) {
        fprintf(stderr,
                "warning: no network configuration (*.conf, *.conflist, *.json) in %s: only pods on the host's "
                "network run until there is one\n",
                config->cni_conf_dir);
        return true;
    }
    autoptr(error) wrong = network_check(config, name, &network);
    if (wrong)
        fprintf(stderr, "cni.conf_dir: %s: %s\n", config->cni_conf_dir, wrong->text);
    else
        printf("network: %s (%s/%s)\n", cni_network_name(network), config->cni_conf_dir, name);
    return !wrong;
}
