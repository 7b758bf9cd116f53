/* What the systemd cgroup driver needs of the host. */
#include "services/sandboxd/cgroup_driver.h"

#include <string.h>
#include <unistd.h>

bool cgroup_driver_is_systemd(const struct config *config)
{
    return strcmp(config->cgroup_driver, "systemd") == 0;
}

/* sd_booted(3) looks at the first; crun and runc reach systemd by the second. */
struct error *cgroup_driver_check(const struct config *config)
{
    static const char *const needed[] = {"/run/systemd/system", "/run/dbus/system_bus_socket"};

    for (size_t i = 0; cgroup_driver_is_systemd(config) && i < sizeof(needed) / sizeof(needed[0]); i++)
        if (access(needed[i], F_OK) < 0)
            return error_new(ERROR_FAILED_PRECONDITION, "cgroup_driver: this host cannot do \"systemd\": %s is missing", needed[i]);
    return NULL;
}
