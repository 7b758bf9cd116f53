/* CDI (Container Device Interface): devices by name, as vendors describe them in files. Nothing is opened here: files come in as
 * text, and what a container gets goes out as changes of its config.json. Any thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "services/sandboxd/spec/spec.h"

/* "vendor.com/class=device" */
bool cdi_name_is_valid(const char *name);

/* The names that a container asks for, by CDI_devices and by annotations "cdi.k8s.io/...", each once: a list of strings.
 * INVALID_ARGUMENT for what is no name. */
struct error *cdi_names_wanted(const Runtime__V1__ContainerConfig *config, json_t **ret) __attribute__((warn_unused_result));

struct cdi_registry;
struct cdi_registry *cdi_registry_new(void);
void cdi_registry_free(struct cdi_registry *registry);
DEFINE_AUTOPTR(cdi_registry)

/* Takes up a file (.json or .yaml, all others are passed over). Of one name's descriptions the one of the highest priority counts.
 * What is wrong with a file is told to whoever asks for a device that is not found. */
void cdi_registry_add(struct cdi_registry *registry, unsigned priority, const char *path, const char *data, size_t size);

/* The containerEdits of those devices, a list in their order. NOT_FOUND for a device that no file describes,
 * FAILED_PRECONDITION for one that two of the same priority do, UNIMPLEMENTED for an edit that cannot be honoured. */
struct error *cdi_registry_edits(const struct cdi_registry *registry, const json_t *names, json_t **ret)
    __attribute__((warn_unused_result));

/* The host's device nodes whose numbers the edits leave open: a list of paths. */
json_t *cdi_edits_host_paths(const json_t *edits);

/* Fills the numbers in, from the node at that path. */
struct error *cdi_edits_fill(json_t *edits, const char *host_path, const struct spec_device *device)
    __attribute__((warn_unused_result));

/* Changes a config.json. */
void cdi_edits_apply(const json_t *edits, json_t *root);

/* YAML's text as JSON; INVALID_ARGUMENT with the line. No aliases, 64 levels at most. */
struct error *cdi_yaml_parse(const char *data, size_t size, json_t **ret) __attribute__((warn_unused_result));
