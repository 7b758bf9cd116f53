/* How the test plays shim, keeper and reader. */
#include "tests/integration/logd/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/fd.h"
#include "tests/integration/logd/log_read.h"

int64_t now_ms(void)
{
    return clock_boottime_ns() / 1000000;
}

/* ---- logd's life */

/* A process that hears which logd lives, and kills it when the test is no more. (PR_SET_PDEATHSIG ends with the change of user.) */
static void guard_main(int fd)
{
    pid_t heard, logd = 0;

    while (read(fd, &heard, sizeof(heard)) == sizeof(heard))
        logd = heard;
    if (logd > 0)
        kill(logd, SIGKILL);
    _exit(0);
}

static void guard_start(struct harness *harness)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    harness->guard = fork();
    assert_true(harness->guard >= 0);
    if (harness->guard == 0) {
        close(ends[1]);
        guard_main(ends[0]);
    }
    close(ends[0]);
    harness->guard_fd = ends[1];
}

/* Which logd is to end with the test; 0: none, it is reaped. */
static void guard_tell(struct harness *harness, pid_t logd)
{
    assert_int_equal(write(harness->guard_fd, &logd, sizeof(logd)), sizeof(logd));
}

void harness_open(struct harness *harness, const char *program, uint64_t seed)
{
    *harness = (struct harness){.program = program, .connection = -1, .logd = -1, .random = seed * 2 + 1};
    strcpy(harness->directory, "/tmp/bulkhead-logd-test.XXXXXX");
    assert_non_null(mkdtemp(harness->directory));
    assert_int_equal(chmod(harness->directory, 0711), 0);
    char path[128];
    snprintf(path, sizeof(path), "%s/failpoints", harness->directory);
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(chmod(path, 0777), 0);
    signal(SIGPIPE, SIG_IGN); /* a writer whose last reader is gone gets an error */
    guard_start(harness);
}

static void run_logd(const struct harness *harness)
{
    const char *programs = getenv("BULKHEAD_PROGRAMS");
    char path[256], root[96], state[96], failpoints[96], generation[32];

    snprintf(path, sizeof(path), "%s/%s", programs ? programs : "bin", harness->program);
    snprintf(root, sizeof(root), "--root=%s/root", harness->directory);
    snprintf(state, sizeof(state), "--state=%s/state", harness->directory);
    snprintf(failpoints, sizeof(failpoints), "%s/failpoints", harness->directory);
    snprintf(generation, sizeof(generation), "%llu", (unsigned long long)harness->generation);
    setenv("BULKHEAD_FAILPOINT_DIR", failpoints, 1);
    setenv("BULKHEAD_GENERATION", generation, 1);
    signal(SIGPIPE, SIG_DFL);
    execl(path, path, root, state, "--log-level=error", (char *)NULL);
    _exit(127);
}

static void tell(struct harness *harness, struct logd_message message, const char *id, const int *fds, size_t count)
{
    message.version = LOGD_VERSION;
    snprintf(message.id, sizeof(message.id), "%s", id);
    if (harness->connection >= 0)
        error_free(fd_send(harness->connection, &message, sizeof(message), fds, count)); /* a dead logd hears it later */
}

static void tell_next_file(struct harness *harness, struct box *box)
{
    tell(harness, (struct logd_message){.type = LOGD_NEXT_FILE, .generation = box->generation + 1}, box->id, &box->next, 1);
}

void box_add(struct harness *harness, struct box *box)
{
    int fds[] = {box->memfd, box->private_[0], box->private_[1], box->file, box->from[0], box->from[1]};

    box->added = true;
    tell(harness,
         (struct logd_message){
             .type = LOGD_ADD, .generation = box->generation, .flags = box->terminal ? LOGD_TERMINAL : 0},
         box->id, fds, box->terminal ? 5 : 6);
    if (box->next >= 0)
        tell_next_file(harness, box);
    if (box->draining)
        tell(harness, (struct logd_message){.type = LOGD_DRAIN}, box->id, NULL, 0);
}

