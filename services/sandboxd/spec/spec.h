/* What a container's configuration means to an OCI runtime: config.json and process.json as text, decided from CRI's
 * messages and facts that the caller found out. No system call is made here; every function may run on any thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "proto/bulkhead.pb-c.h"
#include "proto/cri.pb-c.h"
#include "services/sandboxd/files/user.h"

/* A device node, of the host or as a container shall have it. */
struct spec_device {
    const char *path;
    const char *host_path; /* where a container's is on the host; NULL: at the same path */
    const char *access; /* of "rwm": what the container's cgroup lets it do; NULL: all */
    char type; /* 'c', 'b', 'p' */
    uint32_t major;
    uint32_t minor;
    uint32_t mode; /* permission bits */
    uint32_t uid;
    uint32_t gid;
};

/* What is true of this host; found out once, when sandboxd starts. */
struct spec_host {
    int cgroup_version;  /* 1 or 2 */
    bool has_systemd_driver; /* the configured cgroup driver: cgroup_parent is a slice */
    bool has_swap_limit; /* memory.memsw.limit_in_bytes, or memory.swap.max */
    bool has_selinux;
    bool has_apparmor;       /* enabled in the kernel, and its parser is there */
    bool has_hugetlb;        /* the cgroup controller */
    unsigned kernel_version; /* major << 8 | minor */
    uint64_t bounding_capabilities; /* the shim's bounding set: CapBnd of /proc/PID/status */
    int oom_score_adj_min;          /* lower values are raised to this: -1000, or our own where it can't be lowered */
    const char *user_namespaces_refusal; /* why pods can't have user namespaces here; NULL: they can */
    const char *hostname;           /* for $HOSTNAME in pods on the host's network */
    const struct spec_device *devices; /* all that a privileged container gets */
    size_t device_count;
};

/* What the configuration names on the host, as it was found there. */
struct spec_found {
    const char *seccomp_path; /* of the Localhost profile, and its text; NULL: none is asked for */
    const char *seccomp_text;
    size_t seccomp_size;
    const char *apparmor_profile;      /* NULL: none */
    const struct spec_device *devices; /* as the container shall have them */
    size_t device_count;
    const json_t *cdi_edits; /* a list of CDI's containerEdits, with all numbers of their devices; NULL: none */
};

/* What the shim answered to SHIM_POD_SETUP. A number below 0 or a NULL path: the pod uses the host's. */
struct spec_pod {
    pid_t shim_pid; /* of the living shim: its descriptors are named below /proc/PID/fd */
    int ipc_fd;
    int uts_fd;
    int pid_fd; /* only where the pod shares one PID namespace */
    int user_fd;   /* only where it has a user namespace */
    int target_fd; /* the PID namespace of the container that this one names as its target */
    const char *netns_path;
    const char *shm_path;
    const char *resolv_conf_path; /* NULL: not mounted; also the next two */
    const char *hosts_path;
    const char *hostname_path;
};

/* All that a config.json is made from. Everything is borrowed. */
struct spec_input {
    const Runtime__V1__PodSandboxConfig *pod_config;
    const Runtime__V1__ContainerConfig *config;
    const Bulkhead__ImageSettings *image;
    const struct spec_host *host;
    const struct spec_pod *pod;
    const struct spec_found *found; /* NULL: nothing */
    char *const *mount_sources; /* instead of each mount's host_path where not NULL; NULL: none instead */
    const char *rootfs_path;  /* absolute */
    char *const *volume_paths; /* per mount of the configuration, where an image is its source; NULL: none is */
    const char *cgroups_path; /* below each hierarchy's root: "/kubepods/pod1/CONTAINER"; or systemd's: "a.slice:PREFIX:NAME" */
    const struct user *user;  /* as user_resolve() found it */
};

/* INVALID_ARGUMENT: missing metadata, a bad name, path, port or number. UNIMPLEMENTED: a field that bulkhead knows,
 * does not honour, and that would change what the pod or the container gets; the text begins with the field's name as
 * CRI spells it. Both are to be called before any work begins. */
struct error *spec_validate_pod(const Runtime__V1__PodSandboxConfig *config, const struct spec_host *host)
    __attribute__((warn_unused_result));
