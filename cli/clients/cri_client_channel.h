/* The gRPC channel of a test's client, for cri_stream.c. */
#pragma once

#include <grpc/grpc.h>

#include "cli/clients/cri_client.h"

grpc_channel *cri_client_channel(struct cri_client *client);
