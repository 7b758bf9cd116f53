/* The layout of the shared page, and who gets a strike. */
#include "common/request_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/memory.h"

enum { LAYOUT_VERSION = 1, STRIKES_MAX = REQUEST_PAGE_SLOTS + REQUEST_PAGE_POISON, STRIKES_OF_POISON = 2 };

enum slot_state { SLOT_FREE, SLOT_CLAIMED, SLOT_IN_HAND };

struct slot {
    atomic_uint state;
    char key[REQUEST_PAGE_KEY_SIZE];
};

/* Keys change only in request_page_open, before there are threads; counts are cleared at any time. */
struct strike {
    atomic_uint count; /* 0: the entry is free */
    uint32_t turn;     /* when it was last struck, in openings of the page */
    char key[REQUEST_PAGE_KEY_SIZE];
};

struct layout {
    uint32_t version;
    uint32_t openings;
    struct slot slots[REQUEST_PAGE_SLOTS];
    struct strike strikes[STRIKES_MAX];
};

struct request_page {
    struct layout *layout;
    atomic_uint next; /* where to look for a free slot */
    bool has_strikes; /* false spares every request the search */
};

const char *death_reason_name(enum death_reason reason)
{
    static const char *const names[] = {
        [DEATH_NONE] = "none", [DEATH_KILLED] = "killed", [DEATH_FAULT] = "fault",
        [DEATH_HANG] = "hang", [DEATH_EXIT] = "exit",     [DEATH_UNKNOWN] = "unknown",
    };

    return (unsigned)reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "unknown";
}

struct error *request_page_create(int *ret_fd)
{
    autoclose int fd = memfd_create("bulkhead-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return error_errno(errno, "make a shared page");
    if (ftruncate(fd, sizeof(struct layout)) < 0)
        return error_errno(errno, "size the shared page");
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return error_errno(errno, "seal the shared page");
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

static struct strike *strike_find(struct layout *layout, const char *key)
{
    for (size_t i = 0; i < STRIKES_MAX; i++) {
        struct strike *strike = &layout->strikes[i];
        if (atomic_load_explicit(&strike->count, memory_order_relaxed) > 0 &&
            strncmp(strike->key, key, sizeof(strike->key) - 1) == 0)
            return strike;
    }
    return NULL;
}

/* A free entry, else the oldest one that is not poison, else the oldest. */
static struct strike *strike_place(struct layout *layout)
{
    struct strike *best = &layout->strikes[0];

    for (size_t i = 0; i < STRIKES_MAX; i++) {
        struct strike *strike = &layout->strikes[i];
        if (strike->count == 0)
            return strike;
        bool is_poison = strike->count >= STRIKES_OF_POISON, best_is_poison = best->count >= STRIKES_OF_POISON;
        if (is_poison != best_is_poison ? best_is_poison : strike->turn < best->turn)
            best = strike;
    }
    return best;
}

static void strike_add(struct layout *layout, const char *key)
{
    struct strike *strike = strike_find(layout, key);

    if (!strike) {
        strike = strike_place(layout);
        strike->count = 0;
        memcpy(strike->key, key, sizeof(strike->key));
        strike->key[sizeof(strike->key) - 1] = '\0';
    }
    strike->count++;
    strike->turn = layout->openings;
}

static void judge(struct layout *layout, enum death_reason last)
{
    if (layout->version != 0 && layout->version != LAYOUT_VERSION)
        memset(layout, 0, sizeof(*layout)); /* another release's: its strikes are forgotten */
    layout->version = LAYOUT_VERSION;
    layout->openings++;
    for (size_t i = 0; i < REQUEST_PAGE_SLOTS; i++) {
        struct slot *slot = &layout->slots[i];
        if (slot->state == SLOT_IN_HAND && (last == DEATH_FAULT || last == DEATH_HANG))
            strike_add(layout, slot->key);
        if (slot->state != SLOT_FREE)
            slot->state = SLOT_FREE;
    }
}

static bool any_strikes(struct layout *layout)
{
    for (size_t i = 0; i < STRIKES_MAX; i++) {
        if (layout->strikes[i].count > 0)
            return true;
    }
    return false;
}

struct error *request_page_open(int fd, enum death_reason last, struct request_page **ret)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_errno(errno, "look at the shared page");
    if (status.st_size < (off_t)sizeof(struct layout))
        return error_new(ERROR_FAILED_PRECONDITION, "the shared page has %lld bytes, not %zu",
                         (long long)status.st_size, sizeof(struct layout));
    struct layout *layout = mmap(NULL, sizeof(*layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (layout == MAP_FAILED)
        return error_errno(errno, "map the shared page");
    judge(layout, last);
    struct request_page *page = xcalloc(1, sizeof(*page));
    page->layout = layout;
    page->has_strikes = any_strikes(layout);
    *ret = page;
    return NULL;
}

void request_page_close(struct request_page *page)
{
    if (!page)
        return;
    munmap(page->layout, sizeof(*page->layout));
    free(page);
}

int request_page_enter(struct request_page *page, const char *key)
{
    unsigned start = atomic_fetch_add_explicit(&page->next, 1, memory_order_relaxed);

    for (unsigned i = 0; i < REQUEST_PAGE_SLOTS; i++) {
        unsigned number = (start + i) % REQUEST_PAGE_SLOTS;
        struct slot *slot = &page->layout->slots[number];
        unsigned free_state = SLOT_FREE;
        if (!atomic_compare_exchange_strong(&slot->state, &free_state, SLOT_CLAIMED))
            continue;
        snprintf(slot->key, sizeof(slot->key), "%s", key);
        atomic_store(&slot->state, SLOT_IN_HAND);
        return (int)number;
    }
    return -1;
}

void request_page_leave(struct request_page *page, int slot_number)
{
    if (slot_number < 0)
        return;
    struct slot *slot = &page->layout->slots[slot_number];
    struct strike *strike = page->has_strikes ? strike_find(page->layout, slot->key) : NULL;
    if (strike)
        atomic_store(&strike->count, 0); /* it ended well: it was only present at the deaths */
    atomic_store(&slot->state, SLOT_FREE);
}

static unsigned strikes_of(struct request_page *page, const char *key)
{
    struct strike *strike = page->has_strikes ? strike_find(page->layout, key) : NULL;

    return strike ? atomic_load(&strike->count) : 0;
}

bool request_page_is_poison(struct request_page *page, const char *key)
{
    return strikes_of(page, key) >= STRIKES_OF_POISON;
}

bool request_page_is_suspect(struct request_page *page, const char *key)
{
    return strikes_of(page, key) > 0;
}
