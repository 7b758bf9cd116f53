/* Tar archives for layers, honest or not. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct tarball {
    struct archive *archive;
    char *data; /* after tarball_finish: the archive, of `size` bytes */
    size_t size;
};

/* room: the archive's largest size. */
void tarball_init(struct tarball *tarball, size_t room);
void tarball_fini(struct tarball *tarball);
void tarball_file(struct tarball *tarball, const char *path, const void *data, size_t size);
void tarball_directory(struct tarball *tarball, const char *path, mode_t mode);
void tarball_symlink(struct tarball *tarball, const char *path, const char *to);
void tarball_hard_link(struct tarball *tarball, const char *path, const char *to);
void tarball_finish(struct tarball *tarball);

/* The bytes compressed by gzip; the caller frees them. */
void *gzip_bytes(const void *data, size_t size, size_t *ret_size);
