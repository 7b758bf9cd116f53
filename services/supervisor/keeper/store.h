/* The fd store: descriptors that outlive whoever made them, keyed (owner, name). */
#pragma once

#include "services/supervisor/keeper/keeper.h"

enum { STORE_FDS_MAX = 65536, STORE_DAEMON_MAX = 64 };

/* May a process of this user read and write the owner's descriptors? Root may all; a daemon its own; the supervisor the
 * owner "page"; criapi and the supervisor may give sockets of the owner "listener" back, and read none. */
bool store_is_allowed(const struct keeper *keeper, const char *owner, uid_t uid, bool writes);

/* Is there room for one more of this owner, from this user? A daemon's is small, so that it cannot fill the shims'. */
bool store_has_room(const struct keeper *keeper, const char *owner, const char *name, uid_t uid);

/* Puts or replaces; takes fd. RESOURCE_EXHAUSTED beyond STORE_FDS_MAX. */
struct error *store_put(struct keeper *keeper, const char *owner, const char *name, int fd)
    __attribute__((warn_unused_result));

/* The stored descriptor, still the store's, or -1. */
int store_find(const struct keeper *keeper, const char *owner, const char *name);

/* Closes and forgets one, or with name NULL all of an owner. */
void store_drop(struct keeper *keeper, const char *owner, const char *name);

/* Up to max entries of owner after the first `skip`; returns how many. */
size_t store_list(const struct keeper *keeper, const char *owner, size_t skip, size_t max,
                  const struct stored_fd **ret_entries);
