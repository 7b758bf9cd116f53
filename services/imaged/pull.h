/* Pulls: one per reference and credentials, whoever asks for it, and however often. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct imaged;
struct ipc_call;
struct pull;

/* What a caller gave as proof; NULL or "" members are not given. */
struct pull_auth {
    const char *username, *password, *auth, *server_address, *identity_token, *registry_token;
};

struct pulls {
    pthread_mutex_t lock;
    pthread_cond_t done;
    struct pull **running;
    size_t count;
};

void pulls_init(struct pulls *pulls);

/* Joins the pull of the same key, or starts it, and waits for its end or the call's. The pull goes on without its callers. The caller frees
 * *ret_image_id. */
struct error *pull_image(struct imaged *imaged, const struct ipc_call *call, const char *name, const struct pull_auth *auth,
                         char **ret_image_id) __attribute__((warn_unused_result));
