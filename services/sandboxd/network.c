/* How net.d is read: the keeper opens, as its files are often root's alone. */
#include "services/sandboxd/network.h"

#include <dirent.h>
#include <string.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/memory.h"

enum { NAMES_MAX = 1024, KEEPER_LIMIT_S = 10 };

/* Opens net.d/name, or net.d itself for "". */
static struct error *net_d_open(struct sandboxd *d, const char *name, int *ret_fd)
{
    struct keeper_message request = {.type = KEEPER_OPEN_FILE, .directory = KEEPER_DIRECTORY_CNI};
    struct keeper_message reply;
    int fds[FD_PASS_MAX];
    size_t count = 0;

    if (strlen(name) >= sizeof(request.name))
        return error_new(ERROR_INVALID_ARGUMENT, "the file name is too long: %s", name);
    memcpy(request.name, name, strlen(name));
    TRY(keeper_client_call(d->keeper, &request, NULL, 0, clock_boottime_ns() + KEEPER_LIMIT_S * 1000000000ll, &reply, fds,
                           &count));
    if (count != 1) {
        fds_close(fds, count);
        return error_new(ERROR_INTERNAL, "the keeper opened nothing");
    }
    *ret_fd = fds[0];
    return NULL;
}

/* The name of the file to use, or NULL. The caller frees it. */
static char *net_d_choose(int fd)
{
    DIR *directory = fdopendir(fd);
    struct dirent *entry;
    char *names[NAMES_MAX];
    size_t count = 0;

    if (!directory) {
        close(fd);
        return NULL;
    }
    while (count < NAMES_MAX && (entry = readdir(directory)))
        if (entry->d_name[0] != '.')
            names[count++] = xstrdup(entry->d_name);
    closedir(directory);
    const char *chosen = cni_choose((const char *const *)names, count);
    char *copy = chosen ? xstrdup(chosen) : NULL;
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    return copy;
}

static struct error *no_configuration(struct sandboxd *d)
{
    return error_new(ERROR_FAILED_PRECONDITION, "no network configuration (*.conf, *.conflist, *.json) in %s",
                     d->config->cni_conf_dir);
}

static struct error *plugins_check(struct sandboxd *d, const struct cni_network *network)
{
    for (size_t i = 0; i < cni_network_plugin_count(network); i++) {
        autofree char *path = NULL;
        struct error *error = cni_network_find_plugin(network, i, d->config->cni_bin_dirs, &path);
        if (error) {
            error->code = ERROR_FAILED_PRECONDITION;
            return error_wrap(error, "network \"%s\"", cni_network_name(network));
        }
    }
    return NULL;
}

static struct error *network_read(struct sandboxd *d, struct cni_network **ret, const char **reason)
{
    int directory_fd = -1;
    autoclose int fd = -1;
    autofree char *data = NULL;
    size_t size = 0;

    *reason = "NoConfiguration";
    struct error *error = net_d_open(d, "", &directory_fd);
    if (error && error->code == ERROR_NOT_FOUND) {
        error_free(error);
        return no_configuration(d);
    }
    TRY_TO(error, "%s", d->config->cni_conf_dir);
    autofree char *name = net_d_choose(directory_fd);
    if (!name)
        return no_configuration(d);
    *reason = "InvalidConfiguration";
    TRY_TO(net_d_open(d, name, &fd), "%s/%s", d->config->cni_conf_dir, name);
    TRY_TO(fd_read_all(fd, CNI_CONFIG_MAX, &data, &size), "%s/%s", d->config->cni_conf_dir, name);
    return cni_network_parse(name, data, size, ret);
}

struct error *network_load(struct sandboxd *d, struct cni_network **ret, const char **ret_reason)
{
    autoptr(cni_network) network = NULL;
    const char *reason = NULL;

    struct error *error = network_read(d, &network, ret_reason ? ret_reason : &reason);
    TRY(error);
    if (ret_reason)
        *ret_reason = "PluginMissing";
    TRY(plugins_check(d, network));
    *ret = TAKE(network);
    return NULL;
}