struct error *spec_validate_container(const Runtime__V1__ContainerConfig *config,
                                      const Runtime__V1__PodSandboxConfig *pod_config, const struct spec_host *host)
    __attribute__((warn_unused_result));

/* The namespace modes after CRI's defaults: a pod's, and a container's within it (POD takes the pod's own mode). */
struct spec_namespaces {
    Runtime__V1__NamespaceMode network; /* POD or NODE; of a container also CONTAINER */
    Runtime__V1__NamespaceMode pid;     /* POD, CONTAINER or NODE; of a container also TARGET */
    Runtime__V1__NamespaceMode ipc;     /* POD, CONTAINER or NODE */
};
struct spec_namespaces spec_pod_namespaces(const Runtime__V1__PodSandboxConfig *config);
struct spec_namespaces spec_container_namespaces(const Runtime__V1__ContainerConfig *config,
                                                 const Runtime__V1__PodSandboxConfig *pod_config);

/* A pod's user namespace: 0 and what follows there are these of the host. False: it has the host's. Expects a validated
 * configuration. */
struct spec_user_map {
    uint32_t uid_first, uid_count;
    uint32_t gid_first, gid_count;
};
bool spec_user_map(const Runtime__V1__PodSandboxConfig *config, struct spec_user_map *ret);

/* INVALID_ARGUMENT: who runs has a number that the pod's user namespace does not have. */
struct error *spec_user_check(const struct user *user, const Runtime__V1__PodSandboxConfig *config)
    __attribute__((warn_unused_result));

/* How the configuration and the image say who runs: to be handed to user_resolve() with the container's passwd and
 * group. Borrows from both. INVALID_ARGUMENT for a group without a user. *ret_groups (CRI's supplemental groups) is to
 * be freed. */
struct error *spec_user_request(const Runtime__V1__ContainerConfig *config, const Bulkhead__ImageSettings *image,
                                struct user_request *ret, uint32_t **ret_groups) __attribute__((warn_unused_result));

/* The text of config.json (ociVersion 1.0.2), which the caller frees. Expects a validated configuration;
 * INVALID_ARGUMENT when neither it nor the image names a command. */
struct error *spec_build(const struct spec_input *input, char **ret_json) __attribute__((warn_unused_result));

/* The process object for an exec in a container of that config.json: other arguments and terminal, all else the same
 * (with a terminal, TERM=xterm where there is none). The caller frees it. INVALID_ARGUMENT without arguments, DATA_LOSS
 * when the stored text is not a spec. */
struct error *spec_exec_process(const char *config_json, size_t size, char *const *args, size_t arg_count,
                                bool terminal, char **ret_json) __attribute__((warn_unused_result));

/* The signal that asks a container to end: "SIGTERM", "TERM", "15", "SIGRTMIN+3". NULL or "": SIGTERM. */
struct error *spec_stop_signal_parse(const char *text, int *ret_signal) __attribute__((warn_unused_result));

/* CRI's number for it ("SIGRTMIN+3": SIGNAL_SIGRTMINPLUS3), and its text; the caller frees it. RUNTIME_DEFAULT for what CRI
 * has no number for. */
Runtime__V1__Signal spec_stop_signal_to_cri(const char *text);
char *spec_stop_signal_from_cri(Runtime__V1__Signal signal);

/* The path of the Localhost seccomp profile that the container asks for and that counts (a privileged one has none); NULL:
 * none. Relative ones are below the configured directory. */
const char *spec_seccomp_localhost(const Runtime__V1__ContainerConfig *config);

/* Is an image the mount's source, not a path of the host? */
bool spec_mount_is_image(const Runtime__V1__Mount *mount);

/* Has the kernel mount_setattr(2)? It came with 5.12. */
bool spec_has_recursive_read_only(const struct spec_host *host);

/* The AppArmor profile of the container: NULL for none, SPEC_APPARMOR_DEFAULT, or a loaded one's name. */
#define SPEC_APPARMOR_DEFAULT "bulkhead-default"
#define APPARMOR_PARSER "/sbin/apparmor_parser"
const char *spec_apparmor_profile(const Runtime__V1__ContainerConfig *config, const struct spec_host *host);
