/* imaged, fetch and unpack under a real keeper, against a real registry, and under kills. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/ipc.h"
#include "common/keeper_protocol.h"
#include "common/memory.h"
#include "proto/bulkhead.pb-c.h"
#include "proto/cri.pb-c.h"
#include "tests/support/registry.h"

enum { FILLER = 48 << 20, CALL_LIMIT_S = 60, SETTLE_TRIES = 300 };

struct bench {
    struct registry_server registry;
    char *directory, *root, *state;
    pid_t keeper_pid;
    struct keeper_client *keeper;
    struct ipc_client *client;
    int imaged_pidfd;
};

static struct bench bench;

static void fine(struct error *failure)
{
    if (failure)
        fail_msg("%s: %s", error_code_name(failure->code), failure->text);
}

static void refused(struct error *failure, enum error_code code, const char *word)
{
    if (!failure)
        fail_msg("it was not refused");
    if (failure->code != code || !strstr(failure->text, word))
        fail_msg("%s: %s", error_code_name(failure->code), failure->text);
    error_free(failure);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void keeper_start(void)
{
    const char *programs = getenv("BULKHEAD_PROGRAMS");
    autofree char *path = xasprintf("%s/bulkhead-keeper", programs), *config = xasprintf("%s/config.json", bench.directory);

    bench.keeper_pid = fork();
    if (bench.keeper_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execl(path, path, "--root", bench.root, "--state", bench.state, "--address", "/nowhere", "--programs", programs,
              "--uid-first", "61300", "--config", config, (char *)NULL);
        _exit(127);
    }
}

/* Keeps the pidfd of an imaged that lives, -1 so far. */
static void living_take(void *argument, const struct keeper_message *reply, const int *fds, size_t fd_count)
{
    int *pidfd = argument;
    bool lives = reply->found && fd_count == 1 && *pidfd < 0 &&
                 poll(&(struct pollfd){.fd = fds[0], .events = POLLIN}, 1, 0) == 0;

    if (lives)
        *pidfd = fds[0];
    else
        fds_close(fds, fd_count);
}

/* The supervisor starts imaged, again after each kill; this waits until it has. */
static void imaged_start(void)
{
    bench.imaged_pidfd = -1;
    while (bench.imaged_pidfd < 0) { /* ctest's limit ends it */
        struct keeper_message list = {.version = KEEPER_VERSION, .type = KEEPER_LIST, .program = KEEPER_IMAGED};
        fine(keeper_client_call_each(bench.keeper, &list, 0, living_take, &bench.imaged_pidfd));
        usleep(5000);
    }
}

static void imaged_kill(void)
{
    syscall(SYS_pidfd_send_signal, bench.imaged_pidfd, SIGKILL, NULL, 0);
    poll(&(struct pollfd){.fd = bench.imaged_pidfd, .events = POLLIN}, 1, 10000);
    close(bench.imaged_pidfd);
}

struct killing {
    unsigned count;
};

static void kill_each(void *argument, const struct keeper_message *reply, const int *fds, size_t fd_count)
{
    struct killing *killing = argument;

    if (reply->found && fd_count > 0 && syscall(SYS_pidfd_send_signal, fds[0], SIGKILL, NULL, 0) == 0)
        killing->count++;
    fds_close(fds, fd_count);
}

static unsigned children_kill(enum keeper_program program)
{
    struct keeper_message list = {.version = KEEPER_VERSION, .type = KEEPER_LIST, .program = program};
    struct killing killing = {0};

    fine(keeper_client_call_each(bench.keeper, &list, 0, kill_each, &killing));
    return killing.count;
}

