/* What each request of keeper_protocol.h does. */
#pragma once

#include "services/supervisor/keeper/server.h"

/* Checks, does and answers; takes the descriptors. */
void request_handle(struct keeper *keeper, struct connection *connection, const struct keeper_message *request,
                    int *fds, size_t fd_count);

/* [A-Za-z0-9._:-]+ and neither "." nor "..". Pure. */
bool name_is_valid(const char *name);
