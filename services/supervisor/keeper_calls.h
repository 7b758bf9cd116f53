/* What the supervisor asks of the keeper. Each waits 2 s at most; UNAVAILABLE or DEADLINE_EXCEEDED: ask again later. */
#pragma once

#include "services/supervisor/supervisor.h"

struct error *keeper_spawn_daemon(struct supervisor *supervisor, struct daemon *daemon, struct keeper_message *ret)
    __attribute__((warn_unused_result));
/* Another process for a streaming session. */
struct error *keeper_spawn_stream(struct supervisor *supervisor, struct keeper_message *ret)
    __attribute__((warn_unused_result));
/* Gives the keeper the streaming socket, if it has none. */
struct error *keeper_put_listener(struct supervisor *supervisor) __attribute__((warn_unused_result));
struct error *keeper_kill(struct supervisor *supervisor, const struct process_id *process, int signal)
    __attribute__((warn_unused_result));
void keeper_drop_exit(struct supervisor *supervisor, const struct process_id *process);

/* Calls each for every child of the keeper. */
struct error *keeper_list(struct supervisor *supervisor, void (*each)(void *argument, const struct keeper_message *child),
                          void *argument) __attribute__((warn_unused_result));

/* Gets the request pages from the store, makes those that are missing, and puts all of them there. */
struct error *keeper_sync_pages(struct supervisor *supervisor) __attribute__((warn_unused_result));
