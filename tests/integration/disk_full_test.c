/* File systems without space or inodes under the state, the records and the logs: creations are refused with that
 * reason, stops and removals work, containers are not held up, daemons may die, and all is well again when there is
 * space. */
#include "tests/integration/gated_node.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { INODES = 3000, WAIT_S = 60 };

/* One file system that a test fills. */
struct disk {
    const char *path;
    bool of_inodes; /* else of bytes */
};

/* --- the node: three file systems of its own ---------------------------------------------------------------------- */

static void disk_mount(const char *path, const char *size)
{
    autofree char *options = xasprintf("size=%s,nr_inodes=%d,mode=755", size, INODES);

    if ((mkdir(path, 0755) < 0 && errno != EEXIST) || mount("tmpfs", path, "tmpfs", 0, options) < 0)
        fail_msg("mount %s: %s", path, strerror(errno));
}

static char *logs_path(const struct gated_node *gated)
{
    return xasprintf("%s/logs", gated->node.directory);
}

static int open_all(void **state)
{
    struct gated_node *gated = xcalloc(1, sizeof(*gated));
    autofree char *id = NULL;

    *state = gated;
    check(registry_server_start(&gated->registry));
    check(registry_server_push(&gated->registry, "library/busybox", "test", 0));
    check(node_make(&gated->node, gated->registry.url, NULL));
    autofree char *logs = logs_path(gated);
    disk_mount(gated->node.state, "24m");
    disk_mount(gated->node.root, "48m");
    disk_mount(logs, "4m");
    check(node_start(&gated->node));
    check(cri_client_open(gated->node.address, &gated->node.client));
    gated->work = (struct workload){.node = &gated->node, .client = gated->node.client};
    check(node_wait_ready(&gated->node));
    check(workload_pull(&gated->work, busybox, &id));
    gated->census = node_census_at_rest(&gated->node);
    return 0;
}

static int close_all(void **state)
{
    gated_node_close(*state);
    free(*state);
    return 0;
}

/* --- filling ------------------------------------------------------------------------------------------------------ */

static void fill_bytes(const char *path)
{
    static const char block[65536];
    autofree char *name = xasprintf("%s/filler", path);
    int fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ssize_t size = sizeof(block);

    assert_true(fd >= 0);
    while (size > 0) {
        ssize_t written = write(fd, block, (size_t)size);
        size = written > 0 ? written : size / 2; /* to the last byte */
    }
    close(fd);
}

static void fill_inodes(const char *path)
{
    autofree char *directory = xasprintf("%s/fillers", path);

    assert_int_equal(mkdir(directory, 0700), 0);
    for (unsigned i = 0;; i++) {
        autofree char *name = xasprintf("%s/%u", directory, i);
        int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return;
        close(fd);
    }
}

static void fill(const struct disk *disk)
{
    if (disk->of_inodes)
        fill_inodes(disk->path);
    else
        fill_bytes(disk->path);
}

static void empty(const struct disk *disk)
{
    autofree char *command = xasprintf("rm -rf %s/filler %s/fillers", disk->path, disk->path);

    assert_int_equal(system(command), 0);
}

/* After a test that failed in the middle, too. */
static int empty_all(void **state)
{
    const struct gated_node *gated = *state;
    autofree char *logs = logs_path(gated);

    empty(&(struct disk){.path = gated->node.state});
    empty(&(struct disk){.path = gated->node.root});
    empty(&(struct disk){.path = logs});
    return 0;
}

/* --- what must work ----------------------------------------------------------------------------------------------- */

static void create_must_be_refused(struct life *life)
{
    struct life other = *life;

    other.name = "refused";
    other.pod = other.container = NULL;
    check_refused(step_pod_run(&other), ERROR_RESOURCE_EXHAUSTED, "No space left on device");
    other.pod = life->pod;
    check_refused(step_create(&other), ERROR_RESOURCE_EXHAUSTED, "No space left on device");
}

static void whole_life(struct gated_node *gated, const char *name)
{
    struct life life = life_of(gated, name);

    check(step_pod_run(&life));
    check(step_create(&life));
    check(step_start(&life));
    check(step_exec(&life));
    check(step_stop(&life));
    check(step_remove(&life));
    check(step_pod_stop(&life));
    check(step_pod_remove(&life));
    census_must_be_as_before(gated);
    life_free(&life);
}

static struct life running_begin(struct gated_node *gated, const char *name)
{
    struct life life = life_of(gated, name);

    check(step_pod_run(&life));
    check(step_create(&life));
    check(step_start(&life));
    check(step_exec(&life));
    return life;
}

static void running_must_be(struct life *life)
{
    struct workload_state now;

    check(workload_status(&life->work, life->container, &now));
    assert_int_equal(now.state, RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING);
}

/* victim: killed while there is no space; NULL: nobody. */
static void disk_is_full(struct gated_node *gated, const struct disk *disk, const char *victim)
{
    struct life life = running_begin(gated, "running");

    fill(disk);
    create_must_be_refused(&life);
    if (victim)
        kill_and_await(gated, victim);
    running_must_be(&life);
    check(step_stop(&life));
    check(step_remove(&life));
    check(step_pod_stop(&life));
    check(step_pod_remove(&life));
    empty(disk);
    census_must_be_as_before(gated);
    life_free(&life);
    whole_life(gated, "healed");
}

