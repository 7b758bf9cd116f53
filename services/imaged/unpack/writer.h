/* The layer's files: each entry of the archive made below one directory, never outside of it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct archive;
struct archive_entry;
struct writer;

/* root: the layer's directory, which stays the caller's. */
struct writer *writer_new(int root);
void writer_free(struct writer *writer);
DEFINE_AUTOPTR(writer)

/* Makes the entry that `archive` has just read the header of, with its data. INVALID_ARGUMENT: a path that climbs, a hard link to what
 * the layer does not have; RESOURCE_EXHAUSTED: the disk is full. */
struct error *writer_add(struct writer *writer, struct archive *archive, struct archive_entry *entry)
    __attribute__((warn_unused_result));

/* Writes the paths of the directories that were made only for what is in them, each with its NUL. */
struct error *writer_parents_write(struct writer *writer, int fd, uint64_t *ret_size) __attribute__((warn_unused_result));

/* Is an image's extended attribute of this name kept? */
bool attribute_is_wanted(const char *name);

/* Sets the times of directories, which the entries in them had changed. */
struct error *writer_finish(struct writer *writer, uint64_t *ret_bytes, uint64_t *ret_inodes) __attribute__((warn_unused_result));
