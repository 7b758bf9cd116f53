/* The supervisor's rights: none but its own directory and the keeper's socket. */
#include "services/supervisor/supervisor.h"

const struct service_privileges supervisor_privileges = {
    .user = CONFIG_USER_SUPERVISOR,
    .nofile = 4096,
};
