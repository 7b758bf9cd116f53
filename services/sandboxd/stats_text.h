/* What the text of the kernel's statistics files means: cgroups', /proc's. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of `key` in a flat-keyed file's text ("key value\n"...), 0 where it lacks. */
uint64_t keyed_value(const char *text, const char *key);
bool keyed_find(const char *text, const char *key, uint64_t *ret);

/* Of a file with one number; "max", and version 1's largest, are 0: none. */
uint64_t number_or_none(const char *text);

/* Pressure stall information: shares of time in percent, and microseconds in all. */
struct pressure_line {
    double avg10;
    double avg60;
    double avg300;
    uint64_t total_us;
};
struct pressure {
    bool is_there;
    struct pressure_line some;
    struct pressure_line full; /* of the CPU: all 0 before Linux 5.13, which has no such line */
};
struct pressure pressure_parse(const char *text);

/* Bytes and operations of one block device. */
enum { DEVICES_SHOWN_MAX = 32 };
struct device_io {
    unsigned major;
    unsigned minor;
    uint64_t read_bytes;
    uint64_t written_bytes;
    uint64_t reads;
    uint64_t writes;
};
struct device_list_io {
    struct device_io items[DEVICES_SHOWN_MAX]; /* more devices are left out */
    size_t count;
};
void io_stat_parse(const char *text, struct device_list_io *ret);                        /* version 2's io.stat */
void blkio_parse(const char *text, bool is_bytes, struct device_list_io *into);           /* version 1's blkio.throttle.io_service* */

/* A line of /proc/net/dev. */
enum { INTERFACES_SHOWN_MAX = 64, INTERFACE_NAME_SIZE = 16 };
struct interface_counters {
    char name[INTERFACE_NAME_SIZE];
    uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
    uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
};
/* All but `lo`. Returns how many; more than room are left out. */
size_t net_dev_parse(const char *text, struct interface_counters *ret, size_t room);

/* The soft limit of "Max open files" in /proc/PID/limits; UINT64_MAX: unlimited. False where the line is not there. */
bool open_files_limit_parse(const char *text, uint64_t *ret);