static void without_space_for_the_state_stop_and_remove_work(void **state)
{
    struct gated_node *gated = *state;

    disk_is_full(gated, &(struct disk){.path = gated->node.state}, NULL);
    disk_is_full(gated, &(struct disk){.path = gated->node.state, .of_inodes = true}, NULL);
}

static void without_space_for_the_records_stop_and_remove_work(void **state)
{
    struct gated_node *gated = *state;

    disk_is_full(gated, &(struct disk){.path = gated->node.root}, NULL);
    disk_is_full(gated, &(struct disk){.path = gated->node.root, .of_inodes = true}, NULL);
}

static void daemons_may_die_without_space_for_state_or_records(void **state)
{
    struct gated_node *gated = *state;

    disk_is_full(gated, &(struct disk){.path = gated->node.state}, "sandboxd");
    disk_is_full(gated, &(struct disk){.path = gated->node.state}, "shim");
    disk_is_full(gated, &(struct disk){.path = gated->node.state}, "logd");
    disk_is_full(gated, &(struct disk){.path = gated->node.root}, "sandboxd");
}

/* --- logs --------------------------------------------------------------------------------------------------------- */

static void await_line(const char *path, const char *what)
{
    int64_t end = clock_boottime_ns() + WAIT_S * INT64_C(1000000000);

    for (;;) {
        autofree char *count = line_of("grep -c '%s' %s", what, path);
        if (atoi(count) > 0)
            return;
        if (clock_boottime_ns() > end)
            fail_msg("\"%s\" does not come in %s", what, path);
        usleep(20000);
    }
}

/* A container that writes on and on, and tells on a file of its own how far it has come. */
static struct error *step_create_writer(struct life *life)
{
    static const char script[] =
        "trap 'exit 7' TERM; >/ready; pad=$(printf %01000d 0); n=0;"
        "while :; do echo line $n; echo $pad; n=$((n+1)); [ $((n % 1000)) = 0 ] && echo $n >/count; done";
    const char *const command[] = {"/bin/sh", "-c", script, NULL};

    return workload_create(&life->work, life->pod, false,
                           &(struct workload_container){.name = life->name, .image = busybox, .command = command},
                           &life->container);
}

static int writer_count(struct life *life)
{
    static const char *const command[] = {"/bin/cat", "/count", NULL};
    autofree char *output = NULL;
    int code = -1;

    check(workload_exec(&life->work, life->container, command, &code, &output));
    return atoi(output);
}

static void writer_must_go_on(struct life *life)
{
    int before = writer_count(life);
    int64_t end = clock_boottime_ns() + WAIT_S * INT64_C(1000000000);

    while (writer_count(life) <= before + 20000) { /* far more than pipe and ring hold */
        if (clock_boottime_ns() > end)
            fail_msg("the container is held up at line %d", before);
        usleep(20000);
    }
}

static void without_space_for_logs_containers_go_on_and_the_log_says_what_it_lacks(void **state)
{
    struct gated_node *gated = *state;
    autofree char *logs = logs_path(gated);
    autofree char *path = xasprintf("%s/writer/writer.log", logs);
    const struct disk disk = {.path = logs};
    struct life life = life_of(gated, "writer");

    check(step_pod_run(&life));
    check(step_create_writer(&life));
    check(step_start(&life));
    await_line(path, "line 100$");
    fill(&disk);
    writer_must_go_on(&life);
    kill_and_await(gated, "logd");
    writer_must_go_on(&life);
    struct life other = running_begin(gated, "other"); /* its file is there, but takes nothing */
    check(step_stop(&other));
    check(step_pod_stop(&other));
    check(step_pod_remove(&other));
    life_free(&other);
    empty(&disk);
    await_line(path, "bulkhead: dropped [0-9]* bytes");
    check(step_stop(&life));
    check(step_pod_stop(&life));
    check(step_pod_remove(&life));
    life_free(&life);
    census_must_be_as_before(gated);
    autofree char *command = xasprintf("rm -rf %s/*", logs);
    assert_int_equal(system(command), 0);
}

static void without_an_inode_for_a_log_a_container_is_refused(void **state)
{
    struct gated_node *gated = *state;
    autofree char *logs = logs_path(gated);
    const struct disk disk = {.path = logs, .of_inodes = true};
    struct life life = life_of(gated, "no-inode");

    check(step_pod_run(&life));
    fill(&disk);
    check_refused(step_create(&life), ERROR_RESOURCE_EXHAUSTED, "No space left on device");
    empty(&disk);
    check(step_create(&life));
    check(step_start(&life));
    check(step_exec(&life));
    check(step_pod_stop(&life));
    check(step_pod_remove(&life));
    life_free(&life);
    census_must_be_as_before(gated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_space_for_the_state_stop_and_remove_work, empty_all),
        cmocka_unit_test_teardown(without_space_for_the_records_stop_and_remove_work, empty_all),
        cmocka_unit_test_teardown(daemons_may_die_without_space_for_state_or_records, empty_all),
        cmocka_unit_test_teardown(without_space_for_logs_containers_go_on_and_the_log_says_what_it_lacks, empty_all),
        cmocka_unit_test_teardown(without_an_inode_for_a_log_a_container_is_refused, empty_all),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    node_isolate();
    return cmocka_run_group_tests(tests, open_all, close_all);
}
