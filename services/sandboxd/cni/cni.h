/* The container network interface's decisions: which network, what each plugin of the chain is told, and what it
 * answered. Running the plugins is the shim's; nothing here makes a system call but cni_plugin_find(), which only
 * looks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "proto/cri.pb-c.h"

enum {
    CNI_CONFIG_MAX = 1 << 20, /* bytes of a configuration file */
    CNI_RESULT_MAX = 1 << 20, /* bytes of a plugin's answer */
    CNI_PLUGINS_MAX = 32,     /* in one chain */
    CNI_IPS_MAX = 64,         /* in one answer */
};

struct cni_network; /* a parsed list of plugins */

/* The first name, bytewise, that ends in .conf, .conflist or .json, as libcni takes it; NULL: there is none. */
const char *cni_choose(const char *const *names, size_t count);

/* Parses a configuration; file_name's suffix says whether it is a list (.conflist) or one plugin. FAILED_PRECONDITION
 * names the file and what is wrong with it. Unknown keys are kept for the plugins. */
struct error *cni_network_parse(const char *file_name, const char *data, size_t size, struct cni_network **ret)
    __attribute__((warn_unused_result));
void cni_network_free(struct cni_network *network);
DEFINE_AUTOPTR(cni_network)

/* The list as text (JSON, a .conflist), to be kept with the attachment and parsed again for DEL. The caller frees it.
 */
char *cni_network_text(const struct cni_network *network);

const char *cni_network_name(const struct cni_network *network);
const char *cni_network_version(const struct cni_network *network);
size_t cni_network_plugin_count(const struct cni_network *network);
const char *cni_network_plugin_type(const struct cni_network *network, size_t index); /* file name of its program */

/* The program of that type in the first of bin_dirs (NULL-terminated) that has it as an executable file. NOT_FOUND
 * names the type and the directories. The caller frees the path. */
struct error *cni_plugin_find(const char *type, char *const *bin_dirs, char **ret_path)
    __attribute__((warn_unused_result));

/* The address manager that plugin `index` will run, or NULL; borrowed. */
const char *cni_network_ipam_type(const struct cni_network *network, size_t index);

/* The program of plugin `index`. NOT_FOUND also where its address manager is missing: without that one the plugin can neither
 * give nor take back an address. */
struct error *cni_network_find_plugin(const struct cni_network *network, size_t index, char *const *bin_dirs, char **ret_path)
    __attribute__((warn_unused_result));

/* "tcp", "udp" or "sctp". */
const char *cni_protocol_name(Runtime__V1__Protocol protocol);

/* What the pod asks of plugins that declare a capability: portMappings, dns. JSON, to be kept with the attachment; the
 * caller frees it. "{}" when it asks for nothing. */
char *cni_runtime_config(const Runtime__V1__PodSandboxConfig *config);

/* One pod on one network. All borrowed. */
struct cni_attachment {
    const char *container_id; /* the sandbox's id */
    const char *netns;        /* "" for DEL when it is gone */
    const char *interface;    /* "eth0" */
    const char *pod_namespace;
    const char *pod_name;
    const char *pod_uid;
    const char *runtime_config; /* of cni_runtime_config(); NULL is {} */
    char *const *bin_dirs;      /* for CNI_PATH, NULL-terminated */
};

enum cni_command { CNI_ADD, CNI_DEL };

/* What a plugin is run with; its argv is its path alone. */
struct cni_invocation {
    char *stdin_text;
    char **env; /* NULL-terminated: CNI_* and PATH */
};
void cni_invocation_free(struct cni_invocation *invocation);
DEFINE_AUTOPTR(cni_invocation)

/* For plugin `index` of the chain: ADD runs 0, 1, 2..., previous being the answer before (cni_result_text), NULL for
 * the first; DEL runs from the last to the first, previous being the last answer of ADD, NULL if there is none.
 * INVALID_ARGUMENT when an id, an interface or a pod's name cannot be passed on. */
struct error *cni_compose(const struct cni_network *network, size_t index, enum cni_command command,
                          const struct cni_attachment *attachment, const char *previous, struct cni_invocation **ret)
    __attribute__((warn_unused_result));

struct cni_ip {
    char *address; /* without the prefix length */
    int family;    /* AF_INET or AF_INET6 */
    unsigned prefix_length;
    char *gateway; /* NULL: none */
    int interface; /* index in the answer's interfaces, -1: not said */
};

struct cni_result; /* an answer of any version */

/* Parses a plugin's standard output after an ADD. An answer without a version has the network's. INTERNAL says what is
 * wrong. */
struct error *cni_result_parse(const char *data, size_t size, const char *network_version, struct cni_result **ret)
    __attribute__((warn_unused_result));
void cni_result_free(struct cni_result *result);
DEFINE_AUTOPTR(cni_result)

size_t cni_result_ip_count(const struct cni_result *result);
const struct cni_ip *cni_result_ip(const struct cni_result *result, size_t index);

/* The answer in the network's version, as the next plugin and DEL want it. The caller frees it. */
char *cni_result_text(const struct cni_result *result);

/* The pod's addresses on `interface`, the first of the preferred kind ("ipv4", "ipv6"; "cni": any) first, the others in the
 * plugins' order. The strings are the result's; the caller frees the array. INTERNAL when there is none. */
struct error *cni_result_pod_ips(const struct cni_result *result, const char *interface, const char *preference,
                                 const char ***ret_ips, size_t *ret_count) __attribute__((warn_unused_result));

/* The error of a plugin that failed: its JSON (code, msg, details) if it printed one, else its standard error. Code 11
 * (try again later) is UNAVAILABLE, all others INTERNAL. wait_status is waitpid's. Never NULL. */
struct error *cni_plugin_error(const char *type, enum cni_command command, int wait_status, const char *out,
                               size_t out_size, const char *err, size_t err_size) __attribute__((warn_unused_result));
