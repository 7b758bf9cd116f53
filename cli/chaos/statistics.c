/* Sorting and counting. */
#include "cli/chaos/statistics.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

double percentile(const double *sorted, size_t count, double share)
{
    if (!count)
        return 0;
    size_t rank = (size_t)(share * (double)count + 0.999999);
    return sorted[rank < 1 ? 0 : rank > count ? count - 1 : rank - 1];
}

static int number_compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static double ms_between(int64_t from_ns, int64_t to_ns)
{
    return (double)(to_ns - from_ns) / 1e6;
}

void statistics_of_rpc(const struct record *record, enum rpc rpc, struct rpc_statistics *ret)
{
    autofree double *times = xcalloc(record->call_count + 1, sizeof(*times));

    *ret = (struct rpc_statistics){0};
    for (size_t i = 0; i < record->call_count; i++) {
        const struct call_record *call = &record->calls[i];
        if (call->rpc != rpc)
            continue;
        times[ret->calls++] = ms_between(call->start_ns, call->end_ns);
        ret->excused += call->is_excused;
        ret->failed += call->code != ERROR_OK;
    }
    qsort(times, ret->calls, sizeof(*times), number_compare);
    ret->p50_ms = percentile(times, ret->calls, 0.5);
    ret->p99_ms = percentile(times, ret->calls, 0.99);
    ret->max_ms = percentile(times, ret->calls, 1);
}

bool kill_counts(const struct kill_record *kill)
{
    return kill->was_ready && kill->had_work;
}

size_t statistics_counted(const struct record *record)
{
    size_t count = 0;

    for (size_t i = 0; i < record->kill_count; i++)
        count += kill_counts(&record->kills[i]);
    return count;
}

static void kill_add(const struct kill_record *kill, struct kill_statistics *ret, double *settled, size_t *settled_count)
{
    ret->kills++;
    ret->counted += kill_counts(kill);
    ret->stops += kill->signal != 9;
    if (kill->dead_ns && ms_between(kill->at_ns, kill->dead_ns) > ret->dead_max_ms)
        ret->dead_max_ms = ms_between(kill->at_ns, kill->dead_ns);
    if (kill->settled_ns)
        settled[(*settled_count)++] = ms_between(kill->at_ns, kill->settled_ns);
}

void statistics_of_target(const struct record *record, enum target target, struct kill_statistics *ret)
{
    autofree double *settled = xcalloc(record->kill_count + 1, sizeof(*settled));
    size_t settled_count = 0;

    *ret = (struct kill_statistics){0};
    for (size_t i = 0; i < record->kill_count; i++)
        if (record->kills[i].target == target)
            kill_add(&record->kills[i], ret, settled, &settled_count);
    qsort(settled, settled_count, sizeof(*settled), number_compare);
    ret->settled_p50_ms = percentile(settled, settled_count, 0.5);
    ret->settled_max_ms = percentile(settled, settled_count, 1);
}

static void tally_add(struct work_tally **tallies, size_t *count, const struct kill_record *kill, const char *word)
{
    autofree char *work = kill->detail[0] ? xasprintf("%s %s: %s", target_name(kill->target), kill->detail, word)
                                          : xasprintf("%s: %s", target_name(kill->target), word);

    for (size_t i = 0; i < *count; i++)
        if (!strcmp((*tallies)[i].work, work)) {
            (*tallies)[i].count++;
            return;
        }
    *tallies = xreallocarray(*tallies, *count + 1, sizeof(**tallies));
    (*tallies)[(*count)++] = (struct work_tally){.work = TAKE(work), .count = 1};
}

static int tally_compare(const void *a, const void *b)
{
    const struct work_tally *left = a, *right = b;

    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return strcmp(left->work, right->work);
}

/* The words are parted by spaces; those in parentheses have some themselves. */
static const char *word_end(const char *word)
{
    const char *end = *word == '(' ? strchr(word, ')') : NULL;

    return end ? end + 1 : word + strcspn(word, " ");
}

void statistics_of_work(const struct record *record, struct work_tally **ret, size_t *ret_count)
{
    *ret = NULL;
    *ret_count = 0;
    for (size_t i = 0; i < record->kill_count; i++) {
        const struct kill_record *kill = &record->kills[i];
        for (const char *word = kill->work; kill_counts(kill) && *word;) {
            const char *end = word_end(word);
            autofree char *text = xstrndup(word, (size_t)(end - word));
            tally_add(ret, ret_count, kill, text);
            word = *end == ' ' ? end + 1 : end;
        }
    }
    if (*ret_count)
        qsort(*ret, *ret_count, sizeof(**ret), tally_compare);
}

void tallies_free(struct work_tally *tallies, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(tallies[i].work);
    free(tallies);
}
