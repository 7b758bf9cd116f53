/* How a test starts, kills, counts and ends a whole node. */
#include "tests/support/node.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/loopback.h"
#include "common/memory.h"
#include "common/shim_protocol.h"
#include "proto/cri.pb-c.h"
#include "cli/clients/cri_client.h"

enum { READY_TIMEOUT_S = 60, CENSUS_TIMEOUT_S = 20, PAUSE_US = 20000, NODE_PROCESSES_MAX = 256 };

static const char *const programs[] = {"keeper", "supervisor", "criapi", "sandboxd", "imaged", "logd", "shim", "fetch", "unpack", "stream"};

static void must(int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "node: %s: %s\n", what, strerror(errno));
    _exit(2);
}

void node_isolate(void)
{
    must(unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare");
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / private");
    must(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL), "make / shared");
    const char *version = getenv("BULKHEAD_TEST_CGROUP");
    if (version && !strcmp(version, "2"))
        must(mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL), "show the version 2 cgroups alone");
    else if (access("/sys/fs/cgroup/unified/cgroup.controllers", F_OK) == 0)
        must(mount("none", "/sys/fs/cgroup/unified", "tmpfs", 0, NULL), "hide the version 2 cgroups");
    autoptr(error) down = loopback_up();
    if (down) {
        fprintf(stderr, "node: %s\n", down->text);
        _exit(2);
    }
}

static struct error *file_write(const char *directory, const char *name, const char *text)
{
    autofree char *path = xasprintf("%s/%s", directory, name);
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0)
        return error_errno(errno, "open %s", path);
    return fd_write_all(fd, text, strlen(text));
}

static struct error *directories_make(const struct node *node)
{
    static const char *const names[] = {"", "/net.d", "/certs.d", "/certs.d/docker.io", "/logs"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        autofree char *path = xasprintf("%s%s", node->directory, names[i]);
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return error_errno(errno, "make %s", path);
    }
    return chmod(node->directory, 0755) < 0 ? error_errno(errno, "chmod") : NULL;
}

/* "$DIR" stands for the node's directory; the caller frees it. */
static char *directory_expand(const struct node *node, const char *text)
{
    char *result = xstrdup(text);

    for (char *at; (at = strstr(result, "$DIR"));) {
        autofree char *before = result;
        result = xasprintf("%.*s%s%s", (int)(at - before), before, node->directory, at + strlen("$DIR"));
    }
    return result;
}

static struct error *files_make(const struct node *node, const char *mirror, const char *more)
{
    autofree char *extra = directory_expand(node, more ? more : "");
    bool has_cni = strstr(extra, "\"cni\"") != NULL;
    autofree char *network = xasprintf(
        "{\"cniVersion\": \"1.0.0\", \"name\": \"bhn\", \"plugins\": [{\"type\": \"bridge\", \"bridge\": \"bhn0\", "
        "\"isGateway\": true, \"ipMasq\": true, \"ipam\": {\"type\": \"host-local\", \"dataDir\": \"%s/ipam\", "
        "\"ranges\": [[{\"subnet\": \"10.198.0.0/24\"}]], \"routes\": [{\"dst\": \"0.0.0.0/0\"}]}}, "
        "{\"type\": \"portmap\", \"capabilities\": {\"portMappings\": true}}]}",
        node->directory);
    autofree char *hosts = xasprintf("{\"server\": \"https://docker.io\", \"host\": {\"%s\": {\"capabilities\": [\"pull\", \"resolve\"]}}}",
                                     mirror ? mirror : "http://127.0.0.1:1");
    autofree char *cni = has_cni ? xstrdup("") : xasprintf(", \"cni\": {\"conf_dir\": \"%s/net.d\"}", node->directory);
    autofree char *config = xasprintf("{\"registry\": {\"config_path\": \"%s/certs.d\"}%s%s%s%s}", node->directory, cni,
                                      node->has_systemd_driver ? ", \"cgroup_driver\": \"systemd\"" : "", *extra ? ", " : "", extra);

