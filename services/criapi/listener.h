/* The CRI socket: inherited, or bound when run alone; given back to whichever keeper lives. */
#pragma once

#include <stdbool.h>

#include "common/error.h"
#include "common/service.h"

struct listener {
    int fd;
    bool is_inherited;
};

/* Takes the descriptor named `cri`; without one, binds config->address (mode 0660) while still root. */
struct error *listener_open(struct listener *listener, const struct service_context *context)
    __attribute__((warn_unused_result));

void listener_close(struct listener *listener);
