/* The proof that a registry asks for. */
#pragma once

#include "common/error.h"
#include "services/imaged/fetch/challenge.h"
#include "services/imaged/fetch/http.h"

struct credentials {
    char *username; /* NULL members: not given */
    char *password;
    char *identity_token;
    char *registry_token;
    char *server_only; /* not NULL: no mirror is shown any of it */
};

void credentials_fini(struct credentials *credentials);

/* What to send before anybody asked, or NULL. The caller frees it. */
char *authorization_first(const struct credentials *credentials);

/* The answer to a challenge, as an Authorization value: Basic from the credentials, or a Bearer token asked from the realm. UNAUTHENTICATED:
 * it can't be had. The caller frees it. */
struct error *authorization_get(struct http *http, const struct registry_host *host, const char *repository,
                                const struct credentials *credentials, const char *challenge, char **ret)
    __attribute__((warn_unused_result));
