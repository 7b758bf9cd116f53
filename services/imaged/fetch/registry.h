/* The conversation with a registry and its mirrors. */
#pragma once

#include "common/error.h"
#include "services/imaged/fetch/authorize.h"
#include "services/imaged/fetch/hosts.h"
#include "services/imaged/fetch/protocol.h"

struct registry;

/* name: the registry as references have it, "docker.io". Owns hosts, repository and credentials from now on; reply is the caller's. */
struct error *registry_open(const char *name, struct registry_hosts *hosts, char *repository, struct credentials *credentials,
                            int reply, struct registry **ret) __attribute__((warn_unused_result));
void registry_close(struct registry *registry);

/* Answers one request with its frames, from the first host that has it. An error is of the reply pipe: imaged has gone. */
struct error *registry_serve(struct registry *registry, const struct fetch_request *request) __attribute__((warn_unused_result));
