/* A run from its first call to its report. */
#pragma once

#include "cli/chaos/chaos.h"

/* Waits until the runtime of chaos->config is ready, pulls the image, runs a pod to warm up, counts what is there; then
 * drives and kills for the duration, or until SIGINT or SIGTERM (which every thread has blocked), counts again, and writes
 * the reports. An error: it could not begin. */
struct error *run(struct chaos *chaos, const char *command, size_t *ret_violations) __attribute__((warn_unused_result));
