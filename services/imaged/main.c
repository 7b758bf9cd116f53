/* imaged owns the images and layers of this node, and the hash of every fetched byte. */
#include "services/imaged/imaged.h"

int main(int argc, char **argv)
{
    struct imaged imaged = {.keeper = NULL};
    const enum config_user callers[] = {CONFIG_USER_CRIAPI, CONFIG_USER_SANDBOXD, CONFIG_USER_ROOT};

    return service_main(argc, argv, &(struct service){
        .name = "imaged",
        .methods = imaged_methods,
        .privileges = &imaged_privileges,
        .state = &imaged,
        .recover = imaged_recover,
        .ping = imaged_ping,
        .callers = callers,
    });
}
