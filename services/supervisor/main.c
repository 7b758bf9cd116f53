/* The supervisor decides who is started, watched, killed and restarted; the keeper does it. */
#include "services/supervisor/supervisor.h"

int main(int argc, char **argv)
{
    struct supervisor supervisor = {0};

    return service_main(argc, argv, &(struct service){
        .name = "supervisor",
        .methods = supervisor_methods,
        .privileges = &supervisor_privileges,
        .state = &supervisor,
        .open = supervisor_open,
        .recover = supervisor_recover,
        .run = supervisor_run,
        .ping = supervisor_ping,
        .close = supervisor_close,
        .callers = (const enum config_user[]){CONFIG_USER_CRIAPI, CONFIG_USER_ROOT},
    });
}