    TRY(file_write(node->directory, "net.d/10-bhn.conflist", network));
    TRY(file_write(node->directory, "certs.d/docker.io/hosts.json", hosts));
    return file_write(node->directory, "config.json", config);
}

struct error *node_start(struct node *node)
{
    const char *bin = getenv("BULKHEAD_PROGRAMS");
    autofree char *program = xasprintf("%s/bulkhead", bin ? bin : "bin");
    autofree char *config = xasprintf("%s/config.json", node->directory);
    autofree char *log = xasprintf("%s/bulkhead.log", node->directory);
    pid_t parent = getpid();

    node->backstop = fork();
    if (node->backstop < 0)
        return error_errno(errno, "fork");
    if (node->backstop > 0)
        return NULL;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 || getppid() != parent)
        _exit(2);
    execl(program, "bulkhead", "run", "--config", config, "--root", node->root, "--state", node->state, "--address",
          node->address, (char *)NULL);
    _exit(2);
}

struct error *node_make(struct node *node, const char *mirror, const char *extra)
{
    char template[] = "/tmp/bhn.XXXXXX";

    *node = (struct node){0};
    if (!mkdtemp(template))
        return error_errno(errno, "mkdtemp");
    node->directory = xstrdup(template);
    node->root = xasprintf("%s/r", template);
    node->state = xasprintf("%s/s", template);
    node->address = xasprintf("%s/s/bulkhead.sock", template);
    const char *driver = getenv("BULKHEAD_TEST_CGROUP_DRIVER");
    node->has_systemd_driver = driver && !strcmp(driver, "systemd");
    node->cgroup = xasprintf(node->has_systemd_driver ? "/bhn%d.slice" : "/bhn-%d", getpid());
    TRY(directories_make(node));
    return files_make(node, mirror, extra);
}

struct error *node_open(struct node *node, const char *mirror, const char *extra)
{
    TRY(node_make(node, mirror, extra));
    TRY(node_start(node));
    return cri_client_open(node->address, &node->client);
}

/* A dash parts the names of a slice and of those above it: the kubelet writes an underscore for it. */
char *node_cgroup_parent(const struct node *node, const char *name)
{
    autofree char *plain = xstrdup(name);

    if (!node->has_systemd_driver)
        return xasprintf("%s/%s", node->cgroup, name);
    for (char *dash = plain; (dash = strchr(dash, '-'));)
        *dash = '_';
    return xasprintf("%s/%.*s-%s.slice", node->cgroup, (int)(strlen(node->cgroup + 1) - strlen(".slice")), node->cgroup + 1, plain);
}

bool host_has_cgroup2(void)
{
    return access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
}

char *node_container_cgroup(const char *controller, const char *parent, const char *pod_id, const char *id)
{
    autofree char *top = host_has_cgroup2() ? xstrdup("/sys/fs/cgroup") : xasprintf("/sys/fs/cgroup/%s", controller);
    bool is_slice = strlen(parent) > 6 && !strcmp(parent + strlen(parent) - 6, ".slice");

    return is_slice ? xasprintf("%s%s/cri-bulkhead-%s.scope", top, parent, id) : xasprintf("%s%s/%s/%s", top, parent, pod_id, id);
}

static struct error *status_check(struct node *node, bool *ret_ready)
{
    autofree uint8_t *reply = NULL;
    size_t size = 0;

    *ret_ready = false;
    TRY(cri_client_call(node->client, "RuntimeService", "Status", NULL, 0, 5000, &reply, &size));
    Runtime__V1__StatusResponse *status = runtime__v1__status_response__unpack(NULL, size, reply);
    if (!status)
        return error_new(ERROR_INTERNAL, "Status does not parse");
    *ret_ready = status->status && status->status->n_conditions >= 2;
    for (size_t i = 0; status->status && i < status->status->n_conditions; i++)
        *ret_ready = *ret_ready && status->status->conditions[i]->status;
    runtime__v1__status_response__free_unpacked(status, NULL);
    return NULL;
}

struct error *node_wait_ready(struct node *node)
{
    int64_t end = clock_boottime_ns() + READY_TIMEOUT_S * INT64_C(1000000000);
    bool ready = false;

