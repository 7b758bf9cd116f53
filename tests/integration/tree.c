/* How a test starts, asks, kills and ends a tree whose daemons are stand-ins. */
#include "tests/integration/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/memory.h"

const char *const tree_daemons[TREE_DAEMONS] = {"logd", "imaged", "sandboxd", "criapi"};
static const int64_t second_ns = 1000000000;

void sleep_ms(int ms)
{
    struct timespec wait = {ms / 1000, ms % 1000 * 1000000L};

    nanosleep(&wait, NULL);
}

static char *own_directory(void)
{
    char *programs = getenv("BULKHEAD_PROGRAMS");

    assert_non_null(programs);
    return programs;
}

static void install(const struct tree *tree, const char *from, const char *name)
{
    autofree char *to = xasprintf("%s/bulkhead-%s", tree->programs, name);

    autofree char *command = xasprintf("cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

void tree_install(const struct tree *tree, const char *program, const char *name)
{
    autofree char *from = xasprintf("%s/../tests/%s", own_directory(), program);

    install(tree, from, name);
}

void backstop_start(struct tree *tree)
{
    autofree char *log = xasprintf("%s/log", tree->directory);

    tree->backstop = fork();
    assert_true(tree->backstop >= 0);
    if (tree->backstop == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
        dup2(fd, STDERR_FILENO);
        execl(tree->bulkhead, tree->bulkhead, "--root", tree->root, "--state", tree->state, "--address", tree->address,
              "--programs", tree->programs, "run", NULL);
        _exit(127);
    }
}

json_t *status_read(const struct tree *tree)
{
    autofree char *command = xasprintf("'%s' --root '%s' --state '%s' --programs '%s' status --json", tree->bulkhead,
                                       tree->root, tree->state, tree->programs);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    json_t *status = json_loadf(output, 0, NULL);
    pclose(output);
    assert_non_null(status);
    return status;
}

json_t *row_of(const struct tree *tree, const char *name)
{
    json_t *status = status_read(tree), *row, *found = NULL;
    size_t i;

    json_array_foreach(json_object_get(status, "processes"), i,
                       row) if (strcmp(json_string_value(json_object_get(row, "process")), name) == 0) found =
        json_incref(row);
    json_decref(status);
    return found;
}

long long number_of(const struct tree *tree, const char *name, const char *key)
{
    json_t *row = row_of(tree, name);
    long long number = row ? json_integer_value(json_object_get(row, key)) : 0;

    json_decref(row);
    return number;
}

pid_t pid_of(const struct tree *tree, const char *name)
{
    return wait_for_other(tree, name, 0);
}

static bool is_ready(const struct tree *tree, const char *name)
{
    json_t *row = row_of(tree, name);
    bool ready = row && json_integer_value(json_object_get(row, "pid")) && json_is_true(json_object_get(row, "ready"));

    json_decref(row);
    return ready;
}

pid_t wait_for_other(const struct tree *tree, const char *name, pid_t old)
{
    for (int64_t end = clock_boottime_ns() + 20 * second_ns; clock_boottime_ns() < end; sleep_ms(20)) {
        pid_t pid = (pid_t)number_of(tree, name, "pid");
        if (pid && pid != old && is_ready(tree, name))
            return pid;
    }
    autofree char *text = NULL;
    json_t *status = status_read(tree);
    text = json_dumps(status, JSON_COMPACT);
    json_decref(status);
    fail_msg("no other %s than %d in %s", name, old, text);
    return 0;
}

/* Connects for ever; each connection must be taken, and answered or cut by a kill. */
static void *client_main(void *argument)
{
    struct tree *tree = argument;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, tree->address);
    while (!tree->client_ends) {
        char answer[16];
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
            tree->refused++;
        else if (read(fd, answer, sizeof(answer)) > 0)
            tree->served++;
        close(fd);
        sleep_ms(1);
    }
    return NULL;
}

struct tree *tree_new(const char *state_name)
{
    struct tree *tree = xcalloc(1, sizeof(*tree));
    autofree char *stand_in = xasprintf("%s/../tests/tree-daemon", own_directory());

    strcpy(tree->directory, "/tmp/bulkhead-tree-XXXXXX");
    assert_non_null(mkdtemp(tree->directory));
    chmod(tree->directory, 0755);
    tree->root = xasprintf("%s/root", tree->directory);
    tree->state = xasprintf("%s/%s", tree->directory, state_name);
    tree->address = xasprintf("%s/cri.sock", tree->directory);
    tree->programs = xasprintf("%s/bin", tree->directory);
    tree->bulkhead = xasprintf("%s/bulkhead", own_directory());
    assert_int_equal(mkdir(tree->programs, 0755), 0);
    for (size_t i = 0; i < TREE_DAEMONS; i++)
        install(tree, stand_in, tree_daemons[i]);
    install(tree, stand_in, "shim");
    autofree char *keeper = xasprintf("%s/bulkhead-keeper", own_directory());
    autofree char *supervisor = xasprintf("%s/bulkhead-supervisor", own_directory());
    install(tree, keeper, "keeper");
    install(tree, supervisor, "supervisor");
    return tree;
}

void tree_wait_ready(const struct tree *tree)
{
    for (size_t i = 0; i < TREE_DAEMONS; i++)
        wait_for_other(tree, tree_daemons[i], 0);
}

int tree_setup(void **state)
{
    struct tree *tree = tree_new("state");

    backstop_start(tree);
    tree_wait_ready(tree);
    *state = tree;
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

size_t cgroups_left(const struct tree *tree)
{
    uint32_t hash = 2166136261u;
    size_t count = 0;
    glob_t found;

    for (const char *letter = tree->state; *letter; letter++)
        hash = (hash ^ (unsigned char)*letter) * 16777619u;
    autofree char *pattern = xasprintf("/sys/fs/cgroup/{,*/}bulkhead-%08x", hash);
    if (glob(pattern, GLOB_BRACE, NULL, &found) == 0) {
        count = found.gl_pathc;
        globfree(&found);
    }
    return count;
}

/* Processes that run a program of the tree's own directory. */
static size_t processes_left(const struct tree *tree)
{
    DIR *proc = opendir("/proc");
    size_t count = 0;

    for (struct dirent *entry; (entry = readdir(proc));) {
        char link[300], target[4096];
        snprintf(link, sizeof(link), "/proc/%s/exe", entry->d_name);
        ssize_t size = readlink(link, target, sizeof(target) - 1);
        if (size <= 0 || strncmp(target, tree->programs, strlen(tree->programs)) != 0)
            continue;
        print_message("lives: pid %s %.*s\n", entry->d_name, (int)size, target);
        count++;
    }
    closedir(proc);
    return count;
}

void assert_processes_left(const struct tree *tree, size_t expected)
{
    size_t count = processes_left(tree);

    for (int turn = 0; turn < 100 && count != expected; turn++) {
        sleep_ms(10);
        count = processes_left(tree);
    }
    assert_int_equal(count, expected);
}

void backstop_stop(struct tree *tree)
{
    int status = 0;

    kill(tree->backstop, SIGTERM);
    assert_int_equal(waitpid(tree->backstop, &status, 0), tree->backstop);
    assert_int_equal(status, 0);
}

int tree_teardown(void **state)
{
    struct tree *tree = *state;

    backstop_stop(tree);
    assert_processes_left(tree, 0);
    assert_int_equal(cgroups_left(tree), 0);
    assert_int_equal(access(tree->address, F_OK), -1);
    if (!getenv("BULKHEAD_TEST_KEEP"))
        nftw(tree->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(tree->root);
    free(tree->state);
    free(tree->address);
    free(tree->programs);
    free(tree->bulkhead);
    free(tree);
    return 0;
}

void client_start(struct tree *tree)
{
    tree->served = tree->refused = 0;
    tree->client_ends = false;
    assert_int_equal(pthread_create(&tree->client, NULL, client_main, tree), 0);
}

void client_end(struct tree *tree)
{
    sleep_ms(50);
    tree->client_ends = true;
    pthread_join(tree->client, NULL);
    print_message("served %d connections, refused %d\n", tree->served, tree->refused);
    assert_int_equal(tree->refused, 0);
    assert_true(tree->served > 0);
}

void backstop_kill(struct tree *tree)
{
    kill(tree->backstop, SIGKILL);
    waitpid(tree->backstop, NULL, 0);
}

void shim_spawn(struct keeper_client *client, const char *pod, struct process_id *ret)
{
    struct keeper_message reply, request = {.type = KEEPER_SPAWN, .program = KEEPER_SHIM};
    int fds[KEEPER_SPAWN_FDS];
    size_t count = 0;

    strcpy(request.name, pod);
    autoptr(error) failure = keeper_client_call(client, &request, NULL, 0, 0, &reply, fds, &count);
    if (failure)
        fail_msg("%s", failure->text);
    assert_int_equal(count, 1);
    fds_close(fds, count);
    *ret = reply.process;
}
