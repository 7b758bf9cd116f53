/* What logd costs: container bytes a second through it, against `cat > file`, in one run. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/logd/harness.h"

enum { BLOCK = 64 << 10 };

static void write_all_of(int fd, size_t line, uint64_t total)
{
    char *block = malloc(BLOCK);

    memset(block, 'x', BLOCK);
    for (size_t i = line - 1; i < BLOCK; i += line)
        block[i] = '\n';
    for (uint64_t done = 0; done < total;) {
        ssize_t count = write(fd, block, BLOCK);
        if (count <= 0)
            _exit(1);
        done += (uint64_t)count;
    }
    free(block);
}

static double cat(const char *path, size_t line, uint64_t total)
{
    int ends[2];
    int64_t begun = now_ms();

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[0], 0);
        dup2(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
        execlp("cat", "cat", (char *)NULL);
        _exit(127);
    }
    write_all_of(ends[1], line, total);
    close(ends[0]);
    close(ends[1]);
    waitpid(child, NULL, 0);
    return (double)total / 1000 / (double)(now_ms() - begun);
}

static double logd(struct harness *harness, const char *directory, size_t line, uint64_t total)
{
    struct box *box = box_new(harness, directory, 1);
    char path[256];

    box_add(harness, box);
    int64_t begun = now_ms();
    write_all_of(box->writer[0].fd, line, total);
    box_stop(harness, box);
    box_drain(harness, box, 60);
    double speed = (double)total / 1000 / (double)(now_ms() - begun);
    box_remove(harness, box, 5);
    box_path(box, 1, path);
    unlink(path);
    return speed;
}

static void bench(void **state)
{
    static const size_t lines[] = {100, 4096};
    struct harness harness;
    char path[128];
    uint64_t total = 1 << 30;

    (void)state;
    harness_open(&harness, "bulkhead-logd", 1);
    harness_start(&harness);
    snprintf(path, sizeof(path), "%s/cat", harness.directory);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
            double plain = cat(path, lines[i], total);
            unlink(path);
            double exact = logd(&harness, harness.directory, lines[i], total);
            printf("lines of %zu bytes: cat %.0f MB/s, logd %.0f MB/s\n", lines[i], plain, exact);
        }
    harness_close(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bench)};

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
