/* One daemon's life: started, adopted, heard, hanging, ended. Main thread, supervisor's lock held where it writes. */
#pragma once

#include "services/supervisor/supervisor.h"

/* Starts the next generation if none lives and its time has come. */
void daemon_start(struct supervisor *supervisor, struct daemon *daemon);

/* child is the living generation: noted if it is not known yet. */
void daemon_adopt(struct supervisor *supervisor, struct daemon *daemon, const struct keeper_message *child);

/* This generation has ended; plans the next one. */
void daemon_ended(struct supervisor *supervisor, struct daemon *daemon, bool is_known, int wait_status);

/* Kills it if it hangs; gives up a corpse after 1 s. */
void daemon_check(struct supervisor *supervisor, struct daemon *daemon);

void daemon_heard(struct supervisor *supervisor, struct daemon *daemon, const struct notify_message *message);
