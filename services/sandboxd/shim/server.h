/* The shim's end of its contract with sandboxd: connections, requests, and what is told to all of them. */
#pragma once

#include <stdbool.h>

#include "common/error.h"

struct container;
struct shim;
struct step;

/* Binds STATE/shim/POD/sock. */
struct error *server_open(struct shim *shim) __attribute__((warn_unused_result));

/* Sends the step's RESULT to every client. */
void server_tell_result(struct shim *shim, const struct step *step);

/* Sends the EXITED of a published, unacknowledged container to every client. */
void server_tell_exit(struct shim *shim, const struct container *container);

/* Has all that was said left the shim? */
bool server_is_flushed(const struct shim *shim);
