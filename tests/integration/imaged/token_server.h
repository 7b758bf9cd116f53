/* A token server as docker's token authentication has it: it signs what docker-registry then believes. */
#pragma once

#include <stdbool.h>

#include "tests/support/web.h"

struct token_server {
    struct web *web;
    void *key;           /* EVP_PKEY */
    char *certificate;   /* DER in base64 */
    const char *basic;   /* "Basic BASE64" of the one user that may pull */
    const char *refresh; /* the identity token that may pull */
    char *answer;
    unsigned asked; /* how often a token was asked for */
};

/* key and certificate: PEM files; the registry's rootcertbundle is the same certificate. Its realm is
 * http://127.0.0.1:PORT/token, its issuer "test-issuer", its service "test-registry". Anybody else gets a token that
 * allows nothing, a wrong password 401. */
void token_server_open(struct token_server *server, const char *key, const char *certificate);
void token_server_close(struct token_server *server);

/* A token that allows pulling from the repository, as the registry takes it. The caller frees it. */
char *token_sign(const struct token_server *server, const char *repository);
