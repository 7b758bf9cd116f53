/* How the node's files look, and who starts `bulkhead run` again. */
#include "cli/chaos/node.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"

extern char **environ;

enum { PAUSE_US = 50000 };

struct node {
    char *program, *log;
    const struct config *config;
    pthread_t thread;
    atomic_int backstop; /* its pid */
    atomic_bool is_ending;
};

/* ---- files ---- */

static struct error *file_write(const char *path, const char *text)
{
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    return fd < 0 ? error_errno(errno, "open %s", path) : fd_write_all(fd, text, strlen(text));
}

static struct error *network_write(const char *directory)
{
    autofree char *folder = xasprintf("%s/net.d", directory);
    autofree char *path = xasprintf("%s/10-chaos.conflist", folder);
    autofree char *text = xasprintf(
        "{\"cniVersion\": \"1.0.0\", \"name\": \"chaos\", \"plugins\": [{\"type\": \"bridge\", \"bridge\": \"bhc0\", "
        "\"isGateway\": true, \"ipMasq\": true, \"ipam\": {\"type\": \"host-local\", \"dataDir\": \"%s/ipam\", "
        "\"ranges\": [[{\"subnet\": \"10.197.0.0/20\"}]], \"routes\": [{\"dst\": \"0.0.0.0/0\"}]}}, "
        "{\"type\": \"portmap\", \"capabilities\": {\"portMappings\": true}}]}\n",
        directory);

    if (mkdir(folder, 0755) < 0)
        return error_errno(errno, "mkdir %s", folder);
    return file_write(path, text);
}

/* A member that is a copy of the user's object, or a new one. */
static json_t *member_get(json_t *all, const char *name)
{
    if (!json_is_object(json_object_get(all, name)))
        json_object_set_new(all, name, json_object());
    return json_object_get(all, name);
}

static struct error *config_write(const char *directory, const struct config *user, const char *path)
{
    autofree char *root = xasprintf("%s/r", directory), *state = xasprintf("%s/s", directory);
    autofree char *address = xasprintf("%s/s/bulkhead.sock", directory), *networks = xasprintf("%s/net.d", directory);
    json_error_t wrong;
    json_t *all = user->file ? json_load_file(user->file, 0, &wrong) : json_object();

    if (!all)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: %s", user->file, wrong.text);
    json_object_set_new(all, "root", json_string(root));
    json_object_set_new(all, "state", json_string(state));
    json_object_set_new(all, "programs", json_string(user->programs));
    json_object_set_new(all, "log_level", json_string(user->log_level));
    json_object_set_new(member_get(all, "grpc"), "address", json_string(address));
    json_object_set_new(member_get(all, "cni"), "conf_dir", json_string(networks));
    int failed = json_dump_file(all, path, JSON_INDENT(2));
    json_decref(all);
    return failed ? error_new(ERROR_INTERNAL, "cannot write %s", path) : NULL;
}

struct error *node_configure(const char *directory, const struct config *user, struct config **ret)
{
    autofree char *path = xasprintf("%s/config.json", directory);

    TRY(network_write(directory));
    TRY(config_write(directory, user, path));
    return config_load(path, ret);
}

/* ---- `bulkhead run` ---- */

static struct error *backstop_spawn(struct node *node)
{
    const struct config *config = node->config;
    char *const arguments[] = {node->program,  (char *)"run",       (char *)"--config", config->file,
                               (char *)"--root", config->root,      (char *)"--state",  config->state,
                               (char *)"--address", config->address, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid = 0;

    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, node->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    int failed = posix_spawn(&pid, node->program, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failed)
        return error_errno(failed, "start %s", node->program);
    atomic_store(&node->backstop, pid);
    return NULL;
}

/* Orphans of the tree come to the first process of the namespace, which is this one. */
static void *reaper_run(void *argument)
{
    struct node *node = argument;

    for (;;) {
        pid_t pid = waitpid(-1, NULL, 0);
        if (pid > 0 && pid != atomic_load(&node->backstop))
            continue;
        if (atomic_load(&node->is_ending))
            return NULL;
        if (pid < 0) /* it could not be started the last time */
            usleep(PAUSE_US);
        error_free(backstop_spawn(node));
    }
}

/* Beside the others, or where an installation has it. */
static char *program_find(const struct config *config)
{
    char *path = xasprintf("%s/bulkhead", config->programs);

    if (access(path, X_OK) == 0)
        return path;
    free(path);
    return xasprintf("%s/../../bin/bulkhead", config->programs);
}

struct error *node_start(const char *directory, const struct config *config, struct node **ret)
{
    struct node *node = xcalloc(1, sizeof(*node));

    node->program = program_find(config);
    node->log = xasprintf("%s/bulkhead.log", directory);
    node->config = config;
    struct error *error = backstop_spawn(node);
    if (!error && pthread_create(&node->thread, NULL, reaper_run, node) != 0)
        error = error_new(ERROR_RESOURCE_EXHAUSTED, "no thread");
    if (!error) {
        *ret = node;
        return NULL;
    }
    free(node->program);
    free(node->log);
    free(node);
    return error;
}

void node_stop(struct node *node)
{
    if (!node)
        return;
    atomic_store(&node->is_ending, true);
    do
        kill(atomic_load(&node->backstop), SIGTERM);
    while (usleep(PAUSE_US), pthread_tryjoin_np(node->thread, NULL) != 0);
    free(node->program);
    free(node->log);
    free(node);
}
