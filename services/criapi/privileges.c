/* criapi's rights. */
#include "services/criapi/criapi.h"

const struct service_privileges criapi_privileges = {
    .user = CONFIG_USER_CRIAPI, .nofile = 8192, /* two descriptors a connection */
};
