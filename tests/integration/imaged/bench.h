/* imaged with fetch and unpack under a real keeper, in a root of its own, and typed calls to it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "common/error.h"
#include "common/keeper_protocol.h"
#include "proto/bulkhead.pb-c.h"
#include "proto/cri.pb-c.h"

struct bench {
    char *directory; /* private, below /tmp */
    char *root, *state;
    char *certs; /* DIRECTORY/certs.d, where hosts.json are read */
    pid_t keeper_pid;
    struct keeper_client *keeper;
    struct ipc_client *client;
    int imaged_pidfd;
};

/* Moves this process (once, single-threaded still) into mount and network namespaces of its own, with `lo` up: nothing
 * that is asked for by name or address leaves the machine. */
void bench_isolate(void);

/* In two steps, so that a test may mount something at `root` between them. Each fails the test if it can't be done. */
void bench_prepare(struct bench *bench);
void bench_start(struct bench *bench);
/* Ends all of it; half-started ones are fine. 0, or -1 if something stays. */
int bench_stop(struct bench *bench);

void imaged_kill(struct bench *bench);
/* Waits until the supervisor has started imaged again. */
void imaged_start(struct bench *bench);
/* kill -9 of every child of this kind, and how many there were; with signal 0 only counts. */
unsigned children_kill(struct bench *bench, enum keeper_program program, int signal);

/* Writes certs.d/HOST/hosts.json. */
void hosts_write(const struct bench *bench, const char *host, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void pause_ms(long ms);
void fine(struct error *failure);
/* Refused with this code, in a text that has the word. */
void refused(struct error *failure, enum error_code code, const char *word);

struct error *call(struct bench *bench, const char *method, const ProtobufCMessage *request, uint8_t **ret,
                   size_t *ret_size) __attribute__((warn_unused_result));
/* auth and ret_id (the caller frees it) may be NULL. */
struct error *pull_with(struct bench *bench, const char *name, Runtime__V1__AuthConfig *auth, char **ret_id)
    __attribute__((warn_unused_result));
struct error *pull(struct bench *bench, const char *name, char **ret_id) __attribute__((warn_unused_result));
struct error *remove_image(struct bench *bench, const char *name) __attribute__((warn_unused_result));
/* The caller frees these with ...__free_unpacked. */
Runtime__V1__ImageStatusResponse *status_get(struct bench *bench, const char *name);
Runtime__V1__ListImagesResponse *list_get(struct bench *bench, const char *filter);
bool is_known(struct bench *bench, const char *name);

/* What lies in ROOT/imaged/NAME, but for hidden files. */
size_t files_count(const struct bench *bench, const char *name);
/* Waits until it is that many; what never settles fails. */
void settles_at(const struct bench *bench, const char *name, size_t count);
/* Waits until there is no image, layer, record, part of a blob, half-written file or child left. */
void nothing_is_left(struct bench *bench);
