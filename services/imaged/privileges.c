/* imaged's rights: its own user, no capabilities, its own directories. */
#include "services/imaged/imaged.h"

const struct service_privileges imaged_privileges = {.user = CONFIG_USER_IMAGED, .nofile = 4096};
