/* What sandboxd asks of imaged: that a container's layers stay while the container exists. */
#pragma once

#include "proto/bulkhead.pb-c.h"
#include "services/sandboxd/sandboxd.h"

/* Leases the image's layers under the container's id (ID.N: for its volume N), once imaged knows which older leases are ours; again is fine. NOT_FOUND
 * when the image is not there. deadline_ns: BOOTTIME. The caller frees *ret with bulkhead__lease_image_reply__free_unpacked(). */
struct error *image_lease(struct sandboxd *d, const char *lease, const char *image, int64_t deadline_ns,
                          Bulkhead__LeaseImageReply **ret) __attribute__((warn_unused_result));

/* All of the container's. */
struct error *image_release(struct sandboxd *d, const char *container, int64_t deadline_ns)
    __attribute__((warn_unused_result));

/* Tells imaged all leases that are ours (the names below ROOT/sandboxd/containers, readable or not), until it has heard;
 * then lets image_lease() go ahead. For a thread of its own, after recovery. */
void image_keep_leases(struct sandboxd *d);
