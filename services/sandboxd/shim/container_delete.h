/* The one teardown of a container, in the loop. */
#pragma once

#include <stdbool.h>

struct error;
struct shim;

/* Takes the error; NULL: it is gone. */
typedef void deletion_done(struct shim *shim, void *argument, struct error *failure);

/* Kills what lives, has the exit noted, runs the runtime's delete, removes the trees, cgroups and the record. Calls done once,
 * perhaps before it returns. One that the shim does not know is removed by its names. */
void deletion_begin(struct shim *shim, const char *id, bool keeps_rootfs, deletion_done *done, void *argument);
