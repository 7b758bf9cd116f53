/* SHIM_CLAIM_PORTS: how host ports are bound, noted (STATE/shim/POD/ports, a line each), and bound again by a successor. */
#include "services/sandboxd/shim/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/record.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/shim.h"

enum { PORTS_VERSION = 1, PORTS_MAX = 4096 };

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct port {
    int type, protocol; /* of socket() */
    union socket_address address;
    socklen_t address_size;
};

static bool protocol_parse(const char *name, struct port *port)
{
    static const struct {
        const char *name;
        int type, protocol;
    } protocols[] = {
        {"tcp", SOCK_STREAM, IPPROTO_TCP},
        {"udp", SOCK_DGRAM, IPPROTO_UDP},
        {"sctp", SOCK_STREAM, IPPROTO_SCTP},
    };

    for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++) {
        if (strcmp(name, protocols[i].name) != 0)
            continue;
        port->type = protocols[i].type;
        port->protocol = protocols[i].protocol;
        return true;
    }
    return false;
}

static bool address_parse(const char *text, uint16_t number, struct port *port)
{
    union socket_address *address = &port->address;

    *address = (union socket_address){0};
    if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(number);
        port->address_size = sizeof(address->v4);
        return true;
    }
    if (inet_pton(AF_INET6, text, &address->v6.sin6_addr) != 1)
        return false;
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(number);
    port->address_size = sizeof(address->v6);
    return true;
}

static struct error *port_parse(const char *name, struct port *ret)
{
    char protocol[8], address[INET6_ADDRSTRLEN];
    unsigned number;

    if (sscanf(name, "%7s %45s %u", protocol, address, &number) != 3 || number < 1 || number > UINT16_MAX ||
        !protocol_parse(protocol, ret) || !address_parse(address, (uint16_t)number, ret))
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no port", name);
    return NULL;
}

static bool is_unknown_protocol(int reason)
{
    return reason == EPROTONOSUPPORT || reason == ESOCKTNOSUPPORT || reason == EAFNOSUPPORT;
}

/* *ret_fd is -1 where the kernel has no such sockets. */
static struct error *port_bind(const char *name, int *ret_fd)
{
    static const int one = 1, least = 1;
    struct port port;

    *ret_fd = -1;
    TRY(port_parse(name, &port));
    int family = port.address.any.sa_family;
    autoclose int fd = socket(family, port.type | SOCK_CLOEXEC, port.protocol);
    if (fd < 0 && is_unknown_protocol(errno))
        return NULL;
    if (fd < 0)
        return error_errno(errno, "claim host port %s", name);
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one)); /* an address that moves between nodes may come later */
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)); /* nobody will read */
    if (bind(fd, &port.address.any, port.address_size) == 0) {
        *ret_fd = TAKE_FD(fd);
        return NULL;
    }
    if (errno == EADDRINUSE)
        return error_new(ERROR_FAILED_PRECONDITION, "host port %s is in use on this node", name);
    return error_errno(errno, "claim host port %s", name);
}

static bool is_claimed(const struct ports *ports, const char *name)
{
    for (size_t i = 0; i < ports->count; i++)
        if (strcmp(ports->names[i], name) == 0)
            return true;
    return false;
}

static struct error *port_claim(struct ports *ports, const char *name)
{
    int fd;

    if (is_claimed(ports, name))
        return NULL;
    if (ports->count >= PORTS_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "a pod can have %d host ports", PORTS_MAX);
    TRY(port_bind(name, &fd));
    ports->names = xreallocarray(ports->names, ports->count + 1, sizeof(*ports->names));
    ports->fds = xreallocarray(ports->fds, ports->count + 1, sizeof(*ports->fds));
    ports->names[ports->count] = xstrdup(name);
    ports->fds[ports->count++] = fd;
    return NULL;
}

static struct error *ports_save(const struct shim *shim)
{
    const struct ports *ports = &shim->ports;
    autofree char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    for (size_t i = 0; i < ports->count; i++)
        fprintf(stream, "%s\n", ports->names[i]);
    fclose(stream);
    return record_save(shim->directory_fd, "ports", "ports", PORTS_VERSION, text, size);
}

void ports_claim(struct shim *shim, struct step *step)
{
    size_t count;
    autofree char **names = step_strings(step, SHIM_TAG_PORT, &count);
    struct error *failure = NULL;

    for (size_t i = 0; i < count && !failure; i++)
        failure = port_claim(&shim->ports, names[i]);
    FAILPOINT("shim.ports.before_record");
    if (!failure)
        failure = ports_save(shim);
    step_finish(shim, step, failure);
}

void ports_adopt(struct shim *shim)
{
    autofree char *text = NULL;
    void *data = NULL;
    uint32_t version;
    size_t size;

    autoptr(error) failure = record_load(shim->directory_fd, "ports", "ports", PORTS_VERSION, &version, &data, &size);
    if (failure && failure->code == ERROR_NOT_FOUND)
        return;
    if (failure) {
        log_warn("host ports are not claimed again", "error=%s", log_quote(failure->text));
        return;
    }
    text = xstrndup(data, size);
    free(data);
    char *rest = NULL;
    for (char *name = strtok_r(text, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
        autoptr(error) lost = port_claim(&shim->ports, name);
        if (lost)
            log_warn("a host port is not claimed again", "error=%s", log_quote(lost->text));
    }
}

void ports_release(struct shim *shim)
{
    struct ports *ports = &shim->ports;

    for (size_t i = 0; i < ports->count; i++) {
        if (ports->fds[i] >= 0)
            close(ports->fds[i]);
        free(ports->names[i]);
    }
    free(ports->names);
    free(ports->fds);
    *ports = (struct ports){0};
    error_free(record_remove(shim->directory_fd, "ports")); /* a teardown goes on without it */
}
