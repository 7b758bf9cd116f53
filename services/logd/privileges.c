/* The rights logd has: none but what the descriptors it is given allow. */
#include "services/logd/privileges.h"

const struct service_privileges logd_privileges = {
    .user = CONFIG_USER_LOGD,
    .capabilities = 0,
    .nofile = 1 << 16, /* some ten for each container */
};
