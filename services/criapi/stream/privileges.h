/* stream's rights. */
#pragma once

#include "common/service.h"

extern const struct service_privileges stream_privileges;