static int bench_open(void **state)
{
    char directory[] = "/tmp/bh-imaged-XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(directory));
    chmod(directory, 0711);
    bench.directory = xstrdup(directory);
    bench.root = xasprintf("%s/root", directory);
    bench.state = xasprintf("%s/run", directory);
    autofree char *certs = xasprintf("%s/certs.d", directory), *config = xasprintf("%s/config.json", directory);
    FILE *file = fopen(config, "w");
    fprintf(file, "{\"registry\": {\"config_path\": \"%s\"}}", certs);
    fclose(file);
    fine(registry_server_start(&bench.registry));
    fine(registry_server_push(&bench.registry, "library/busybox", "latest", 0));
    fine(registry_server_push(&bench.registry, "test/large", "1", FILLER));
    fine(registry_server_write_mirror(&bench.registry, certs));
    keeper_start();
    const struct keeper_client_options options = {.state_directory = bench.state, .subscribe = -2};
    fine(keeper_client_open(&options, &bench.keeper));
    imaged_start();
    autofree char *socket = xasprintf("%s/imaged", bench.state);
    fine(ipc_client_open(socket, &bench.client));
    return 0;
}

static int bench_close(void **state)
{
    (void)state;
    ipc_client_close(bench.client);
    keeper_client_close(bench.keeper);
    kill(bench.keeper_pid, SIGTERM);
    waitpid(bench.keeper_pid, NULL, 0);
    registry_server_stop(&bench.registry);
    autofree char *remove = xasprintf("rm -rf %s", bench.directory);
    return system(remove) == 0 ? 0 : -1;
}

static struct error *call(const char *method, const ProtobufCMessage *request, uint8_t **ret, size_t *ret_size)
{
    size_t size = protobuf_c_message_get_packed_size(request);
    autofree uint8_t *data = xmalloc(size + 1);

    protobuf_c_message_pack(request, data);
    return ipc_client_call(bench.client, method, NULL, clock_boottime_ns() + CALL_LIMIT_S * INT64_C(1000000000), data, size, ret,
                           ret_size);
}

static struct error *pull(const char *name, char **ret_id)
{
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__PullImageRequest request = RUNTIME__V1__PULL_IMAGE_REQUEST__INIT;
    autofree uint8_t *data = NULL;
    size_t size;

    spec.image = (char *)name;
    request.image = &spec;
    TRY(call("PullImage", &request.base, &data, &size));
    Runtime__V1__PullImageResponse *response = runtime__v1__pull_image_response__unpack(NULL, size, data);
    if (ret_id)
        *ret_id = xstrdup(response->image_ref);
    runtime__v1__pull_image_response__free_unpacked(response, NULL);
    return NULL;
}

static struct error *remove_image(const char *name)
{
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__RemoveImageRequest request = RUNTIME__V1__REMOVE_IMAGE_REQUEST__INIT;
    autofree uint8_t *data = NULL;
    size_t size;

    spec.image = (char *)name;
    request.image = &spec;
    return call("RemoveImage", &request.base, &data, &size);
}

/* The caller frees the answer. */
static Runtime__V1__ImageStatusResponse *status_get(const char *name)
{
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__ImageStatusRequest request = RUNTIME__V1__IMAGE_STATUS_REQUEST__INIT;
    autofree uint8_t *data = NULL;
    size_t size;

    spec.image = (char *)name;
    request.image = &spec;
    fine(call("ImageStatus", &request.base, &data, &size));
    return runtime__v1__image_status_response__unpack(NULL, size, data);
}

static bool is_known(const char *name)
{
    Runtime__V1__ImageStatusResponse *response = status_get(name);
    bool is = response->image != NULL;

    runtime__v1__image_status_response__free_unpacked(response, NULL);
    return is;
}

/* What lies in ROOT/imaged/NAME, but for hidden files. */
static size_t files_count(const char *name)
{
    autofree char *command = xasprintf("ls %s/imaged/%s | wc -l", bench.root, name);
    FILE *pipe = popen(command, "r");
    size_t count = 0;

    assert_int_equal(fscanf(pipe, "%zu", &count), 1);
    pclose(pipe);
    return count;
}

static void settles_at(const char *name, size_t count)
{
    for (int i = 0; i < SETTLE_TRIES && files_count(name) != count; i++)
        pause_ms(100);
    assert_int_equal(files_count(name), count);
}

