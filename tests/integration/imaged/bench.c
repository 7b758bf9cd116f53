/* How imaged is started for a test, asked, and looked at from outside. */
#include "tests/integration/imaged/bench.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/ipc.h"
#include "common/loopback.h"
#include "common/memory.h"

enum { CALL_LIMIT_S = 60, SETTLE_TRIES = 900 };

void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

void fine(struct error *failure)
{
    if (failure)
        fail_msg("%s: %s", error_code_name(failure->code), failure->text);
}

void refused(struct error *failure, enum error_code code, const char *word)
{
    if (!failure)
        fail_msg("it was not refused; %s was to come: %s", error_code_name(code), word);
    if (failure->code != code || !strstr(failure->text, word))
        fail_msg("%s was to come with \"%s\": %s: %s", error_code_name(code), word, error_code_name(failure->code),
                 failure->text);
    error_free(failure);
}

void bench_isolate(void)
{
    assert_int_equal(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    fine(loopback_up());
}

void bench_prepare(struct bench *bench)
{
    char directory[] = "/tmp/bh-imaged-XXXXXX";

    *bench = (struct bench){.imaged_pidfd = -1};
    assert_non_null(mkdtemp(directory));
    chmod(directory, 0711);
    bench->directory = xstrdup(directory);
    bench->root = xasprintf("%s/root", directory);
    bench->state = xasprintf("%s/run", directory);
    bench->certs = xasprintf("%s/certs.d", directory);
    autofree char *config = xasprintf("%s/config.json", directory);
    FILE *file = fopen(config, "w");
    fprintf(file, "{\"registry\": {\"config_path\": \"%s\"}}", bench->certs);
    fclose(file);
    assert_int_equal(mkdir(bench->root, 0711), 0);
    assert_int_equal(mkdir(bench->certs, 0755), 0);
}

static void keeper_start(struct bench *bench)
{
    const char *programs = getenv("BULKHEAD_PROGRAMS");
    autofree char *path = xasprintf("%s/bulkhead-keeper", programs),
                  *config = xasprintf("%s/config.json", bench->directory);
    autofree char *address = xasprintf("%s/socket", bench->directory);

    bench->keeper_pid = fork();
    if (bench->keeper_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execl(path, path, "--root", bench->root, "--state", bench->state, "--address", address, "--programs", programs,
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

void imaged_start(struct bench *bench)
{
    bench->imaged_pidfd = -1;
    while (bench->imaged_pidfd < 0) { /* ctest's limit ends it */
        struct keeper_message list = {.version = KEEPER_VERSION, .type = KEEPER_LIST, .program = KEEPER_IMAGED};
        fine(keeper_client_call_each(bench->keeper, &list, 0, living_take, &bench->imaged_pidfd));
        usleep(5000);
    }
}

void imaged_kill(struct bench *bench)
{
    syscall(SYS_pidfd_send_signal, bench->imaged_pidfd, SIGKILL, NULL, 0);
    poll(&(struct pollfd){.fd = bench->imaged_pidfd, .events = POLLIN}, 1, 10000);
    close(bench->imaged_pidfd);
}

void bench_start(struct bench *bench)
{
    autofree char *socket_path = xasprintf("%s/imaged", bench->state);

    keeper_start(bench);
    const struct keeper_client_options options = {.state_directory = bench->state, .subscribe = -2};
    fine(keeper_client_open(&options, &bench->keeper));
    imaged_start(bench);
    fine(ipc_client_open(socket_path, &bench->client));
}

int bench_stop(struct bench *bench)
{
    autofree char *command = xasprintf("rm -rf %s", bench->directory);

    if (bench->client)
        ipc_client_close(bench->client);
    if (bench->keeper)
        keeper_client_close(bench->keeper);
    if (bench->keeper_pid > 0) {
        kill(bench->keeper_pid, SIGTERM);
        waitpid(bench->keeper_pid, NULL, 0);
    }
    if (bench->imaged_pidfd >= 0)
        close(bench->imaged_pidfd);
    while (umount2(bench->root, MNT_DETACH) == 0)
        continue;
    free(TAKE(bench->root));
    free(TAKE(bench->state));
    free(TAKE(bench->certs));
    return system(command) == 0 ? 0 : -1;
}

struct killing {
    int signal;
    unsigned count;
};

static void kill_each(void *argument, const struct keeper_message *reply, const int *fds, size_t fd_count)
{
    struct killing *killing = argument;

    if (reply->found && fd_count > 0 && syscall(SYS_pidfd_send_signal, fds[0], killing->signal, NULL, 0) == 0)
        killing->count++;
    fds_close(fds, fd_count);
}

unsigned children_kill(struct bench *bench, enum keeper_program program, int signal)
{
    struct keeper_message list = {.version = KEEPER_VERSION, .type = KEEPER_LIST, .program = program};
    struct killing killing = {.signal = signal};

    fine(keeper_client_call_each(bench->keeper, &list, 0, kill_each, &killing));
    return killing.count;
}

void hosts_write(const struct bench *bench, const char *host, const char *format, ...)
{
    autofree char *directory = xasprintf("%s/%s", bench->certs, host), *path = xasprintf("%s/hosts.json", directory);
    va_list arguments;

    assert_true(mkdir(directory, 0755) == 0 || errno == EEXIST);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    va_start(arguments, format);
    vfprintf(file, format, arguments);
    va_end(arguments);
    assert_int_equal(fclose(file), 0);
}

struct error *call(struct bench *bench, const char *method, const ProtobufCMessage *request, uint8_t **ret,
                   size_t *ret_size)
{
    size_t size = protobuf_c_message_get_packed_size(request);
    autofree uint8_t *data = xmalloc(size + 1);

    protobuf_c_message_pack(request, data);
    return ipc_client_call(bench->client, method, NULL, clock_boottime_ns() + CALL_LIMIT_S * INT64_C(1000000000), data,
                           size, ret, ret_size);
}

struct error *pull_with(struct bench *bench, const char *name, Runtime__V1__AuthConfig *auth, char **ret_id)
{
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__PullImageRequest request = RUNTIME__V1__PULL_IMAGE_REQUEST__INIT;
    autofree uint8_t *data = NULL;
    size_t size;

    spec.image = (char *)name;
    request.image = &spec;
    request.auth = auth;
    TRY(call(bench, "PullImage", &request.base, &data, &size));
    Runtime__V1__PullImageResponse *response = runtime__v1__pull_image_response__unpack(NULL, size, data);
    assert_non_null(response);
    if (ret_id)
        *ret_id = xstrdup(response->image_ref);
    runtime__v1__pull_image_response__free_unpacked(response, NULL);
    return NULL;
}

struct error *pull(struct bench *bench, const char *name, char **ret_id)
{
    return pull_with(bench, name, NULL, ret_id);
}

struct error *remove_image(struct bench *bench, const char *name)
{
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__RemoveImageRequest request = RUNTIME__V1__REMOVE_IMAGE_REQUEST__INIT;
    autofree uint8_t *data = NULL;
    size_t size;

    spec.image = (char *)name;
    request.image = &spec;
    return call(bench, "RemoveImage", &request.base, &data, &size);
}

Runtime__V1__ImageStatusResponse *status_get(struct bench *bench, const char *name)
{
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__ImageStatusRequest request = RUNTIME__V1__IMAGE_STATUS_REQUEST__INIT;
    autofree uint8_t *data = NULL;
    size_t size;

    spec.image = (char *)name;
    request.image = &spec;
    request.verbose = true;
    fine(call(bench, "ImageStatus", &request.base, &data, &size));
    return runtime__v1__image_status_response__unpack(NULL, size, data);
}

Runtime__V1__ListImagesResponse *list_get(struct bench *bench, const char *filter)
{
    Runtime__V1__ImageSpec spec = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__ImageFilter by_image = RUNTIME__V1__IMAGE_FILTER__INIT;
    Runtime__V1__ListImagesRequest request = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;
    autofree uint8_t *data = NULL;
    size_t size;

    spec.image = (char *)filter;
    by_image.image = &spec;
    request.filter = filter ? &by_image : NULL;
    fine(call(bench, "ListImages", &request.base, &data, &size));
    return runtime__v1__list_images_response__unpack(NULL, size, data);
}

bool is_known(struct bench *bench, const char *name)
{
    Runtime__V1__ImageStatusResponse *response = status_get(bench, name);
    bool is = response->image != NULL;

    runtime__v1__image_status_response__free_unpacked(response, NULL);
    return is;
}

static size_t lines_count(const char *command)
{
    FILE *pipe = popen(command, "r");
    size_t count = 0;

    for (int c; (c = fgetc(pipe)) != EOF;)
        count += c == '\n';
    pclose(pipe);
    return count;
}

size_t files_count(const struct bench *bench, const char *name)
{
    autofree char *command = xasprintf("ls %s/imaged/%s", bench->root, name);

    return lines_count(command);
}

void settles_at(const struct bench *bench, const char *name, size_t count)
{
    for (int i = 0; i < SETTLE_TRIES && files_count(bench, name) != count; i++)
        pause_ms(100);
    assert_int_equal(files_count(bench, name), count);
}

void nothing_is_left(struct bench *bench)
{
    autofree char *hidden = xasprintf("find %s/imaged -name '.*' -o -name '*.new' -o -name '*.gone'", bench->root);

    settles_at(bench, "images", 0);
    settles_at(bench, "layers", 0);
    settles_at(bench, "blobs", 0);
    settles_at(bench, "layer-records", 0);
    settles_at(bench, "leases", 0);
    assert_int_equal(lines_count(hidden), 0);
    for (int i = 0; i < SETTLE_TRIES; i++) {
        if (children_kill(bench, KEEPER_FETCH, 0) + children_kill(bench, KEEPER_UNPACK, 0) == 0)
            return;
        pause_ms(100);
    }
    fail_msg("fetch or unpack still runs");
}
