/* A process named so that it can't be mistaken: pid, start time and boot. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

enum { BOOT_ID_SIZE = 37 }; /* 36 characters and NUL: /proc/sys/kernel/random/boot_id */

/* Fixed size, so that it can stand in the keeper's records and messages. */
struct process_id {
    int32_t pid;
    uint32_t reserved;
    uint64_t start_ticks; /* field 22 of /proc/PID/stat */
    uint64_t pidfd_inode; /* st_ino of its pidfd; 0 where the kernel has no pidfs (before 6.9) */
    char boot_id[BOOT_ID_SIZE + 3];
};

/* Reads who pid is now. NOT_FOUND when there is no such process. */
struct error *process_id_read(pid_t pid, struct process_id *ret) __attribute__((warn_unused_result));

/* Opens a pidfd of exactly this process (pid, start time, boot and, where known, inode agree); NOT_FOUND otherwise. The
 * caller closes it. A zombie is found. */
struct error *process_id_open(const struct process_id *id, int *ret_pidfd) __attribute__((warn_unused_result));

bool process_id_is_alive(const struct process_id *id);

/* waitid's two fields as waitpid gives them in one. */
int wait_status_of(const siginfo_t *info);

/* This boot's id, read once. */
const char *boot_id(void);
