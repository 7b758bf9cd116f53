/* The table of steps: what sandboxd asked for, under its ids, and the results until they are acknowledged. */
#pragma once

#include "common/shim_protocol.h"
#include "common/wire.h"
#include "services/sandboxd/shim/loop.h"

enum { STEPS_MAX = 4096, STEP_FDS_MAX = 4, STEP_RETRY_MS = 3 };

struct step {
    struct step *next;
    uint64_t id;
    uint32_t type;            /* enum shim_type */
    uint8_t *message;         /* the request's fields, owned */
    size_t message_size;
    bool is_done;
    int32_t code;
    struct wire_writer result;
    int fds[STEP_FDS_MAX];    /* of the result; owned */
    size_t fd_count;
    struct timer again;       /* for handlers that wait: calls step_begin once more */
    int64_t deadline_ns;      /* BOOTTIME, set by the handler where it waits */
    void *work;               /* the handler's own, which it frees */
    unsigned phase;           /* the handler's own, 0 at first */
};

/* Adds a request. RESOURCE_EXHAUSTED when too many results wait for their acknowledgement. */
struct error *step_add(struct shim *shim, uint64_t id, uint32_t type, const void *message, size_t size,
                       struct step **ret_step) __attribute__((warn_unused_result));
/* Must an undo wait for it? A measurement changes nothing, and may take long. */
static inline bool step_is_work(const struct step *step)
{
    return step->type != SHIM_MEASURE;
}

struct step *step_find(const struct shim *shim, uint64_t id);
void step_forget(struct shim *shim, struct step *step);

/* Runs the handler of the step's type (again). */
void step_begin(struct shim *shim, struct step *step);

/* Calls step_begin again in a moment. */
void step_wait(struct shim *shim, struct step *step);

/* Keeps the result and tells every client. Takes the error; NULL is OK. */
void step_finish(struct shim *shim, struct step *step, struct error *failure);

/* The first field of that tag, pointing into the message; NULL or the default where absent or malformed. */
const char *step_string(const struct step *step, uint16_t tag);
uint64_t step_u64(const struct step *step, uint16_t tag, uint64_t otherwise);
bool step_bytes(const struct step *step, uint16_t tag, const void **ret_data, size_t *ret_size);

/* All fields of a tag, NULL-terminated: the array is the caller's, the strings the step's. `first` (may be NULL) comes
 * before them. */
char **step_strings(const struct step *step, uint16_t tag, size_t *ret_count);

/* CONTAINER, checked. */
struct error *step_container_name(const struct step *step, const char **ret) __attribute__((warn_unused_result));
