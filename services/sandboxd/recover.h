/* What a new sandboxd makes of the records of the one before: loads and classifies, asks nobody. */
#pragma once

#include "services/sandboxd/sandboxd.h"

/* Fills the empty table from ROOT/sandboxd. A record that does not parse, is of a newer version, or has killed recovery twice
 * is left where it is, logged and counted. */
struct error *recover_records(struct sandboxd *d) __attribute__((warn_unused_result));

/* Afterwards, on a thread of its own: begins what is to be gone on with, object by object. */
void recover_resume(struct sandboxd *d);