static void all_removed(void)
{
    fine(remove_image("busybox"));
    fine(remove_image("test/large:1"));
    settles_at("layers", 0);
    settles_at("blobs", 0);
    settles_at("layer-records", 0);
}

static void an_image_is_pulled_listed_and_removed_by_its_short_name(void **state)
{
    autofree char *id = NULL;

    (void)state;
    fine(pull("busybox", &id));
    Runtime__V1__ImageStatusResponse *response = status_get("docker.io/library/busybox");
    assert_non_null(response->image);
    assert_string_equal(response->image->id, id);
    assert_string_equal(response->image->repo_tags[0], "docker.io/library/busybox:latest");
    assert_int_equal(response->image->n_repo_digests, 1);
    assert_true(is_known(response->image->repo_digests[0]));
    assert_int_equal(response->image->uid->value, 0);
    assert_true(response->image->size > 500000);
    runtime__v1__image_status_response__free_unpacked(response, NULL);
    assert_true(is_known(id));
    assert_int_equal(files_count("layers"), 2);
    assert_int_equal(files_count("blobs"), 0);
    all_removed();
    assert_false(is_known("busybox"));
    fine(remove_image("busybox"));
}

static void a_leased_images_layers_stay_until_the_lease_goes(void **state)
{
    Bulkhead__LeaseImageRequest lease = BULKHEAD__LEASE_IMAGE_REQUEST__INIT;
    Bulkhead__ReleaseImageRequest release = BULKHEAD__RELEASE_IMAGE_REQUEST__INIT;
    uint8_t *data;
    size_t size;

    (void)state;
    lease.lease_id = release.lease_id = "container1";
    lease.image = "busybox";
    refused(call("LeaseImage", &lease.base, &data, &size), ERROR_NOT_FOUND, "busybox");
    fine(pull("busybox", NULL));
    fine(call("LeaseImage", &lease.base, &data, &size));
    Bulkhead__LeaseImageReply *reply = bulkhead__lease_image_reply__unpack(NULL, size, data);
    free(data);
    assert_int_equal(reply->n_layer_paths, 2);
    assert_string_equal(reply->settings->cmd[0], "/bin/sh");
    autofree char *binary = xasprintf("%s/bin/busybox", reply->layer_paths[0]);
    struct stat status;
    assert_int_equal(stat(binary, &status), 0);
    assert_int_equal(status.st_uid, 0);
    bulkhead__lease_image_reply__free_unpacked(reply, NULL);
    fine(remove_image("busybox"));
    assert_false(is_known("busybox"));
    imaged_kill();
    imaged_start();
    pause_ms(1500);
    assert_int_equal(access(binary, F_OK), 0);
    fine(call("LeaseImage", &lease.base, &data, &size)); /* again: the same answer, though the image is gone */
    free(data);
    fine(call("ReleaseImage", &release.base, &data, &size));
    free(data);
    settles_at("layers", 0);
    fine(call("ReleaseImage", &release.base, &data, &size));
    free(data);
}

static void what_cannot_be_pulled_says_why(void **state)
{
    (void)state;
    refused(pull("Not/A/Name", NULL), ERROR_INVALID_ARGUMENT, "capital");
    refused(pull("", NULL), ERROR_INVALID_ARGUMENT, "empty");
    refused(pull("nothing/here", NULL), ERROR_NOT_FOUND, "nothing/here");
    refused(pull("localhost:1/a/b", NULL), ERROR_UNAVAILABLE, "localhost");
    assert_int_equal(files_count("layers"), 0);
    assert_false(is_known("nothing/here"));
}

struct puller {
    pthread_t thread;
    struct error *failure;
    const char *name;
    bool is_done;
};

static void *puller_main(void *argument)
{
    struct puller *puller = argument;

    puller->failure = pull(puller->name, NULL);
    __atomic_store_n(&puller->is_done, true, __ATOMIC_SEQ_CST);
    return NULL;
}

static void puller_start(struct puller *puller, const char *name)
{
    *puller = (struct puller){.name = name};
    pthread_create(&puller->thread, NULL, puller_main, puller);
}

