/* sandboxd owns every pod and container on this node. */
#include "services/sandboxd/sandboxd.h"

int main(int argc, char **argv)
{
    static const enum config_user callers[] = {CONFIG_USER_CRIAPI, CONFIG_USER_SUPERVISOR, CONFIG_USER_ROOT};
    struct sandboxd sandboxd = {0};

    return service_main(argc, argv, &(struct service){
        .name = "sandboxd",
        .methods = sandboxd_methods,
        .privileges = &sandboxd_privileges,
        .state = &sandboxd,
        .open = sandboxd_open,
        .recover = sandboxd_recover,
        .ping = sandboxd_ping,
        .callers = callers,
    });
}
