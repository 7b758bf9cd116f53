/* Handshakes, of WebSockets above all: a head that asks for an upgrade, for each kind of session. */
#include <stdlib.h>
#include <string.h>

#include "services/criapi/stream/upgrade.h"
#include "tests/fuzz/fuzz.h"

static void decide(const struct http_head *head, enum stream_kind kind)
{
    struct upgrade upgrade;

    upgrade_decide(head, kind, &upgrade);
    if ((upgrade.transport == UPGRADE_NONE) == (strncmp(upgrade.answer, "HTTP/1.1 101 ", 13) == 0))
        abort();
    if (upgrade.port_count > UPGRADE_PORTS_MAX)
        abort();
    for (size_t i = 0; i < upgrade.port_count; i++)
        if (upgrade.ports[i] == 0)
            abort();
    free(upgrade.answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head *head = NULL;
    size_t used;

    error_free(http_head_parse(data, size, &head, &used));
    for (int kind = STREAM_EXEC; head && kind <= STREAM_PORT_FORWARD; kind++)
        decide(head, (enum stream_kind)kind);
    http_head_free(head);
    return 0;
}
