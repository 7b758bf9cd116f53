/* Who may keep descriptors under which owner, and the list that holds them. */
#include "services/supervisor/keeper/store.h"

#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "services/supervisor/keeper/programs.h"

bool store_is_allowed(const struct keeper *keeper, const char *owner, uid_t uid, bool writes)
{
    if (uid == 0)
        return true;
    if (uid == keeper_uid(keeper, CONFIG_USER_SUPERVISOR) && strcmp(owner, "page") == 0)
        return true;
    if (strcmp(owner, "listener") == 0)
        return writes && (uid == keeper_uid(keeper, CONFIG_USER_CRIAPI) || uid == keeper_uid(keeper, CONFIG_USER_SUPERVISOR));
    for (int i = 0; i < KEEPER_PROGRAM_COUNT; i++) {
        const struct program *program = program_get((enum keeper_program)i);
        if (program->has_directories && program->owner != CONFIG_USER_ROOT && strcmp(program->name, owner) == 0)
            return uid == keeper_uid(keeper, program->owner);
    }
    return false;
}

static struct stored_fd *store_entry(const struct keeper *keeper, const char *owner, const char *name, size_t *ret_count)
{
    *ret_count = 0;
    for (struct stored_fd *entry = keeper->store; entry; entry = entry->next, (*ret_count)++)
        if (strcmp(entry->owner, owner) == 0 && strcmp(entry->name, name) == 0)
            return entry;
    return NULL;
}

bool store_has_room(const struct keeper *keeper, const char *owner, const char *name, uid_t uid)
{
    size_t count = 0;

    if (uid == 0 || store_find(keeper, owner, name) >= 0)
        return true;
    for (const struct stored_fd *entry = keeper->store; entry; entry = entry->next)
        count += strcmp(entry->owner, owner) == 0;
    return count < STORE_DAEMON_MAX;
}

struct error *store_put(struct keeper *keeper, const char *owner, const char *name, int fd)
{
    size_t count = 0;
    struct stored_fd *entry = store_entry(keeper, owner, name, &count);

    if (!entry) {
        if (count >= STORE_FDS_MAX) {
            close(fd);
            return error_new(ERROR_RESOURCE_EXHAUSTED, "the fd store is full (%zu)", count);
        }
        entry = xcalloc(1, sizeof(*entry));
        snprintf(entry->owner, sizeof(entry->owner), "%s", owner);
        snprintf(entry->name, sizeof(entry->name), "%s", name);
        entry->fd = -1;
        entry->next = keeper->store;
        keeper->store = entry;
    }
    if (entry->fd >= 0)
        close(entry->fd);
    entry->fd = fd;
    return NULL;
}

int store_find(const struct keeper *keeper, const char *owner, const char *name)
{
    size_t count = 0;
    const struct stored_fd *entry = store_entry(keeper, owner, name, &count);

    return entry ? entry->fd : -1;
}

void store_drop(struct keeper *keeper, const char *owner, const char *name)
{
    char whose[KEEPER_NAME_SIZE]; /* owner may lie in an entry that goes */

    snprintf(whose, sizeof(whose), "%s", owner);
    for (struct stored_fd **link = &keeper->store; *link;) {
        struct stored_fd *entry = *link;
        if (strcmp(entry->owner, whose) != 0 || (name && strcmp(entry->name, name) != 0)) {
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        close(entry->fd);
        free(entry);
    }
}

size_t store_list(const struct keeper *keeper, const char *owner, size_t skip, size_t max,
                  const struct stored_fd **ret_entries)
{
    size_t count = 0;

    for (const struct stored_fd *entry = keeper->store; entry && count < max; entry = entry->next) {
        if (strcmp(entry->owner, owner) != 0)
            continue;
        if (skip > 0)
            skip--;
        else
            ret_entries[count++] = entry;
    }
    return count;
}
