/* An entry for each object, with the moments at which it came and went. */
#include "cli/chaos/book.h"

#include <pthread.h>
#include <string.h>

#include "common/memory.h"

struct entry {
    char *id, *pod, *address; /* pod NULL: it is one */
    uint64_t came, gone;      /* 0: not yet */
    bool is_leaving;
};

struct book {
    pthread_mutex_t lock;
    struct entry *entries;
    size_t count;
    uint64_t now;
};

struct book *book_new(void)
{
    struct book *book = xcalloc(1, sizeof(*book));

    pthread_mutex_init(&book->lock, NULL);
    return book;
}

void book_free(struct book *book)
{
    if (!book)
        return;
    for (size_t i = 0; i < book->count; i++) {
        free(book->entries[i].id);
        free(book->entries[i].pod);
        free(book->entries[i].address);
    }
    free(book->entries);
    pthread_mutex_destroy(&book->lock);
    free(book);
}

/* The newest come last, and are asked for most. */
static struct entry *entry_find(struct book *book, const char *id)
{
    for (size_t i = book->count; i > 0; i--)
        if (!strcmp(book->entries[i - 1].id, id))
            return &book->entries[i - 1];
    return NULL;
}

static void entry_add(struct book *book, const char *id, const char *pod, const char *address)
{
    book->entries = xreallocarray(book->entries, book->count + 1, sizeof(*book->entries));
    book->entries[book->count++] = (struct entry){.id = xstrdup(id),
                                                  .pod = pod ? xstrdup(pod) : NULL,
                                                  .address = xstrdup(address),
                                                  .came = ++book->now};
}

static const struct entry *address_find(const struct book *book, const char *address)
{
    for (size_t i = 0; *address && i < book->count; i++)
        if (!book->entries[i].is_leaving && !strcmp(book->entries[i].address, address))
            return &book->entries[i];
    return NULL;
}

struct error *book_add_pod(struct book *book, const char *id, const char *address)
{
    struct error *error = NULL;

    pthread_mutex_lock(&book->lock);
    const struct entry *other = address_find(book, address);
    if (other)
        error = error_new(ERROR_ALREADY_EXISTS, "pods %.13s and %.13s both have the address %s", other->id, id, address);
    entry_add(book, id, NULL, address);
    pthread_mutex_unlock(&book->lock);
    return error;
}

void book_add_container(struct book *book, const char *id, const char *pod)
{
    pthread_mutex_lock(&book->lock);
    entry_add(book, id, pod, "");
    pthread_mutex_unlock(&book->lock);
}

void book_leave(struct book *book, const char *id)
{
    pthread_mutex_lock(&book->lock);
    struct entry *entry = entry_find(book, id);
    if (entry)
        entry->is_leaving = true;
    pthread_mutex_unlock(&book->lock);
}

void book_gone(struct book *book, const char *id)
{
    pthread_mutex_lock(&book->lock);
    struct entry *entry = entry_find(book, id);
    if (entry && !entry->gone) {
        entry->is_leaving = true;
        entry->gone = ++book->now;
    }
    pthread_mutex_unlock(&book->lock);
}

bool book_has(struct book *book, const char *id)
{
    pthread_mutex_lock(&book->lock);
    const struct entry *entry = entry_find(book, id);
    bool has = entry && !entry->is_leaving;
    pthread_mutex_unlock(&book->lock);
    return has;
}

size_t book_containers(struct book *book, const char *pod)
{
    size_t count = 0;

    pthread_mutex_lock(&book->lock);
    for (size_t i = 0; i < book->count; i++) {
        const struct entry *entry = &book->entries[i];
        count += entry->pod && !entry->is_leaving && (!pod || !strcmp(entry->pod, pod));
    }
    pthread_mutex_unlock(&book->lock);
    return count;
}

uint64_t book_now(struct book *book)
{
    pthread_mutex_lock(&book->lock);
    uint64_t now = ++book->now;
    pthread_mutex_unlock(&book->lock);
    return now;
}

static struct error *entry_compare(const struct entry *entry, uint64_t moment, size_t times)
{
    const char *what = entry->pod ? "container" : "pod";

    if (!entry->is_leaving && entry->came < moment && times != 1)
        return error_new(ERROR_INTERNAL, "%s %.13s is there, and listed %zu times", what, entry->id, times);
    if (entry->gone && entry->gone < moment && times)
        return error_new(ERROR_INTERNAL, "%s %.13s was removed, and is listed", what, entry->id);
    return NULL;
}

struct error *book_compare(struct book *book, uint64_t moment, bool is_pods, const char *const *ids, size_t count)
{
    struct error *error = NULL;

    pthread_mutex_lock(&book->lock);
    for (size_t i = 0; i < book->count && !error; i++) {
        const struct entry *entry = &book->entries[i];
        size_t times = 0;
        for (size_t j = 0; j < count; j++)
            times += !strcmp(ids[j], entry->id);
        if (is_pods == !entry->pod)
            error = entry_compare(entry, moment, times);
    }
    pthread_mutex_unlock(&book->lock);
    return error;
}
