/* What the lists must show, and what a pull must have done. */
#include "cli/chaos/background.h"

#include <unistd.h>

#include "cli/chaos/calls.h"
#include "cli/chaos/random.h"
#include "common/memory.h"

enum { PAUSE_US = 20000 };

static struct error *list_check(struct caller *caller, bool is_pods)
{
    struct chaos *chaos = caller->chaos;
    uint64_t moment = book_now(chaos->book);
    char **ids = NULL;
    size_t count = 0;

    TRY(is_pods ? call_list_pods(caller, NULL, &ids, &count) : call_list_containers(caller, &ids, &count));
    autoptr(error) wrong = book_compare(chaos->book, moment, is_pods, (const char *const *)ids, count);
    if (wrong)
        recorder_violation(chaos->recorder, VIOLATION_LIST, "%s", wrong->text);
    ids_free(ids, count);
    recorder_tally(chaos->recorder, &(struct tally){.lists = 1});
    return NULL;
}

static struct error *images_check(struct caller *caller)
{
    bool is_there = false;
    size_t count = 0;

    TRY(call_list_images(caller, &count));
    TRY(call_image_status(caller, caller->chaos->options->image, &is_there));
    if (!is_there || !count)
        recorder_violation(caller->chaos->recorder, VIOLATION_LIST, "image %s is in use, and not there",
                           caller->chaos->options->image);
    return NULL;
}

static struct error *look(struct caller *caller, unsigned number)
{
    bool ready = false;

    switch (number % 6) {
    case 0: return call_version(caller);
    case 1: return call_status(caller, &ready);
    case 2: return images_check(caller);
    case 3:
    case 4: return list_check(caller, true);
    default: return list_check(caller, false);
    }
}

/* A failure that remains has been recorded, attempt by attempt. */
void *lister_run(void *argument)
{
    struct worker *worker = argument;
    struct caller caller;
    autoptr(error) error = caller_open(worker->chaos, worker->slot, &caller);

    if (error)
        return NULL;
    for (unsigned number = 0; !atomic_load(&worker->chaos->is_over); number++) {
        error_free(look(&caller, number));
        usleep(PAUSE_US);
    }
    caller_close(&caller);
    return NULL;
}

static void presence_check(struct caller *caller, bool expected)
{
    const char *reference = caller->chaos->options->pull;
    bool is_there = !expected;
    autoptr(error) error = call_image_status(caller, reference, &is_there);

    if (!error && is_there != expected)
        recorder_violation(caller->chaos->recorder, VIOLATION_LIST, "image %s was %s, and is %s", reference,
                           expected ? "pulled" : "removed", expected ? "not there" : "there");
}

static struct error *pull_and_remove(struct caller *caller)
{
    const char *reference = caller->chaos->options->pull;
    autofree char *image = NULL;

    TRY(call_pull(caller, reference, &image));
    presence_check(caller, true);
    TRY(call_remove_image(caller, reference));
    presence_check(caller, false);
    recorder_tally(caller->chaos->recorder, &(struct tally){.pulls = 1});
    return NULL;
}

void *puller_run(void *argument)
{
    struct worker *worker = argument;
    struct caller caller;
    autoptr(error) error = caller_open(worker->chaos, worker->slot, &caller);

    if (error)
        return NULL;
    while (!atomic_load(&worker->chaos->is_over)) {
        struct error *stuck = pull_and_remove(&caller);
        if (stuck)
            recorder_violation(worker->chaos->recorder, VIOLATION_STUCK, "image %s: %s", worker->chaos->options->pull,
                               stuck->text);
        error_free(stuck);
        usleep(PAUSE_US);
    }
    caller_close(&caller);
    return NULL;
}