static void disconnect(struct harness *harness)
{
    if (harness->connection >= 0)
        close(harness->connection);
    harness->connection = -1;
}

/* A dead logd that hangs in the kernel keeps its socket, which accepts but never answers: only one that says HELLO counts. */
static bool harness_greet(struct harness *harness)
{
    struct logd_message message;
    struct pollfd answer = {.fd = harness->connection, .events = POLLIN};

    tell(harness, (struct logd_message){.type = LOGD_HELLO}, "pod", NULL, 0);
    if (poll(&answer, 1, 200) == 1 && recv(harness->connection, &message, sizeof(message), 0) == sizeof(message) &&
        message.type == LOGD_HELLO)
        return true;
    disconnect(harness);
    return false;
}

static void harness_connect(struct harness *harness)
{
    char path[128];
    int64_t limit = now_ms() + 20000;

    snprintf(path, sizeof(path), "%s/state/logd/log.sock", harness->directory);
    for (;;) {
        struct error *failure = socket_connect(path, &harness->connection);
        if (failure)
            harness->connection = -1;
        else if (harness_greet(harness))
            return;
        error_free(failure);
        if (now_ms() > limit)
            fail_msg("logd does not listen");
        if (harness_is_dead(harness)) /* by a failpoint of a start */
            return;
        usleep(200);
    }
}

void harness_start(struct harness *harness)
{
    harness->generation++;
    harness->logd = fork();
    assert_true(harness->logd >= 0);
    if (harness->logd == 0)
        run_logd(harness);
    guard_tell(harness, harness->logd);
    harness_connect(harness);
    if (harness->connection < 0)
        return;
    for (int i = 0; i < harness->box_count; i++) {
        struct box *box = harness->boxes[i];
        /* A shim may look into the note first, or leave it to logd to say that it has gone over. */
        if (box->added && box->next >= 0 && random_next(&harness->random) % 2)
            box_rotate_finish(harness, box, true);
        if (box->added && !box->removed)
            box_add(harness, box);
    }
}

bool harness_is_dead(struct harness *harness)
{
    int status;

    if (harness->logd > 0 && waitpid(harness->logd, &status, WNOHANG) == harness->logd) {
        guard_tell(harness, 0);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
            fail_msg("logd died by itself, status %x", status);
        harness->logd = -1;
    }
    return harness->logd < 0;
}

void harness_kill(struct harness *harness)
{
    if (harness->logd > 0) {
        kill(harness->logd, SIGKILL);
        waitpid(harness->logd, NULL, 0);
        guard_tell(harness, 0);
        harness->logd = -1;
    }
    harness->kills++;
    disconnect(harness);
}

void harness_restart(struct harness *harness)
{
    do {
        harness_kill(harness);
        harness_start(harness);
    } while (harness->logd < 0);
}

static void remove_tree(const char *path)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf --one-file-system '%s'", path);
    if (system(command) != 0)
        print_message("%s is left behind\n", path);
}

void harness_close(struct harness *harness)
{
    harness_kill(harness);
    for (int i = 0; i < harness->box_count; i++)
        box_free(harness->boxes[i]);
    close(harness->guard_fd);
    waitpid(harness->guard, NULL, 0);
    remove_tree(harness->directory);
}

/* ---- messages */

static void hear(struct harness *harness, const struct logd_message *message)
{
    if (message->type == LOGD_HELLO)
        return;
    if (message->type == LOGD_ERROR)
        fail_msg("logd says of %s: %s", message->id, message->text);
    for (int i = 0; i < harness->box_count; i++) {
        struct box *box = harness->boxes[i];
        if (strcmp(box->id, message->id) != 0)
            continue;
        if (message->type == LOGD_FILE_IS && message->generation > box->generation)
            box->file_is = true;
        box->drained = box->drained || message->type == LOGD_DRAINED;
        box->removed = box->removed || message->type == LOGD_REMOVED;
        box->dropped_bytes = message->dropped_bytes;
    }
}