    for (;;) {
        struct error *error = status_check(node, &ready);
        if (ready)
            return NULL;
        if (clock_boottime_ns() > end)
            return error ? error : error_new(ERROR_DEADLINE_EXCEEDED, "the node did not become ready");
        error_free(error);
        usleep(PAUSE_US);
    }
}

/* Is this the command line of that program, with this node's state directory? cmdline has NULs between its arguments. */
static bool command_matches(const char *cmdline, size_t size, const char *program, const char *state)
{
    autofree char *name = xasprintf("bulkhead-%s", program);
    size_t first = strnlen(cmdline, size);
    const char *slash = memrchr(cmdline, '/', first);

    if (strcmp(slash ? slash + 1 : cmdline, name) != 0)
        return false;
    return memmem(cmdline, size, state, strlen(state) + 1) != NULL;
}

static bool process_matches(const char *pid, const char *program, const char *state)
{
    autofree char *path = xasprintf("/proc/%s/cmdline", pid);
    char *cmdline = NULL;
    size_t size = 0;
    autoptr(error) error = file_read_all(path, 1 << 16, &cmdline, &size);

    if (error)
        return false;
    bool matches = size > 0 && command_matches(cmdline, size, program, state);
    free(cmdline);
    return matches;
}

/* A shim's helper for one task is a fork of it, there for a moment: it is no process of the node's own. */
static bool process_is_fork(const char *pid, const char *program, const char *state)
{
    autofree char *path = xasprintf("/proc/%s/stat", pid);
    autofree char *text = NULL;
    char parent[16] = "";
    size_t size = 0;
    autoptr(error) error = file_read_all(path, 4096, &text, &size);
    const char *end = error ? NULL : strrchr(text, ')');

    return end && sscanf(end, ") %*c %15s", parent) == 1 && process_matches(parent, program, state);
}

static size_t processes_find(const struct node *node, const char *program, pid_t pids[NODE_PROCESSES_MAX])
{
    DIR *proc = opendir("/proc");
    size_t count = 0;

    for (struct dirent *entry; proc && (entry = readdir(proc));)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && count < NODE_PROCESSES_MAX &&
            process_matches(entry->d_name, program, node->state) && !process_is_fork(entry->d_name, program, node->state))
            pids[count++] = (pid_t)strtol(entry->d_name, NULL, 10);
    if (proc)
        closedir(proc);
    return count;
}

pid_t node_process(const struct node *node, const char *program)
{
    pid_t pids[NODE_PROCESSES_MAX];

    if (!strcmp(program, "backstop"))
        return node->backstop;
    return processes_find(node, program, pids) ? pids[0] : 0;
}

size_t node_process_count(const struct node *node, const char *program)
{
    pid_t pids[NODE_PROCESSES_MAX];

    return processes_find(node, program, pids);
}

struct error *node_kill(struct node *node, const char *program)
{
    pid_t pid = node_process(node, program);

    if (pid <= 0 || kill(pid, SIGKILL) < 0)
        return error_new(ERROR_NOT_FOUND, "no %s to kill", program);
    if (strcmp(program, "backstop") != 0)
        return NULL;
    waitpid(pid, NULL, 0);
    return node_start(node);
}

/* Counts what nftw finds below a directory. */
static _Thread_local size_t found;
static int count_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)path, (void)info, (void)type;
    found += where->level > 0;
    return 0;
}

static size_t entries_below(const char *directory, const char *name)
{
    autofree char *path = xasprintf("%s/%s", directory, name);

    found = 0;
    nftw(path, count_entry, 16, FTW_PHYS | FTW_MOUNT);
    return found;
}

static size_t lines_with(const char *command)
{
    char line[4096];
    size_t count = 0;
    FILE *output = popen(command, "r");

    while (output && fgets(line, sizeof(line), output))
        count++;
    if (output)
        pclose(output);
    return count;
}

static size_t mounts_below(const char *directory)
{
    autofree char *command = xasprintf("grep -F ' %s/' /proc/self/mountinfo", directory);

    return lines_with(command);
}

