/* Records on disk: one file per object, written beside and renamed, checksummed, with a kind and a format version. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum { RECORD_SIZE_MAX = 16 << 20 };

/* Writes DIR/NAME (dir_fd, name) by rename; where there is no space for that, over an old record that is no longer and within a page. No
 * fsync: a new boot distrusts what it must. The kind is at most 15 bytes. */
struct error *record_save(int dir_fd, const char *name, const char *kind, uint32_t version, const void *data, size_t size)
    __attribute__((warn_unused_result));

/* Reads a record of this kind. The caller frees *ret_data. NOT_FOUND: no such file. DATA_LOSS: torn, empty, checksum or
 * kind wrong. FAILED_PRECONDITION: a version newer than newest_version; leave it untouched. */
struct error *record_load(int dir_fd, const char *name, const char *kind, uint32_t newest_version, uint32_t *ret_version,
                          void **ret_data, size_t *ret_size) __attribute__((warn_unused_result));

/* Removes a record; one that is not there is fine. */
struct error *record_remove(int dir_fd, const char *name) __attribute__((warn_unused_result));
