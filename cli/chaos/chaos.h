/* What the threads of a run share. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "cli/chaos/book.h"
#include "cli/chaos/options.h"
#include "cli/chaos/recorder.h"
#include "cli/clients/cri_client.h"
#include "common/config.h"

struct chaos {
    const struct options *options;
    const struct config *config; /* of the runtime that is driven */
    struct recorder *recorder;
    struct book *book;
    char *cgroup_parent; /* of the pods, "" for the runtime's own */
    char *logs;          /* directory of the containers' logs */
    char name[32];       /* in every pod's uid and labels, of this run alone */
    struct node *node;   /* ours, or NULL */
    char *image;         /* id of the image that containers run */
    int64_t start_ns;    /* CLOCK_BOOTTIME */
    atomic_bool is_over; /* workers end with what they have begun, the killer at once */
};
