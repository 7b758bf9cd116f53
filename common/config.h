/* The configuration: defaults, /etc/bulkhead/config.json, then flags. Every other file gets its values from here. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

/* Users, as offsets from uid_first (a numeric range, so that nothing must be installed first). */
enum config_user {
    CONFIG_USER_ROOT = -1,
    CONFIG_USER_SUPERVISOR = 0,
    CONFIG_USER_CRIAPI = 1,
    CONFIG_USER_SANDBOXD = 2,
    CONFIG_USER_IMAGED = 3,
    CONFIG_USER_LOGD = 4,
    CONFIG_USER_FETCH = 5,
    CONFIG_USER_STREAM = 6,
};

struct config_runtime {
    char *name; /* the handler, "crun" */
    char *path; /* its binary, absolute */
};

struct config {
    char *root;                 /* /var/lib/bulkhead */
    char *state;                /* /run/bulkhead; 70 bytes at most: sockets lie below it */
    char *address;              /* grpc.address: /run/bulkhead/bulkhead.sock; a leading unix:// is taken off; 103 bytes at most */
    char *file;                 /* where it came from, or NULL */
    char *programs;             /* directory of bulkhead-keeper and the others; default: beside the running binary, or ../lib/bulkhead */
    char *registry_config_path; /* registry.config_path: /etc/bulkhead/certs.d */
    char *cni_conf_dir;         /* cni.conf_dir: /etc/cni/net.d */
    char **cni_bin_dirs;        /* cni.bin_dirs: /opt/cni/bin, /usr/lib/cni; NULL-terminated */
    struct config_runtime *runtimes; /* runtimes: {"crun": {"path": "/usr/bin/crun"}, ...}; those present by default */
    size_t runtime_count;
    char *default_runtime_name; /* NULL: crun where it works on this host, else runc */
    char *seccomp_profiles_dir; /* /var/lib/kubelet/seccomp */
    char **cdi_spec_dirs;       /* /etc/cdi, /var/run/cdi; NULL-terminated, later ones win */
    char **pinned_images;       /* references, as NAME:TAG, of images that are never garbage; a "*" at the end stands for any; NULL-terminated */
    char *cni_ip_pref;          /* cni.ip_pref: "ipv4" or "ipv6": whose address is the pod's first; "cni": the plugins' first */
    char *cgroup_driver;        /* "cgroupfs", or "systemd" */
    char *log_level;            /* "info" */
    uint32_t uid_first;         /* uid_first: 61300 */
    uint32_t cni_timeout_s;     /* cni.timeout_seconds: 60 */
    char *stream_server_address; /* "127.0.0.1"; a numeric IPv4 or IPv6 address */
    uint32_t stream_server_port; /* in the file a number, or a string as containerd has it; 0: any free one */
    uint32_t stream_idle_timeout_s; /* stream_idle_timeout_seconds: 14400, of a session in which no byte moves */
};

/* Reads file (NULL: /etc/bulkhead/config.json if there is one) over the defaults. INVALID_ARGUMENT names the file, the
 * line and the key of an unknown key, a wrong type or a value out of range. */
struct error *config_load(const char *file, struct config **ret) __attribute__((warn_unused_result));
void config_free(struct config *config);
DEFINE_AUTOPTR(config)

/* Takes the flags common to all programs (--config --root --state --address --log-level --programs, also --flag=value)
 * off argv, in getopt's manner, loads the file, and lays the flags over it. What remains is moved down, *argc lowered. */
struct error *config_from_arguments(int *argc, char **argv, struct config **ret) __attribute__((warn_unused_result));

uid_t config_uid(const struct config *config, enum config_user user);

/* STATE/name or ROOT/name; the caller frees it. */
char *config_state_path(const struct config *config, const char *name);
char *config_root_path(const struct config *config, const char *name);
