/* How a numbered line looks, in a shell's words and in a log's. */
#include "cli/chaos/writer.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/memory.h"

enum { ERROR_EVERY = 7, TIME_MIN = 20 }; /* bytes of the shortest RFC 3339 time, 2006-01-02T15:04:05Z */

/* ---- writing ---- */

static char *ending_script(const struct writer *writer)
{
    switch (writer->end) {
    case WRITER_EXITS: return xasprintf("exit %d", writer->code);
    case WRITER_SIGNALS: return xasprintf("kill -%d $$", writer->signal);
    case WRITER_TRAPS:
    case WRITER_KILLED: break;
    }
    return xstrdup("while :; do sleep 1 & wait $!; done");
}

char *writer_script(const struct writer *writer)
{
    autofree char *ending = ending_script(writer);
    autofree char *trap = writer->end == WRITER_TRAPS
                              ? xasprintf("trap 'echo \"%s end $i\"; exit %d' TERM\n", writer->tag, writer->code)
                              : xstrdup("");
    autofree char *pause =
        writer->pause_every ? xasprintf("[ $((i %% %u)) = 0 ] && sleep 0.05\n", writer->pause_every) : xstrdup("");

    return xasprintf("i=0\n%sp=x; while [ ${#p} -lt %u ]; do p=$p$p; done\n"
                     "while [ $i -lt %u ]; do\necho \"%s $i $p\"\n"
                     "[ $((i %% %u)) = 0 ] && echo \"%s $((i / %u)) $p\" >&2\n"
                     "i=$((i + 1))\n%sdone\n%s\n",
                     trap, writer->width, writer->lines, writer->tag, ERROR_EVERY, writer->tag, ERROR_EVERY, pause,
                     ending);
}

int writer_exit_code(const struct writer *writer)
{
    switch (writer->end) {
    case WRITER_SIGNALS: return 128 + writer->signal;
    case WRITER_KILLED: return 128 + 9;
    case WRITER_EXITS:
    case WRITER_TRAPS: break;
    }
    return writer->code;
}

/* ---- reading ---- */

struct stream {
    char *data; /* of a line that has not ended */
    size_t size, room;
    size_t next; /* number of the line that must come */
};

struct check {
    const struct writer *writer;
    struct log_findings *findings;
    struct stream streams[2]; /* standard output, standard error */
    long end; /* what the trap said, -1: nothing */
};

static void torn_note(struct check *check, size_t offset)
{
    if (!check->findings->torn && !check->findings->lost && !check->findings->doubled)
        check->findings->first_bad = offset;
    check->findings->torn++;
}

static bool is_padding(const char *text, size_t size, size_t width)
{
    if (size != width)
        return false;
    for (size_t i = 0; i < size; i++)
        if (text[i] != 'x')
            return false;
    return true;
}

/* A number follows, and a space: where it ends, or NULL. */
static const char *number_read(const char *text, const char *end, size_t *ret)
{
    const char *at = text;

    for (*ret = 0; at < end && *at >= '0' && *at <= '9' && at - text < 12; at++)
        *ret = *ret * 10 + (size_t)(*at - '0');
    return at > text ? at : NULL;
}

static void numbered_note(struct check *check, struct stream *stream, size_t number, size_t offset)
{
    struct log_findings *findings = check->findings;

    if (number != stream->next && !findings->torn && !findings->lost && !findings->doubled)
        findings->first_bad = offset;
    if (number < stream->next) {
        findings->doubled++;
        return;
    }
    findings->lost += number - stream->next;
    findings->lines++;
    stream->next = number + 1;
}

static void line_check(struct check *check, struct stream *stream, size_t offset)
{
    const char *tag = check->writer->tag, *at = stream->data, *end = at + stream->size;
    size_t length = strlen(tag), number;

    if (stream->size <= length || strncmp(at, tag, length) != 0 || at[length] != ' ') {
        torn_note(check, offset);
        return;
    }
    at += length + 1;
    bool is_end = end - at > 4 && !strncmp(at, "end ", 4);
    const char *rest = number_read(is_end ? at + 4 : at, end, &number);
    if (is_end && rest == end && check->end < 0)
        check->end = (long)number;
    else if (!is_end && rest && rest < end && *rest == ' ' &&
             is_padding(rest + 1, (size_t)(end - rest - 1), check->writer->width))
        numbered_note(check, stream, number, offset);
    else
        torn_note(check, offset);
}

static void stream_append(struct stream *stream, const char *text, size_t size)
{
    if (stream->size + size + 1 > stream->room) {
        stream->room = 2 * (stream->size + size + 1);
        stream->data = xrealloc(stream->data, stream->room);
    }
    memcpy(stream->data + stream->size, text, size);
    stream->size += size;
    stream->data[stream->size] = '\0';
}

/* "TIME stdout F content" without its newline. */
static void log_line_check(struct check *check, const char *line, size_t size, size_t offset)
{
    const char *end = line + size, *space = memchr(line, ' ', size);

    if (!space || space - line < TIME_MIN || line[4] != '-' || line[10] != 'T' || end - space < 10 ||
        (strncmp(space, " stdout ", 8) != 0 && strncmp(space, " stderr ", 8) != 0) || space[9] != ' ' ||
        (space[8] != 'F' && space[8] != 'P')) {
        torn_note(check, offset);
        return;
    }
    struct stream *stream = &check->streams[space[4] == 'e'];
    stream_append(stream, space + 10, (size_t)(end - space - 10));
    if (space[8] == 'P')
        return;
    line_check(check, stream, offset);
    stream->size = 0;
}

static void count_check(struct check *check, size_t found, size_t least)
{
    if (found < least)
        check->findings->lost += least - found;
}

/* A trap runs between two commands: the number that it says may be of the line before or after the last. */
static void end_check(struct check *check, size_t size)
{
    size_t out = check->streams[0].next, err = check->streams[1].next;
    size_t lines = check->writer->lines;

    if (check->writer->end == WRITER_KILLED)
        return;
    if (check->streams[0].size || check->streams[1].size)
        torn_note(check, size);
    if (check->writer->end == WRITER_TRAPS && check->end < 0) {
        check->findings->lost++;
        return;
    }
    if (check->writer->end == WRITER_TRAPS)
        lines = (size_t)check->end;
    count_check(check, out, lines);
    count_check(check, err, (lines + ERROR_EVERY - 1) / ERROR_EVERY);
    if (out > lines + (check->writer->end == WRITER_TRAPS))
        check->findings->doubled += out - lines;
}

void writer_log_check(const struct writer *writer, const char *text, size_t size, struct log_findings *ret)
{
    struct check check = {.writer = writer, .findings = ret, .end = -1};

    *ret = (struct log_findings){0};
    for (size_t at = 0; at < size;) {
        const char *newline = memchr(text + at, '\n', size - at);
        if (!newline) {
            torn_note(&check, at);
            break;
        }
        log_line_check(&check, text + at, (size_t)(newline - text) - at, at);
        at = (size_t)(newline - text) + 1;
    }
    end_check(&check, size);
    free(check.streams[0].data);
    free(check.streams[1].data);
}
