/* What sandboxd may do: nothing that needs a right. */
#include "services/sandboxd/sandboxd.h"

const struct service_privileges sandboxd_privileges = {
    .user = CONFIG_USER_SANDBOXD,
    .capabilities = 0,
    .groups = NULL,
    .nofile = 65536,
};
