/* Log lines: key=value on standard error, one write per line, with syslog's <priority> prefix under systemd. */
#pragma once

/* error: someone must act; warn: odd but handled; info: a state moved; debug: all else. */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Names the process in every line, and sets what is shown. Call once at the start, before threads. The name is kept. */
void log_open(const char *process, enum log_level level);

/* The request that this thread works for: its id is in each of its lines until cleared with NULL. Copied. */
void log_set_request(const char *request_id);

/* Writes `time=... level=... process=... request=... msg="text" fields`. `fields` is a format of key=value pairs, or "".
 * Values that may hold spaces go through log_quote(). Safe from any thread; never blocks on a lock of ours. */
void log_write(enum log_level level, const char *message, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(message, ...) log_write(LOG_LEVEL_ERROR, message, __VA_ARGS__)
#define log_warn(message, ...) log_write(LOG_LEVEL_WARN, message, __VA_ARGS__)
#define log_info(message, ...) log_write(LOG_LEVEL_INFO, message, __VA_ARGS__)
#define log_debug(message, ...) log_write(LOG_LEVEL_DEBUG, message, __VA_ARGS__)

/* The text as a double-quoted value, with quotes, backslashes and control bytes escaped; cut at 1 KiB. In a buffer of this
 * thread: eight may be used in one call. */
const char *log_quote(const char *text);
