/* WebSocket's frames, with each kind of channels in them. The first byte chooses which. */
#include "common/stream_protocol.h"
#include "services/criapi/stream/tunnel.h"
#include "services/criapi/stream/websocket_channels.h"
#include "tests/fuzz/fuzz.h"

static struct transport *transport_make(uint8_t choice, const struct fuzz_world *world)
{
    static const uint16_t ports[] = {80, 65535};
    struct upgrade upgrade = {.is_base64 = choice & 1, .has_close = choice & 2};

    if (choice & 4)
        return tunnel_new(&world->sink, &world->owner);
    struct transport *transport = websocket_channels_new(&world->sink, &world->owner, &upgrade);
    if (choice & 8)
        websocket_channels_open_ports(transport, ports, 2);
    else
        websocket_channels_open_remote(transport, choice >> 4);
    return transport;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_world world;

    if (size == 0)
        return 0;
    fuzz_world_init(&world);
    fuzz_transport(transport_make(data[0], &world), data + 1, size - 1);
    return 0;
}
