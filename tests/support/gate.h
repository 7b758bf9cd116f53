/* Gates in programs that bulkhead runs: a wrapper in the real program's place stops at a gate that a test has set,
 * until the test opens it. So a kill falls surely between two points of a plugin's or a runtime's run, however slow the
 * machine is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

/* Gates are named PROGRAM.VERB.before and PROGRAM.VERB.after, as "bridge.ADD.before", "crun.create.after". */
struct gates {
    char *directory; /* of the gates' files */
    char *bin;       /* of the wrappers: for cni.bin_dirs and runtimes */
};

/* Makes DIRECTORY/gates and DIRECTORY/bin. */
struct error *gates_open(struct gates *gates, const char *directory) __attribute__((warn_unused_result));
void gates_close(struct gates *gates);

/* A wrapper of a CNI plugin, or of an OCI runtime, in gates->bin; real: the program's path. */
struct error *gate_wrap_plugin(const struct gates *gates, const char *name, const char *real)
    __attribute__((warn_unused_result));
struct error *gate_wrap_runtime(const struct gates *gates, const char *name, const char *real)
    __attribute__((warn_unused_result));

/* Sets a gate; the next one that comes by stops there, once. */
struct error *gate_set(const struct gates *gates, const char *gate) __attribute__((warn_unused_result));

/* Waits up to a minute until somebody stands there; ret_pid (may be NULL): the wrapper's. */
struct error *gate_wait(const struct gates *gates, const char *gate, pid_t *ret_pid)
    __attribute__((warn_unused_result));

/* Lets it go on; takes a gate away where nobody came by. */
void gate_open(const struct gates *gates, const char *gate);

/* From now on the verb ("bridge.ADD") says this text where such a program says its errors, and exits with 1; NULL: no
 * more. */
struct error *gate_fail(const struct gates *gates, const char *verb, const char *text)
    __attribute__((warn_unused_result));

/* How often the verb was called. */
size_t gate_calls(const struct gates *gates, const char *verb);

/* How often a plugin was begun for a pod while an earlier run of it for the same pod lived. */
size_t gate_overlaps(const struct gates *gates);
