/* fetch's rights. */
#pragma once

#include "common/service.h"

extern const struct service_privileges fetch_privileges;
