/* WWW-Authenticate headers. Pure. */
#pragma once

#include "common/error.h"

enum challenge_scheme { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER };

struct challenge {
    enum challenge_scheme scheme;
    char *realm;
    char *service;
    char *scope;
};

void challenge_fini(struct challenge *challenge);

/* Parses one header's value, which may hold several challenges; Bearer is preferred to Basic, what else there is is passed over.
 * *ret is set whatever happens; the caller calls challenge_fini. */
void challenge_parse(const char *value, struct challenge *ret);
