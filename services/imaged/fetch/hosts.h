/* The registry hosts to ask for one image's host, as certs.d says: mirrors in their order, then the server. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum { HOSTS_CAN_PULL = 1, HOSTS_CAN_RESOLVE = 2 };

/* One base to ask. PEM texts were read with root's rights. */
struct registry_host {
    char *url;          /* "https://registry-1.docker.io/v2": no slash at the end */
    unsigned can;
    bool is_server;     /* the registry itself, not a mirror */
    bool skip_verify;
    char *ca;           /* PEM text, trusted beside the machine's directory of certificates; NULL: the machine's alone */
    char *client_cert;  /* PEM or NULL */
    char *client_key;
};

struct registry_hosts {
    struct registry_host *list;
    size_t count;
};

void registry_hosts_free(struct registry_hosts *hosts);
DEFINE_AUTOPTR(registry_hosts)

/* Parses a hosts.json of the host ("docker.io"); text NULL: there is none. Files that it names are read relative to directory. Errors name
 * the key that is wrong. */
struct error *registry_hosts_parse(const char *host, const char *text, const char *directory, struct registry_hosts **ret)
    __attribute__((warn_unused_result));

/* Reads PATH/HOST/hosts.json, else PATH/_default/hosts.json, else takes the defaults. */
struct error *registry_hosts_load(const char *path, const char *host, struct registry_hosts **ret)
    __attribute__((warn_unused_result));
