/* Failpoints in the processes of a whole node. */
#pragma once

#include "tests/integration/failpoints.h"
#include "tests/integration/node_fixture.h"

static inline int fixture_open_with_failpoints(void **state)
{
    failpoints_open();
    return fixture_open(state);
}

static inline int fixture_close_with_failpoints(void **state)
{
    int result = fixture_close(state);

    failpoints_close();
    return result;
}