static size_t process_entries(pid_t pid, const char *what)
{
    autofree char *path = xasprintf("/proc/%d/%s", pid, what);
    DIR *directory = opendir(path);
    size_t count = 0;

    for (const struct dirent *entry; directory && (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    if (directory)
        closedir(directory);
    return count;
}

size_t node_thread_count(const struct node *node, const char *program)
{
    return process_entries(node_process(node, program), "task");
}

static unsigned long numbers_sum(const char *path, const char *const names[], size_t count)
{
    unsigned long sum = 0;
    char line[256];
    FILE *file = fopen(path, "r");

    while (file && fgets(line, sizeof(line), file))
        for (size_t i = 0; i < count; i++)
            if (!strncmp(line, names[i], strlen(names[i])))
                sum += strtoul(line + strlen(names[i]), NULL, 10);
    if (file)
        fclose(file);
    return sum;
}

unsigned long node_activity(const struct node *node, const char *program)
{
    static const char *const io[] = {"syscr:", "syscw:"};
    static const char *const switches[] = {"voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"};
    pid_t pid = node_process(node, program);
    autofree char *io_path = xasprintf("/proc/%d/io", pid);
    autofree char *tasks = xasprintf("/proc/%d/task", pid);
    unsigned long sum = numbers_sum(io_path, io, 2);
    DIR *directory = opendir(tasks);

    for (const struct dirent *entry; directory && (entry = readdir(directory));) {
        autofree char *status = xasprintf("%s/%s/status", tasks, entry->d_name);
        if (entry->d_name[0] != '.')
            sum += numbers_sum(status, switches, 2);
    }
    if (directory)
        closedir(directory);
    return sum;
}

/* Lists them. Slices are the kubelet's to remove, here the test's. A pod of the systemd driver has a group of the shim's own, not of this
 * node if another's shim has its directory. */
static char *cgroups_command(const struct node *node)
{
    if (!node->has_systemd_driver)
        return xasprintf("find /sys/fs/cgroup -path '*/unified' -prune -o -type d -path '*%s/*' -print 2>/dev/null", node->cgroup);
    return xasprintf("find /sys/fs/cgroup -type d -path '*%s/*' ! -name '*.slice' -print 2>/dev/null;"
                     " for d in /sys/fs/cgroup" SHIM_CGROUP_PARENT "/*/; do ls -d /tmp/bhn.*/s/shim/$(basename $d) 2>/dev/null |"
                     " grep -vq '^%s/' || find $d -type d 2>/dev/null; done",
                     node->cgroup, node->directory);
}

char *node_census(const struct node *node)
{
    autofree char *cgroups = cgroups_command(node);
    autofree char *leases = xasprintf("find %s/ipam -name '10.*' 2>/dev/null", node->directory);
    char *text = xasprintf("mounts %zu\nleases %zu\nrules %zu\nveths %zu\ncgroups %zu\nshim state %zu\nshim root %zu\n"
                           "pods %zu\ncontainers %zu\nstate %zu\nroot %zu\n",
                           mounts_below(node->directory), lines_with(leases),
                           lines_with("iptables-save 2>/dev/null | grep -e '^-A' | grep -F 10.198."),
                           lines_with("ip -o link show type veth"), lines_with(cgroups), entries_below(node->state, "shim"),
                           entries_below(node->root, "shim"), entries_below(node->root, "sandboxd/pods"),
                           entries_below(node->root, "sandboxd/containers"),
                           entries_below(node->state, "") - entries_below(node->state, "keeper/exits"),
                           entries_below(node->root, ""));

    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        autofree char *before = text;
        pid_t pid = node_process(node, programs[i]);
        text = xasprintf("%s%s %zu fds %zu\n", before, programs[i], node_process_count(node, programs[i]),
                         process_entries(pid, "fd"));
    }
    return text;
}

char *node_census_at_rest(const struct node *node)
{
    char *census = node_census(node);

    for (unsigned i = 0; i < 60; i++) {
        autofree char *before = census;
        sleep(1);
        census = node_census(node);
        if (!strcmp(before, census))
            break;
    }
    return census;
}

/* Names what may be left, for the reader of a failure. */
static char *files_list(const struct node *node)
{
    autofree char *command = xasprintf("cd %s && find s/shim r/shim r/sandboxd -mindepth 1 | sed -E 's/([0-9a-f]{6})[0-9a-f]{58}/\\1/g'", node->directory);
    FILE *output = popen(command, "r");
    char *text = xstrdup(""), line[4096];

    while (output && fgets(line, sizeof(line), output) && strlen(text) < 8000) {
        autofree char *before = text;
        text = xasprintf("%s%s", before, line);
    }
    if (output)
        pclose(output);
    return text;
}

static bool line_is_within(const char *now, const char *before)
{
    unsigned now_count = 0, before_count = 0;
    unsigned long now_fds = 0, before_fds = 0;

    if (sscanf(now, "%*s %u fds %lu", &now_count, &now_fds) == 2 &&
        sscanf(before, "%*s %u fds %lu", &before_count, &before_fds) == 2)
        return now_count == before_count && now_fds <= before_fds;
    size_t length = strcspn(now, "\n");
    return length == strcspn(before, "\n") && !strncmp(now, before, length);
}

/* Equal, but for descriptors, of which there may be fewer: what was just ending at the first census has ended at the second. */
static bool census_is_within(const char *now, const char *before)
{
    while (*now && *before) {
        if (!line_is_within(now, before))
            return false;
        now += strcspn(now, "\n") + 1;
        before += strcspn(before, "\n") + 1;
    }
    return *now == *before;
}

struct error *node_wait_census(const struct node *node, const char *before)
{
    int64_t end = clock_boottime_ns() + CENSUS_TIMEOUT_S * INT64_C(1000000000);

    for (;;) {
        autofree char *now = node_census(node);
        if (census_is_within(now, before))
            return NULL;
        if (clock_boottime_ns() > end) {
            autofree char *files = files_list(node);
            return error_new(ERROR_INTERNAL, "something is left behind; before:\n%safter:\n%s%s", before, now, files);
        }
        usleep(PAUSE_US * 5);
    }
}

static void processes_end(struct node *node)
{
    pid_t pids[NODE_PROCESSES_MAX];

    if (node->backstop > 0) {
        kill(node->backstop, SIGTERM);
        waitpid(node->backstop, NULL, 0);
    }
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        for (size_t count = processes_find(node, programs[i], pids); count > 0; count--)
            kill(pids[count - 1], SIGKILL);
}

/* Kills what is left in the node's cgroups and removes them, and unmounts what is left below its directory. In the hidden version 2 tree
 * a runtime's files name pids of long ago. */
static void remains_end(const struct node *node)
{
    autofree char *slice = xasprintf("systemctl stop %s", node->cgroup + 1);
    autofree char *command = xasprintf(
        "for d in $(find /sys/fs/cgroup -path '*/unified' -prune -o -type d -path '*%s*' -print 2>/dev/null | sort -r); do"
        " for p in $(cat $d/cgroup.procs 2>/dev/null); do kill -9 $p; done; done; sleep 0.1;"
        " find /sys/fs/cgroup -depth -type d -path '*%s*' -exec rmdir {} + 2>/dev/null;"
        " for m in $(grep -F ' %s/' /proc/self/mountinfo | cut -d' ' -f5 | sort -r); do umount -l $m; done; rm -rf %s",
        node->cgroup, node->cgroup, node->directory, node->directory);

    if (node->has_systemd_driver && system(slice) != 0)
        fprintf(stderr, "node: %s: it failed\n", slice);
    if (system(command) < 0)
        fprintf(stderr, "node: cleaning up: %s\n", strerror(errno));
}

void node_close(struct node *node)
{
    if (node->client)
        cri_client_close(node->client);
    if (node->directory) {
        processes_end(node);
        remains_end(node);
    }
    free(node->directory);
    free(node->root);
    free(node->state);
    free(node->address);
    free(node->cgroup);
    *node = (struct node){0};
}
