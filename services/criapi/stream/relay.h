/* Bytes between a channel and a non-blocking descriptor, either way, each at the pace of the slower end. */
#pragma once

#include "services/criapi/stream/channels.h"
#include "services/criapi/stream/poll_set.h"

enum relay {
    RELAY_OPEN,
    RELAY_ENDED,  /* the source has ended and all of it has been handed on */
    RELAY_BROKEN, /* one end takes or gives nothing more */
};

/* Descriptor to channel. Watched only while the channel has room: so a client that does not read stops the writer. */
void relay_out_watch(const struct transport *transport, const struct channel *channel, struct watch *watch,
                     struct poll_set *set);

/* *moved_ns becomes the BOOTTIME of now when something was read; it may be NULL. ENDED: end of file, or a terminal's
 * last hang-up. BROKEN: the client has reset the channel, or an error, with errno. */
enum relay relay_out(struct transport *transport, struct channel *channel, struct watch *watch, int64_t *moved_ns);

/* Channel to descriptor. */
void relay_in_watch(const struct channel *channel, struct watch *watch, struct poll_set *set);
enum relay relay_in(struct transport *transport, struct channel *channel, const struct watch *watch);

/* From now on what comes for the channel is dropped. channel may be NULL. */
void relay_ignore(struct transport *transport, struct channel *channel);
