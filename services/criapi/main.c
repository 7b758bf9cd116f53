/* criapi speaks gRPC with kubelet and crictl, and routes their calls; it owns nothing durable. */
#include "services/criapi/criapi.h"

int main(int argc, char **argv)
{
    struct criapi criapi = {.listener = {.fd = -1}, .heartbeat = PTHREAD_MUTEX_INITIALIZER};

    return service_main(argc, argv,
                        &(struct service){
                            .name = "criapi",
                            .privileges = &criapi_privileges,
                            .state = &criapi,
                            .open = criapi_open,       /* still root: the socket */
                            .recover = criapi_recover, /* confined: gRPC, the daemons' sockets, the acceptor */
                            .ping = criapi_ping,
                            .close = criapi_close,
                        });
}
