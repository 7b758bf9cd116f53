/* SPDY's frames: a session whose client sends anything. */
#include "services/criapi/stream/spdy_session.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_world world;

    fuzz_world_init(&world);
    fuzz_transport(spdy_session_new(&world.sink, &world.owner), data, size);
    return 0;
}
