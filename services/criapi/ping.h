/* The heartbeat: a gRPC Version call to itself, through acceptor, server and routes, as a client's would go. */
#pragma once

#include "common/error.h"
#include "services/criapi/acceptor.h"

enum { PING_LIMIT_MS = 900 };

/* Any thread. Fails when Version is not answered within PING_LIMIT_MS. */
struct error *ping(struct acceptor *acceptor) __attribute__((warn_unused_result));
