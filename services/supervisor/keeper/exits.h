/* Exit records: STATE/keeper/exits/PID.START, written before the reaping. Shared by keeper and backstop. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/keeper_protocol.h"

/* An ended child or orphan that has not been reaped yet. */
struct ended_process {
    struct process_id process;
    int wait_status;
    int64_t time_ns; /* REALTIME */
};

/* Finds a zombie among the caller's children, writes its record, and leaves it a zombie. False: there is none. */
bool exit_next(int exits_dir, struct ended_process *ret);

/* Reaps what exit_next found. */
void exit_reap(const struct ended_process *ended);

/* Reads a record; NOT_FOUND where there is none of this process: pid, start time and boot. */
struct error *exit_load(int exits_dir, const struct process_id *process, struct keeper_exit_record *ret)
    __attribute__((warn_unused_result));
void exit_drop(int exits_dir, const struct process_id *process);

/* Removes records that are older than max_age_ns of BOOTTIME, counted from the first sweep that saw them. */
void exits_sweep(int exits_dir, int64_t max_age_ns);
