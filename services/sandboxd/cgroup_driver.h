/* Whether this host can do what the configured cgroup driver needs. */
#pragma once

#include <stdbool.h>

#include "common/config.h"

bool cgroup_driver_is_systemd(const struct config *config);

/* FAILED_PRECONDITION names what the host lacks. */
struct error *cgroup_driver_check(const struct config *config) __attribute__((warn_unused_result));