static void puller_end(struct puller *puller)
{
    pthread_join(puller->thread, NULL);
    fine(puller->failure);
}

static bool is_done(const struct puller *puller)
{
    return __atomic_load_n(&puller->is_done, __ATOMIC_SEQ_CST);
}

static void pulls_of_one_image_at_once_all_succeed(void **state)
{
    struct puller pullers[6];

    (void)state;
    for (size_t i = 0; i < 6; i++)
        puller_start(&pullers[i], i % 2 ? "test/large:1" : "busybox");
    for (size_t i = 0; i < 6; i++)
        pthread_join(pullers[i].thread, NULL);
    for (size_t i = 0; i < 6; i++)
        fine(pullers[i].failure);
    all_removed();
}

static void imaged_killed_in_the_middle_of_a_pull_goes_on(void **state)
{
    unsigned kills = 0;

    (void)state;
    for (int round = 0; round < 4; round++) {
        struct puller puller;
        puller_start(&puller, "test/large:1");
        for (int i = 0; i < 6 && !is_done(&puller); i++) {
            pause_ms(10 + 35 * (round + i));
            kills += !is_done(&puller);
            imaged_kill();
            imaged_start();
        }
        puller_end(&puller);
        all_removed();
    }
    print_message("imaged was killed %u times amid a pull\n", kills);
    assert_true(kills > 4);
}

static void children_are_killed(enum keeper_program program, const char *what)
{
    unsigned kills = 0;

    for (int round = 0; round < 4; round++) {
        struct puller puller;
        puller_start(&puller, "test/large:1");
        for (int i = 0; i < 4 && !is_done(&puller); i++) {
            pause_ms(15 + 10 * round + 25 * i);
            kills += children_kill(program);
        }
        puller_end(&puller);
        all_removed();
    }
    print_message("%s was killed %u times amid a pull\n", what, kills);
    assert_true(kills > 4);
}

static void fetch_killed_in_the_middle_of_a_pull_goes_on(void **state)
{
    (void)state;
    children_are_killed(KEEPER_FETCH, "fetch");
}

static void unpack_killed_in_the_middle_of_a_pull_begins_its_layer_anew(void **state)
{
    (void)state;
    children_are_killed(KEEPER_UNPACK, "unpack");
}

static void a_registry_that_dies_amid_a_layer_and_returns_costs_nothing(void **state)
{
    struct puller puller;

    (void)state;
    puller_start(&puller, "test/large:1");
    for (int i = 0; i < 3; i++) {
        pause_ms(60);
        fine(registry_server_restart(&bench.registry));
    }
    pthread_join(puller.thread, NULL);
    if (puller.failure) /* it may have met no listener at its first question */
        refused(puller.failure, ERROR_UNAVAILABLE, "");
    fine(pull("test/large:1", NULL));
    all_removed();
}

static void a_damaged_blob_is_named_and_leaves_nothing(void **state)
{
    (void)state;
    fine(registry_server_damage(&bench.registry));
    refused(pull("test/large:1", NULL), ERROR_DATA_LOSS, "sha256:");
    assert_false(is_known("test/large:1"));
    settles_at("blobs", 0);
    settles_at("layers", 0);
    settles_at("layer-records", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_is_pulled_listed_and_removed_by_its_short_name),
        cmocka_unit_test(a_leased_images_layers_stay_until_the_lease_goes),
        cmocka_unit_test(what_cannot_be_pulled_says_why),
        cmocka_unit_test(pulls_of_one_image_at_once_all_succeed),
        cmocka_unit_test(imaged_killed_in_the_middle_of_a_pull_goes_on),
        cmocka_unit_test(fetch_killed_in_the_middle_of_a_pull_goes_on),
        cmocka_unit_test(unpack_killed_in_the_middle_of_a_pull_begins_its_layer_anew),
        cmocka_unit_test(a_registry_that_dies_amid_a_layer_and_returns_costs_nothing),
        cmocka_unit_test(a_damaged_blob_is_named_and_leaves_nothing),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests(tests, bench_open, bench_close);
}
