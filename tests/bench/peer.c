/* How containerd is configured to be compared. */
#include "tests/bench/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/memory.h"

static const char pause_script[] =
    "skopeo --insecure-policy copy -q --src-tls-verify=false docker://$R/library/busybox:test oci:pause:latest && "
    "umoci config --image pause:latest --config.cmd /bin/sleep --config.cmd 1000000 && "
    "skopeo --insecure-policy copy -q --dest-tls-verify=false oci:pause:latest docker://$R/library/pause:test";

static struct error *config_write(const char *directory, const struct node *node)
{
    autofree char *path = xasprintf("%s/config.toml", directory);
    FILE *file = fopen(path, "we");

    if (!file)
        return error_errno(errno, "write %s", path);
    fprintf(
        file,
        "version = 3\nroot = \"%s/root\"\nstate = \"%s/state\"\n[grpc]\naddress = \"%s/sock\"\n"
        "[plugins.'io.containerd.cri.v1.images'.pinned_images]\nsandbox = \"docker.io/library/pause:test\"\n"
        "[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = \"%s/certs\"\n"
        "[plugins.'io.containerd.cri.v1.runtime']\nrestrict_oom_score_adj = true\n"
        "[plugins.'io.containerd.cri.v1.runtime'.cni]\nbin_dirs = [\"/usr/lib/cni\"]\nconf_dir = \"%s/net.d\"\n"
        "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n"
        "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\nBinaryName = \"/usr/sbin/runc\"\n",
        directory, directory, directory, directory, node->directory);
    return fclose(file) == 0 ? NULL : error_errno(errno, "write %s", path);
}

static struct error *hosts_write(const char *directory, const struct registry_server *registry)
{
    autofree char *certs = xasprintf("%s/certs", directory), *host = xasprintf("%s/docker.io", certs);
    autofree char *path = xasprintf("%s/hosts.toml", host);

    if (mkdir(certs, 0755) < 0 || mkdir(host, 0755) < 0)
        return error_errno(errno, "make %s", host);
    FILE *file = fopen(path, "we");
    if (!file)
        return error_errno(errno, "write %s", path);
    fprintf(file, "server = \"https://docker.io\"\n[host.\"%s\"]\ncapabilities = [\"pull\", \"resolve\"]\n",
            registry->url);
    return fclose(file) == 0 ? NULL : error_errno(errno, "write %s", path);
}

static _Noreturn void peer_exec(const char *programs, const char *directory)
{
    autofree char *program = xasprintf("%s/containerd", programs), *config = xasprintf("%s/config.toml", directory);
    autofree char *log = xasprintf("%s/log", directory), *path = xasprintf("%s:%s", programs, getenv("PATH"));
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);

    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    setenv("PATH", path, 1); /* it looks for its shim there */
    execl(program, program, "--config", config, (char *)NULL);
    _exit(127);
}

struct error *peer_start(const struct node *node, struct registry_server *registry, const char *programs,
                         pid_t *ret_pid, char **ret_address)
{
    autofree char *directory = xasprintf("%s/peer", node->directory);

    if (mkdir(directory, 0755) < 0)
        return error_errno(errno, "make %s", directory);
    TRY(registry_server_script(registry, pause_script));
    TRY(config_write(directory, node));
    TRY(hosts_write(directory, registry));
    *ret_pid = fork();
    if (*ret_pid == 0)
        peer_exec(programs, directory);
    if (*ret_pid < 0)
        return error_errno(errno, "fork");
    *ret_address = xasprintf("%s/sock", directory);
    return NULL;
}
