/* How a test gets a registry of its own, and an image into it. */
#include "tests/support/registry.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "common/memory.h"

enum { READY_TRIES = 500, READY_PAUSE_MS = 20 };

static struct error *shell(const char *script)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        execl("/bin/sh", "sh", "-euc", script, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return error_errno(errno, "run a shell");
    return status == 0 ? NULL : error_new(ERROR_INTERNAL, "status %d of: %s", status, script);
}

static struct error *port_find(unsigned *ret)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return error_errno(errno, "find a free port");
    *ret = ntohs(address.sin_port);
    return NULL;
}

static struct error *ready_wait(const struct registry_server *server)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)server->port),
    };

    for (int i = 0; i < READY_TRIES; i++) {
        autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
            return NULL;
        nanosleep(&(struct timespec){0, READY_PAUSE_MS * 1000000L}, NULL);
    }
    return error_new(ERROR_UNAVAILABLE, "docker-registry does not answer at %s", server->url);
}

static struct error *server_run(struct registry_server *server)
{
    autofree char *config = xasprintf("%s/config.yml", server->directory), *log = xasprintf("%s/log", server->directory);

    server->pid = fork();
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execlp("docker-registry", "docker-registry", "serve", config, (char *)NULL);
        _exit(127);
    }
    return server->pid < 0 ? error_errno(errno, "fork") : ready_wait(server);
}

/* Its storage and address stay, whatever else it asks for. */
static struct error *config_write(struct registry_server *server, const char *tls, const char *auth)
{
    autofree char *path = xasprintf("%s/config.yml", server->directory);
    autofree char *url = server->url;
    FILE *file = fopen(path, "we");

    if (!file)
        return error_errno(errno, "write %s", path);
    fprintf(file, "version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s/data}}\n", server->directory);
    fprintf(file, "http: {addr: 127.0.0.1:%u%s%s}\n", server->port, tls ? ", tls: " : "", tls ? tls : "");
    if (auth)
        fprintf(file, "auth: %s\n", auth);
    server->url = xasprintf("%s://127.0.0.1:%u", tls ? "https" : "http", server->port);
    return fclose(file) == 0 ? NULL : error_errno(errno, "write %s", path);
}

struct error *registry_server_start(struct registry_server *server)
{
    char directory[] = "/tmp/bh-registry-XXXXXX";

    *server = (struct registry_server){.pid = -1};
    if (!mkdtemp(directory))
        return error_errno(errno, "make a directory");
    server->directory = xstrdup(directory);
    TRY(port_find(&server->port));
    TRY(config_write(server, NULL, NULL));
    return server_run(server);
}

static void server_end(struct registry_server *server)
{
    if (server->pid <= 0)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = -1;
}

void registry_server_stop(struct registry_server *server)
{
    server_end(server);
    if (server->directory) {
        autofree char *script = xasprintf("rm -rf %s", server->directory);
        error_free(shell(script));
    }
    free(TAKE(server->directory));
    free(TAKE(server->url));
}

struct error *registry_server_restart(struct registry_server *server)
{
    server_end(server);
    return server_run(server);
}

struct error *registry_server_reconfigure(struct registry_server *server, const char *tls, const char *auth)
{
    server_end(server);
    TRY(config_write(server, tls, auth));
    return server_run(server);
}

/* As OCI names this machine's. */
#if defined(__aarch64__)
static const char architecture[] = "arm64";
#else
static const char architecture[] = "amd64";
#endif

struct error *registry_server_script(const struct registry_server *server, const char *script)
{
    autofree char *whole = xasprintf("cd %s; R=127.0.0.1:%u; A=%s\n%s", server->directory, server->port, architecture, script);

    return shell(whole);
}

size_t registry_server_requests(const struct registry_server *server, const char *text)
{
    autofree char *path = xasprintf("%s/log", server->directory);
    char line[4096];
    size_t count = 0;
    FILE *log = fopen(path, "re");

    while (log && fgets(line, sizeof(line), log))
        count += strstr(line, "\"bulkhead/") && strstr(line, text);
    if (log)
        fclose(log);
    return count;
}

static const char push_script[] =
    "cd %s; rm -rf root layout; mkdir -p root/bin root/etc\n"
    "cp /bin/busybox root/bin/busybox\n"
    "for a in sh ls cat echo sleep true false id date env mount ps wc head tail hostname ip seq test stat kill nc; do ln -s busybox root/bin/$a; done\n"
    "echo 'root:x:0:0:root:/root:/bin/sh' > root/etc/passwd; echo 'user:x:1000:1000::/:/bin/sh' >> root/etc/passwd\n"
    "echo 'root:x:0:' > root/etc/group; echo 'user:x:1000:' >> root/etc/group; echo 'team:x:5000:user' >> root/etc/group\n"
    "umoci init --layout layout; umoci new --image layout:t\n"
    "umoci insert --image layout:t root/bin /bin; umoci insert --image layout:t root/etc /etc\n"
    "if [ %zu -gt 0 ]; then head -c %zu /dev/urandom > root/filler; umoci insert --image layout:t root/filler /filler; fi\n"
    "umoci config --image layout:t --config.cmd /bin/sh --config.env PATH=/bin --config.user 0 --architecture %s --os linux\n"
    "skopeo --insecure-policy copy -q --dest-tls-verify=false oci:layout:t docker://127.0.0.1:%u/%s:%s\n"
    "rm -rf root layout\n";

struct error *registry_server_push(struct registry_server *server, const char *repository, const char *tag, size_t filler_bytes)
{
    autofree char *script = xasprintf(push_script, server->directory, filler_bytes, filler_bytes, architecture, server->port,
                                      repository, tag);

    return shell(script);
}

struct error *registry_server_damage(struct registry_server *server)
{
    autofree char *script = xasprintf("cd %s/data/docker/registry/v2/blobs/sha256; f=$(ls -S */*/data | head -1)\n"
                                      "printf '\\377\\000\\125' | dd of=\"$f\" bs=1 seek=5000 conv=notrunc status=none",
                                      server->directory);

    return shell(script);
}

struct error *registry_server_write_mirror(const struct registry_server *server, const char *path)
{
    autofree char *script = xasprintf("mkdir -p %s/docker.io; printf '{\"host\": {\"%s\": {\"capabilities\": [\"pull\", "
                                      "\"resolve\"]}}, \"server\": \"%s\"}' > %s/docker.io/hosts.json", path, server->url,
                                      server->url, path);

    return shell(script);
}
