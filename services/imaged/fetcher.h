/* One conversation with a registry, as imaged leads it: fetch is started when first needed, and again after its death. */
#pragma once

#include "services/imaged/child.h"
#include "services/imaged/fetch/protocol.h"

struct fetcher {
    struct keeper_client *keeper;
    uint64_t generation;
    char *name; /* of the process */
    const char *host;
    const void *job; /* wire.h fields, see fetch/protocol.h; host and job stay the caller's */
    size_t job_size;
    struct child child;
    int request, reply;
    size_t frame_left; /* bytes of the present frame that are not read yet */
};

void fetcher_init(struct fetcher *fetcher, struct keeper_client *keeper, uint64_t generation, const char *name);
void fetcher_fini(struct fetcher *fetcher);

/* Asks, and waits for the answer's begin. ABORTED: fetch has died; ask again. Other errors are the registry's. *ret_type (the Content-Type; NULL:
 * not wanted) is the caller's to free. */
struct error *fetcher_ask(struct fetcher *fetcher, uint32_t kind, const char *reference, uint64_t offset, char **ret_type)
    __attribute__((warn_unused_result));

/* The answer's next bytes; *ret_size 0: its end. */
struct error *fetcher_read(struct fetcher *fetcher, void *data, size_t room, size_t *ret_size) __attribute__((warn_unused_result));

/* Ends a conversation whose answer is not wanted to its end; the next ask starts another. */
void fetcher_reset(struct fetcher *fetcher);

/* Is it worth asking again? */
bool fetcher_error_is_passing(const struct error *failure);

/* A whole small document: its bytes, verified against expected_digest unless that is NULL (then digest says what it is). */
struct error *fetcher_get(struct fetcher *fetcher, uint32_t kind, const char *reference, const char *expected_digest, size_t limit,
                          char **ret_data, size_t *ret_size, char **ret_type) __attribute__((warn_unused_result));
