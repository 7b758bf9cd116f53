/* Which calls are in hand, so that a CANCEL finds its call. */
#include "common/ipc_calls.h"

#include <string.h>

void ipc_calls_init(struct ipc_calls *calls)
{
    pthread_mutex_init(&calls->lock, NULL);
}

void ipc_calls_fini(struct ipc_calls *calls)
{
    pthread_mutex_destroy(&calls->lock);
}

static bool was_cancelled(const struct ipc_calls *calls, const uint8_t *id)
{
    for (size_t i = 0; i < IPC_CANCELLED_KEPT; i++) {
        if (memcmp(calls->recent[i], id, IPC_REQUEST_ID_SIZE) == 0)
            return true;
    }
    return false;
}

void ipc_calls_add(struct ipc_calls *calls, struct ipc_entry *entry, const uint8_t *id)
{
    memcpy(entry->id, id, IPC_REQUEST_ID_SIZE);
    pthread_mutex_lock(&calls->lock);
    atomic_init(&entry->cancelled, was_cancelled(calls, id));
    entry->previous = NULL;
    entry->next = calls->first;
    if (entry->next)
        entry->next->previous = entry;
    calls->first = entry;
    pthread_mutex_unlock(&calls->lock);
}

void ipc_calls_remove(struct ipc_calls *calls, struct ipc_entry *entry)
{
    pthread_mutex_lock(&calls->lock);
    if (entry->next)
        entry->next->previous = entry->previous;
    if (entry->previous)
        entry->previous->next = entry->next;
    else
        calls->first = entry->next;
    pthread_mutex_unlock(&calls->lock);
}

void ipc_calls_cancel(struct ipc_calls *calls, const uint8_t *id)
{
    pthread_mutex_lock(&calls->lock);
    memcpy(calls->recent[calls->turn++ % IPC_CANCELLED_KEPT], id, IPC_REQUEST_ID_SIZE);
    for (struct ipc_entry *entry = calls->first; entry; entry = entry->next) {
        if (memcmp(entry->id, id, IPC_REQUEST_ID_SIZE) == 0)
            atomic_store(&entry->cancelled, true);
    }
    pthread_mutex_unlock(&calls->lock);
}
