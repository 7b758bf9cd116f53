/* An object's own directory below ROOT/sandboxd: made, and removed with the files in it. */
#pragma once

#include "common/error.h"

struct error *directory_make(int parent_fd, const char *name) __attribute__((warn_unused_result));
void directory_remove(int parent_fd, const char *name);

/* Opens it; the caller closes it. */
struct error *directory_open(int parent_fd, const char *name, int *ret_fd) __attribute__((warn_unused_result));

/* Writes a file by rename, mode 0644: what a container sees of it is bind-mounted and read by any user. */
struct error *directory_write(int parent_fd, const char *name, const char *file, const char *text)
    __attribute__((warn_unused_result));
