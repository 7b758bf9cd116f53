/* unpack's rights. */
#pragma once

#include <linux/capability.h>

#include "common/service.h"

#define CAPABILITY(name) (UINT64_C(1) << CAP_##name)

/* FSETID: without it set-id bits are lost, and nothing says so. */
#define UNPACK_CAPABILITIES                                                                                              \
    (CAPABILITY(CHOWN) | CAPABILITY(DAC_OVERRIDE) | CAPABILITY(FOWNER) | CAPABILITY(FSETID) | CAPABILITY(MKNOD) |         \
     CAPABILITY(SETFCAP))

extern const struct service_privileges unpack_privileges;
