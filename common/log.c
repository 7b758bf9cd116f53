/* How a log line is put together and written. */
#include "common/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, QUOTE_MAX_BYTES = 1024, QUOTE_BUFFERS = 8 };

/* Set once before threads start, read only afterwards. */
static struct {
    const char *process;
    enum log_level level;
    bool journal;
} settings = {.process = "bulkhead", .level = LOG_LEVEL_INFO};

static _Thread_local char request[64];

void log_open(const char *process, enum log_level level)
{
    settings.process = process;
    settings.level = level;
    settings.journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_request(const char *request_id)
{
    snprintf(request, sizeof(request), "%s", request_id ? request_id : "");
}

static size_t format_time(char *text, size_t size)
{
    struct timespec now;
    struct tm parts;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t length = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &parts);
    return length + (size_t)snprintf(text + length, size - length, ".%06ldZ", now.tv_nsec / 1000);
}

void log_write(enum log_level level, const char *message, const char *fields, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    static const int priorities[] = {3, 4, 6, 7}; /* syslog(3): LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG */
    char line[LINE_MAX_BYTES];
    char time_text[40];
    va_list arguments;

    if (level > settings.level)
        return;
    format_time(time_text, sizeof(time_text));
    int length = settings.journal ? snprintf(line, sizeof(line), "<%d>", priorities[level]) : 0;
    length += snprintf(line + length, sizeof(line) - (size_t)length, "time=%s level=%s process=%s%s%s msg=\"%s\" ",
                       time_text, names[level], settings.process, request[0] ? " request=" : "", request, message);
    va_start(arguments, fields);
    if ((size_t)length < sizeof(line))
        length += vsnprintf(line + length, sizeof(line) - (size_t)length, fields, arguments);
    va_end(arguments);
    if ((size_t)length >= sizeof(line))
        length = sizeof(line) - 1;
    line[length++] = '\n';
    if (write(STDERR_FILENO, line, (size_t)length) < 0)
        return; /* nowhere is left to say so */
}

const char *log_quote(const char *text)
{
    static _Thread_local char buffers[QUOTE_BUFFERS][QUOTE_MAX_BYTES];
    static _Thread_local unsigned turn;
    char *out = buffers[turn++ % QUOTE_BUFFERS];
    size_t used = 0;

    out[used++] = '"';
    for (; text && *text && used < QUOTE_MAX_BYTES - 6; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            out[used++] = '\\';
            out[used++] = (char)byte;
        } else if (byte < ' ' || byte == 0x7f) {
            used += (size_t)snprintf(out + used, 5, "\\x%02x", byte);
        } else {
            out[used++] = (char)byte;
        }
    }
    out[used++] = '"';
    out[used] = '\0';
    return out;
}
