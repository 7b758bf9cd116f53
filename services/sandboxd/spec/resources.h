/* An update of a container's resources, decided: what they are together with those before, which files of its cgroup say so
 * and in which order they may be written, and what config.json says then. Pure. */
#pragma once

#include "services/sandboxd/spec/spec.h"

enum { RESOURCE_SETTINGS_MAX = 64 };

/* One file of the cgroup. All text is owned by the list. */
struct resource_setting {
    const char *field;      /* CRI's name, "memory_limit_in_bytes" */
    const char *controller; /* version 1's hierarchy; "-" on version 2 */
    char *file;
    char *value;
    char *before;           /* what the file says now; the caller's to fill in, owned by the list */
    bool is_optional;       /* a file that only some kernels have */
};

struct resource_settings {
    struct resource_setting items[RESOURCE_SETTINGS_MAX];
    size_t count;
};
void resource_settings_fini(struct resource_settings *settings);
#define auto_resource_settings __attribute__((cleanup(resource_settings_fini))) struct resource_settings

/* What `asked` sets, over what was there (NULL: nothing): a number of 0, an empty text or list leaves it as it is. A new limit of
 * memory without one of swap is swap's, too, as at creation. The caller frees the message. */
Runtime__V1__LinuxContainerResources *resources_merge(const Runtime__V1__LinuxContainerResources *before,
                                                      const Runtime__V1__LinuxContainerResources *asked);

/* The files that say what `asked` changes, with the values of `merged`. RESOURCE_EXHAUSTED: too many. */
struct error *resources_settings(const Runtime__V1__LinuxContainerResources *asked,
                                 const Runtime__V1__LinuxContainerResources *merged, const struct spec_host *host,
                                 struct resource_settings *ret) __attribute__((warn_unused_result));

/* Once `before` is known: puts pairs that the kernel compares with each other (memory and memory with swap; quota and period) into
 * the order in which no moment between them is refused. Written backwards with the values before, they undo each other likewise. */
void resource_settings_order(struct resource_settings *settings);

/* The config.json of a container whose resources are now these; the caller frees it. DATA_LOSS when the text is not a spec. */
struct error *resources_config(const char *config_json, size_t size, const Runtime__V1__LinuxContainerResources *resources,
                               const struct spec_host *host, char **ret_json) __attribute__((warn_unused_result));

/* oom_score_adj as this host lets it be. */
int resources_oom_score_adj(const Runtime__V1__LinuxContainerResources *resources, const struct spec_host *host);
