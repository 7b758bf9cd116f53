/* The formats of cgroup files, /proc/net/dev and /proc/PID/limits. */
#include "services/sandboxd/stats_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *line_next(const char *line)
{
    line = strchr(line, '\n');
    return line ? line + 1 : "";
}

bool keyed_find(const char *text, const char *key, uint64_t *ret)
{
    size_t length = strlen(key);

    for (const char *line = text ? text : ""; *line; line = line_next(line)) {
        if (strncmp(line, key, length) != 0 || line[length] != ' ')
            continue;
        *ret = strtoull(line + length + 1, NULL, 10);
        return true;
    }
    return false;
}

uint64_t keyed_value(const char *text, const char *key)
{
    uint64_t value = 0;

    keyed_find(text, key, &value);
    return value;
}

uint64_t number_or_none(const char *text)
{
    uint64_t number = text[0] == '-' ? 0 : strtoull(text, NULL, 10);

    return number >= (1ull << 62) ? 0 : number; /* version 1's word for none */
}

struct pressure pressure_parse(const char *text)
{
    struct pressure pressure = {0};
    static const char format[] = "avg10=%lf avg60=%lf avg300=%lf total=%" SCNu64;

    for (const char *line = text; *line; line = line_next(line)) {
        bool is_some = strncmp(line, "some ", 5) == 0, is_full = strncmp(line, "full ", 5) == 0;
        struct pressure_line *into = is_full ? &pressure.full : &pressure.some;
        if ((is_some || is_full) && sscanf(line + 5, format, &into->avg10, &into->avg60, &into->avg300, &into->total_us) == 4)
            pressure.is_there = true;
    }
    return pressure;
}

static struct device_io *device_of(struct device_list_io *list, unsigned major, unsigned minor)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].major == major && list->items[i].minor == minor)
            return &list->items[i];
    if (list->count == DEVICES_SHOWN_MAX)
        return NULL;
    list->items[list->count] = (struct device_io){.major = major, .minor = minor};
    return &list->items[list->count++];
}

/* "rbytes=5" of the line; 0 where it lacks. */
static uint64_t word_value(const char *line, const char *word)
{
    const char *end = line + strcspn(line, "\n"), *at = strstr(line, word);

    return at && at < end ? strtoull(at + strlen(word), NULL, 10) : 0;
}

void io_stat_parse(const char *text, struct device_list_io *ret)
{
    unsigned major, minor;

    ret->count = 0;
    for (const char *line = text; *line; line = line_next(line)) {
        struct device_io *device = sscanf(line, "%u:%u ", &major, &minor) == 2 ? device_of(ret, major, minor) : NULL;
        if (!device)
            continue;
        device->read_bytes = word_value(line, " rbytes=");
        device->written_bytes = word_value(line, " wbytes=");
        device->reads = word_value(line, " rios=");
        device->writes = word_value(line, " wios=");
    }
}

void blkio_parse(const char *text, bool is_bytes, struct device_list_io *into)
{
    for (const char *line = text; *line; line = line_next(line)) {
        unsigned major, minor;
        uint64_t value;
        char operation[16];
        if (sscanf(line, "%u:%u %15s %" SCNu64, &major, &minor, operation, &value) != 4)
            continue;
        bool is_read = strcmp(operation, "Read") == 0, is_write = strcmp(operation, "Write") == 0;
        struct device_io *device = is_read || is_write ? device_of(into, major, minor) : NULL;
        if (!device)
            continue;
        if (is_read)
            *(is_bytes ? &device->read_bytes : &device->reads) = value;
        else
            *(is_bytes ? &device->written_bytes : &device->writes) = value;
    }
}

/* Receive: bytes packets errs drop fifo frame compressed multicast; transmit: bytes packets errs drop ... */
static bool interface_parse(const char *line, struct interface_counters *ret)
{
    static const char format[] = " %15[^: ]: %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %*u %*u %" SCNu64 " %" SCNu64
                                 " %" SCNu64 " %" SCNu64;

    return sscanf(line, format, ret->name, &ret->rx_bytes, &ret->rx_packets, &ret->rx_errors, &ret->rx_dropped,
                  &ret->tx_bytes, &ret->tx_packets, &ret->tx_errors, &ret->tx_dropped) == 9;
}

size_t net_dev_parse(const char *text, struct interface_counters *ret, size_t room)
{
    size_t count = 0;

    for (const char *line = text; *line && count < room; line = line_next(line))
        if (interface_parse(line, &ret[count]) && strcmp(ret[count].name, "lo") != 0)
            count++;
    return count;
}

bool open_files_limit_parse(const char *text, uint64_t *ret)
{
    static const char name[] = "Max open files";

    for (const char *line = text; *line; line = line_next(line)) {
        char limit[24];
        if (strncmp(line, name, strlen(name)) != 0 || sscanf(line + strlen(name), " %23s", limit) != 1)
            continue;
        *ret = strcmp(limit, "unlimited") == 0 ? UINT64_MAX : strtoull(limit, NULL, 10);
        return true;
    }
    return false;
}
