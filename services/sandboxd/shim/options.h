/* The shim's command line: `bulkhead-shim --state S --root R [--adopt] POD`; flags of other programs are accepted and ignored. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/log.h"

struct options {
    const char *state; /* all point into argv or the environment */
    const char *root;
    const char *pod;
    uid_t sandboxd_uid; /* $BULKHEAD_SANDBOXD_UID, else --sandboxd-uid, else STATE/sandboxd's owner */
    uid_t stream_uid;   /* of sandboxd's range; root where that is root */
    bool adopt;
    enum log_level level;
};

struct error *options_parse(int argc, char **argv, struct options *ret) __attribute__((warn_unused_result));