void harness_pump(struct harness *harness, int milliseconds)
{
    int64_t until = now_ms() + milliseconds;
    struct logd_message message;
    int fds[FD_PASS_MAX];
    size_t size, count;

    do {
        int left = (int)(until - now_ms());
        struct pollfd poll_fd = {.fd = harness->connection, .events = POLLIN};
        if (poll(&poll_fd, 1, left > 0 ? left : 0) <= 0 || harness->connection < 0)
            continue;
        struct error *failure = fd_receive(harness->connection, &message, sizeof(message), &size, fds, &count);
        if (failure || size == 0) {
            error_free(failure);
            disconnect(harness);
        } else {
            assert_int_equal(size, sizeof(message));
            hear(harness, &message);
        }
    } while (now_ms() < until);
}

/* ---- containers */

void box_path(const struct box *box, uint64_t generation, char path[256])
{
    snprintf(path, 256, "%s/%s.%llu.log", box->directory, box->id, (unsigned long long)generation);
}

int log_file_open(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

    if (fd < 0)
        fail_msg("open %s: %s", path, strerror(errno));
    return fd;
}

static struct box *box_alloc(struct harness *harness, const char *directory)
{
    struct box *box = calloc(1, sizeof(*box));
    char path[256];

    assert_non_null(box);
    snprintf(box->id, sizeof(box->id), "box%d", harness->box_count);
    box->directory = directory;
    box->generation = 1;
    box->next = -1;
    box->from[0] = box->from[1] = box->writer[0].fd = box->writer[1].fd = -1;
    box_path(box, 1, path);
    box->file = log_file_open(path);
    box->memfd = memfd_create("note", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(box->memfd, LOG_NOTE_SIZE), 0);
    assert_int_equal(fcntl(box->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    box->note = mmap(NULL, LOG_NOTE_HEADER_SIZE, PROT_READ, MAP_SHARED, box->memfd, 0);
    assert_ptr_not_equal(box->note, MAP_FAILED);
    assert_int_equal(pipe2(box->private_, O_CLOEXEC), 0);
    fcntl(box->private_[1], F_SETPIPE_SZ, LOG_NOTE_PIPE_SIZE);
    harness->boxes[harness->box_count++] = box;
    return box;
}

struct box *box_new(struct harness *harness, const char *directory, uint64_t seed)
{
    struct box *box = box_alloc(harness, directory);

    for (int i = 0; i < 2; i++) {
        int ends[2];
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        if (harness->box_count < 8)
            fcntl(ends[1], F_SETPIPE_SZ, i == 0 ? 1 << 20 : 1 << 16);
        box->from[i] = ends[0];
        box->writer[i] = (struct box_writer){.box = box, .fd = ends[1]};
        output_init(&box->writer[i].output, seed * 2 + (uint64_t)i);
        output_init(&box->expected[i], seed * 2 + (uint64_t)i);
    }
    return box;
}

struct box *box_new_terminal(struct harness *harness, const char *directory, int *ret_slave)
{
    struct box *box = box_alloc(harness, directory);
    struct termios settings;

    box->terminal = true;
    box->from[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    assert_true(box->from[0] >= 0);
    assert_int_equal(unlockpt(box->from[0]), 0);
    *ret_slave = open(ptsname(box->from[0]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(*ret_slave >= 0);
    tcgetattr(*ret_slave, &settings);
    cfmakeraw(&settings);
    tcsetattr(*ret_slave, TCSANOW, &settings);
    return box;
}

/* Full speed, but never so far ahead of the reader that the disk fills. */
static void write_until_stopped(struct box_writer *writer)
{
    int stream = (int)(writer - writer->box->writer);

    while (!atomic_load(&writer->stop)) {
        output_next(&writer->output);
        for (size_t at = 0; at < writer->output.size;) {
            ssize_t count = write(writer->fd, writer->output.record + at, writer->output.size - at);
            if (count < 0) /* the last reader is gone */
                return;
            at += (size_t)count;
            atomic_fetch_add(&writer->written, (unsigned long long)count);
        }
        while (atomic_load(&writer->written) - atomic_load(&writer->box->checked[stream]) > BACKLOG_MAX &&
               !atomic_load(&writer->stop))
            usleep(1000);
        if (writer->pause_us)
            usleep(writer->pause_us);
    }
}

static void *writer_main(void *argument)
{
    struct box_writer *writer = argument;

    write_until_stopped(writer);
    atomic_store(&writer->ended, true);
    return NULL;
}

void box_write(struct box *box, int stream, unsigned pause_us)
{
    struct box_writer *writer = &box->writer[stream];

    writer->pause_us = pause_us;
    assert_int_equal(pthread_create(&writer->thread, NULL, writer_main, writer), 0);
    writer->running = true;
}

static void writers_tell_to_stop(struct box *box)
{
    for (int i = 0; i < 2; i++)
        atomic_store(&box->writer[i].stop, true);
}

static void writers_join(struct box *box)
{
    for (int i = 0; i < 2; i++) {
        struct box_writer *writer = &box->writer[i];
        if (writer->running)
            pthread_join(writer->thread, NULL);
        writer->running = false;
        if (writer->fd >= 0)
            close(writer->fd);
        writer->fd = -1;
    }
}

static bool writer_is_busy(const struct box_writer *writer)
{
    return writer->running && !atomic_load(&writer->ended);
}

void box_stop(struct harness *harness, struct box *box)
{
    writers_tell_to_stop(box);
    while (writer_is_busy(&box->writer[0]) || writer_is_busy(&box->writer[1])) {
        harness_pump(harness, 1);
        if (harness_is_dead(harness))
            harness_restart(harness);
    }
    writers_join(box);
}

void box_free(struct box *box)
{
    int fds[] = {box->from[0], box->from[1], box->private_[0], box->private_[1], box->memfd, box->file, box->next};

    writers_tell_to_stop(box);
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) /* with the last reader a writer that waits for it ends */
        if (fds[i] >= 0)
            close(fds[i]);
    writers_join(box);
    munmap((void *)box->note, LOG_NOTE_HEADER_SIZE);
    free(box);
}

void box_rotate(struct harness *harness, struct box *box)
{
    char path[256];

    if (box->next >= 0)
        return;
    box_path(box, box->generation + 1, path);
    box->next = log_file_open(path);
    box->file_is = false;
    tell_next_file(harness, box);
}

void box_rotate_finish(struct harness *harness, struct box *box, bool look_into_note)
{
    char path[256];

    (void)harness;
    if (box->next < 0 || !(box->file_is || (look_into_note && log_note_generation(box->note) == box->generation + 1)))
        return;
    assert_int_equal(log_note_generation(box->note), box->generation + 1);
    box_path(box, box->generation, path);
    log_read(box, path);
    unlink(path);
    close(box->file);
    box->file = box->next;
    box->next = -1;
    box->generation++;
    box->file_is = false;
}

void box_drain(struct harness *harness, struct box *box, int seconds)
{
    int64_t limit = now_ms() + seconds * 1000;

    box->draining = true;
    tell(harness, (struct logd_message){.type = LOGD_DRAIN}, box->id, NULL, 0);
    while (!box->drained) {
        harness_pump(harness, 2);
        if (harness->connection < 0)
            harness_restart(harness);
        if (now_ms() > limit)
            fail_msg("%s was not drained in %d s", box->id, seconds);
    }
    box->draining = false;
}

void box_remove(struct harness *harness, struct box *box, int seconds)
{
    int64_t limit = now_ms() + seconds * 1000;

    tell(harness, (struct logd_message){.type = LOGD_REMOVE}, box->id, NULL, 0);
    while (!box->removed) {
        harness_pump(harness, 2);
        if (now_ms() > limit)
            fail_msg("%s was not removed in %d s", box->id, seconds);
    }
}

void box_check(struct box *box)
{
    char path[256];

    box_path(box, box->generation, path);
    log_read(box, path);
    for (int i = 0; i < 2; i++)
        if (atomic_load(&box->writer[i].written) != box->expected[i].position)
            fail_msg("%s stream %d: %llu bytes written, %llu in the log", box->id, i,
                     (unsigned long long)atomic_load(&box->writer[i].written),
                     (unsigned long long)box->expected[i].position);
}
