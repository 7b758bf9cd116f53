/* An image's configuration document. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum { IMAGE_CONFIG_SIZE_MAX = 4 << 20 };

struct text_list {
    char **list; /* no NULL at its end */
    size_t count;
};

struct image_config {
    char *os, *architecture;
    struct text_list diff_ids; /* valid digests, the lowest first */
    struct text_list entrypoint, cmd, env, volumes;
    char *working_dir, *user, *stop_signal; /* "" when not given */
};

struct error *image_config_parse(const char *text, size_t size, struct image_config **ret) __attribute__((warn_unused_result));
void image_config_free(struct image_config *config);
DEFINE_AUTOPTR(image_config)

/* CRI's two ways to name the user: a number gives *ret_has_uid and *ret_uid; anything else *ret_name, which the caller frees (else ""). The
 * group behind a colon is left out. */
void image_config_user(const char *user, bool *ret_has_uid, int64_t *ret_uid, char **ret_name);
