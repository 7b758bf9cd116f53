/* The skeleton of every daemon: main() is a table and one call to service_main(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/error.h"
#include "common/ipc.h"
#include "common/request_page.h"
#include "common/service_syscalls.h"

/* Rights as data: a service's privileges.c. It ends with no capabilities but `capabilities`, an empty bounding set and no_new_privs; it may
 * make the system calls of its groups and reach the files below its paths (service_paths.h), no others. */
struct service_privileges {
    enum config_user user;
    uint64_t capabilities;             /* bits of capabilities kept (unpack), 0 for all daemons */
    const uint32_t *groups;            /* supplementary; NULL: none */
    uint64_t nofile;                   /* RLIMIT_NOFILE, soft = hard */
    unsigned syscalls;                 /* of enum service_syscalls */
    const char *const *reads;          /* paths, $ROOT and $STATE for the configured ones; ended by NULL; NULL: none */
    const char *const *writes;         /* may be read, too */
    bool is_jailed;                    /* its root directory holds all that it may reach, and Landlock guards no path */
};

/* What the daemon is told about itself; lives as long as the process. */
struct service_context {
    const struct config *config;
    uint64_t generation;
    enum death_reason last_death;
    struct request_page *page;
    int root_fd;  /* ROOT/NAME, owned by the service's user */
    int state_fd; /* STATE/NAME */
    const int *fds; /* LISTEN_FDS, by LISTEN_FDNAMES: see service_fd */
    size_t fd_count;
};

struct service {
    const char *name;
    const struct ipc_method *methods; /* NULL: no ipc socket */
    const struct service_privileges *privileges;
    void *state;
    struct error *(*open)(void *state, const struct service_context *context);    /* still root, starts no thread; may be NULL */
    struct error *(*recover)(void *state, const struct service_context *context); /* confined; then READY=1 */
    struct error *(*ping)(void *state);   /* the work path, for the heartbeat; may be NULL */
    struct error *(*run)(void *state);    /* the main thread's loop; NULL: waits for SIGTERM */
    void (*close)(void *state);           /* on SIGTERM, beside running handlers, then the process exits; may be NULL */
    const enum config_user *callers;      /* users that may call, beside root; ended by CONFIG_USER_ROOT */
};

/* Parses flags, sets up logging, reads the environment (LISTEN_FDS, NOTIFY_SOCKET, BULKHEAD_GENERATION, BULKHEAD_LAST_DEATH; the page is the
 * fd named "page"), makes ROOT/NAME and STATE/NAME, takes its generation's lock (service_lock.h), runs open, drops rights, runs recover, serves ipc, says READY=1, then
 * WATCHDOG=1 every second after a Ping that it sent to itself. Returns main()'s exit status. */
int service_main(int argc, char **argv, const struct service *service);

/* The inherited descriptor of that name, or -1. */
int service_fd(const struct service_context *context, const char *name);

/* sd_notify(3)'s protocol to $NOTIFY_SOCKET; nothing where there is none. Text like "READY=1" or "STATUS=...". */
void service_notify(const char *text);

/* Drops to the user and capabilities of privileges, and to its system calls and paths, which who is jailed does by service_restrict() when the
 * jail stands. Irreversible. Before there are threads, since most rights belong to a thread by itself. */
struct error *service_confine(const struct config *config, const struct service_privileges *privileges)
    __attribute__((warn_unused_result));
struct error *service_restrict(const struct config *config, const struct service_privileges *privileges)
    __attribute__((warn_unused_result));

/* What runs of this machine's libraries reads, whatever the service: the time zone and the number of processors. */
#define SERVICE_READS "/etc/localtime", "/usr/share/zoneinfo", "/sys/devices/system/cpu"
