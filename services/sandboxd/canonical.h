/* Configurations as bytes that are equal when the configurations are: maps come in any order from the client. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/cri.pb-c.h"

/* Sorts the maps of the configuration in place, and packs it. The caller frees the bytes. */
uint8_t *canonical_pod_config(Runtime__V1__PodSandboxConfig *config, size_t *ret_size);
uint8_t *canonical_container_config(Runtime__V1__ContainerConfig *config, size_t *ret_size);
