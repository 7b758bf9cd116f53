/* What the fuzz targets share: libFuzzer's entry, and a connection that leads nowhere. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "services/criapi/stream/channels.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A sink that counts, and an owner that takes every channel but those of type "refused". */
struct fuzz_world {
    size_t written;
    struct byte_sink sink;
    struct channel_owner owner;
};
void fuzz_world_init(struct fuzz_world *world);

/* Feeds the bytes to a transport in pieces of uneven size, as TCP does; uses up, ends and releases channels meanwhile,
 * as work does; and aborts where the transport breaks its contract. Frees it. */
void fuzz_transport(struct transport *transport, const uint8_t *data, size_t size);
