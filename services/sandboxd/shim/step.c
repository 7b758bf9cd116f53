/* How steps are kept, read and answered. */
#include "services/sandboxd/shim/step.h"

#include <stdlib.h>
#include <string.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/server.h"
#include "services/sandboxd/shim/shim.h"

static void step_again(struct shim *shim, void *owner)
{
    step_begin(shim, owner);
}

struct error *step_add(struct shim *shim, uint64_t id, uint32_t type, const void *message, size_t size,
                       struct step **ret_step)
{
    size_t count = 0;

    for (const struct step *other = shim->steps; other; other = other->next)
        count++;
    if (count >= STEPS_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%zu steps are unacknowledged", count);
    struct step *step = xcalloc(1, sizeof(*step));
    step->id = id;
    step->type = type;
    step->message = xmemdup(message, size);
    step->message_size = size;
    step->again = (struct timer){.fire = step_again, .owner = step};
    step->next = shim->steps;
    shim->steps = step;
    *ret_step = step;
    return NULL;
}

struct step *step_find(const struct shim *shim, uint64_t id)
{
    struct step *step = shim->steps;

    while (step && step->id != id)
        step = step->next;
    return step;
}

void step_forget(struct shim *shim, struct step *step)
{
    for (struct step **at = &shim->steps; *at; at = &(*at)->next)
        if (*at == step) {
            *at = step->next;
            break;
        }
    loop_disarm(&shim->loop, &step->again);
    fds_close(step->fds, step->fd_count);
    wire_writer_fini(&step->result);
    free(step->message);
    free(step);
}

void step_begin(struct shim *shim, struct step *step)
{
    step_handler *handler = handler_find(step->type);

    if (shim->unfit && (step->type == SHIM_POD_SETUP || step->type == SHIM_RUN)) /* what comes first, and needs a group */
        step_finish(shim, step, error_new(ERROR_FAILED_PRECONDITION, "%s", shim->unfit));
    else if (handler)
        handler(shim, step);
    else
        step_finish(shim, step, error_new(ERROR_UNIMPLEMENTED, "the shim knows no step of type %u", step->type));
}

void step_wait(struct shim *shim, struct step *step)
{
    loop_arm(&shim->loop, &step->again, STEP_RETRY_MS);
}

void step_finish(struct shim *shim, struct step *step, struct error *failure)
{
    FAILPOINT("shim.step.before_result");
    loop_disarm(&shim->loop, &step->again);
    step->is_done = true;
    if (failure) {
        step->code = failure->code;
        wire_put_string(&step->result, SHIM_TAG_TEXT, failure->text);
        log_info("step failed", "step=%llu type=%u code=%s error=%s", (unsigned long long)step->id, step->type,
                 error_code_name(failure->code), log_quote(failure->text));
        error_free(failure);
    }
    wire_put_u64(&step->result, SHIM_TAG_STEP_TYPE, step->type);
    server_tell_result(shim, step);
    FAILPOINT("shim.step.after_result");
}

static bool step_field(const struct step *step, uint16_t tag, struct wire_field *ret_field)
{
    struct wire_reader reader = {.data = step->message, .size = step->message_size};
    struct error *failure = NULL;

    while (wire_next(&reader, ret_field, &failure))
        if (ret_field->tag == tag)
            return true;
    error_free(failure); /* the server has checked the whole message */
    return false;
}

const char *step_string(const struct step *step, uint16_t tag)
{
    struct wire_field field;
    const char *text = NULL;

    if (step_field(step, tag, &field))
        error_free(wire_string(&field, &text)); /* a malformed one counts as absent */
    return text;
}

uint64_t step_u64(const struct step *step, uint16_t tag, uint64_t otherwise)
{
    struct wire_field field;
    uint64_t value = otherwise;

    if (step_field(step, tag, &field))
        error_free(wire_u64(&field, &value));
    return value;
}

bool step_bytes(const struct step *step, uint16_t tag, const void **ret_data, size_t *ret_size)
{
    struct wire_field field;

    if (!step_field(step, tag, &field))
        return false;
    *ret_data = field.data;
    *ret_size = field.size;
    return true;
}

char **step_strings(const struct step *step, uint16_t tag, size_t *ret_count)
{
    struct wire_reader reader = {.data = step->message, .size = step->message_size};
    struct wire_field field;
    struct error *failure = NULL;
    char **texts = xcalloc(1, sizeof(*texts));
    size_t count = 0;

    while (wire_next(&reader, &field, &failure)) {
        const char *text = NULL;
        if (field.tag != tag)
            continue;
        error_free(wire_string(&field, &text));
        if (!text)
            continue;
        texts = xreallocarray(texts, count + 2, sizeof(*texts));
        texts[count++] = (char *)text;
        texts[count] = NULL;
    }
    error_free(failure);
    *ret_count = count;
    return texts;
}

struct error *step_container_name(const struct step *step, const char **ret)
{
    const char *name = step_string(step, SHIM_TAG_CONTAINER);

    if (!name || !shim_name_is_valid(name))
        return error_new(ERROR_INVALID_ARGUMENT, "step %llu names no valid container", (unsigned long long)step->id);
    *ret = name;
    return NULL;
}
