/* What a line of CRI's log is, byte for byte, and whether it is the one that must come next. */
#include "tests/integration/logd/log_read.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { TIME_SIZE = 30, PREFIX_SIZE = 40, CONTENT_MAX = 16 << 10 };

static bool time_is_sound(const char *line)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddddddddZ";

    for (int i = 0; i < TIME_SIZE; i++)
        if (shape[i] == 'd' ? line[i] < '0' || line[i] > '9' : line[i] != shape[i])
            return false;
    return true;
}

/* The stream, or -1 when this is no line. */
static int line_parse(const char *line, size_t size, bool *ret_whole)
{
    if (size < PREFIX_SIZE || size > PREFIX_SIZE + CONTENT_MAX || !time_is_sound(line) || line[39] != ' ')
        return -1;
    if (line[38] != 'P' && line[38] != 'F')
        return -1;
    *ret_whole = line[38] == 'F';
    if (memcmp(line + 30, " stdout ", 8) == 0)
        return 0;
    return memcmp(line + 30, " stderr ", 8) == 0 ? 1 : -1;
}

static bool marker_parse(const char *content, size_t size, unsigned long long *ret_count)
{
    char text[80] = "", end[2] = "";

    if (size >= sizeof(text))
        return false;
    memcpy(text, content, size);
    return sscanf(text, "[bulkhead: dropped %llu bytes%1[]]", ret_count, end) == 2;
}

static void line_check(struct box *box, const char *path, size_t offset, const char *line, size_t size)
{
    unsigned long long dropped;
    bool whole = false;
    int stream = line_parse(line, size, &whole);

    if (stream < 0)
        fail_msg("%s: torn at byte %zu: %.60s", path, offset, line);
    const char *content = line + PREFIX_SIZE;
    struct output *expected = &box->expected[stream];
    box->lines++;
    if (marker_parse(content, size - PREFIX_SIZE, &dropped)) {
        output_skip(expected, dropped);
        box->markers++;
        box->marked_bytes += dropped;
    } else if (!output_matches(expected, (const uint8_t *)content, size - PREFIX_SIZE) ||
               (whole && !output_matches(expected, (const uint8_t *)"\n", 1))) {
        fail_msg("%s: byte %zu of the file, near byte %llu of stream %d, is not what was written", path, offset,
                 (unsigned long long)expected->position, stream);
    }
    atomic_store(&box->checked[stream], expected->position);
}

static void lines_check(struct box *box, const char *path, const char *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        const char *end = memchr(data + at, '\n', size - at);
        if (!end)
            fail_msg("%s ends inside a line, at byte %zu of %zu", path, at, size);
        line_check(box, path, at, data + at, (size_t)(end - data) - at);
        at = (size_t)(end - data) + 1;
    }
}

void log_read(struct box *box, const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    if (status.st_size > 0) {
        char *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        assert_ptr_not_equal(data, MAP_FAILED);
        lines_check(box, path, data, (size_t)status.st_size);
        munmap(data, (size_t)status.st_size);
    }
    close(fd);
}
