/* Which capabilities a container gets: containerd's default, changed as asked, never more than the host has. */
#include "services/sandboxd/spec/capability.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "common/memory.h"

/* By number, without CAP_. */
static const char *const names[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

enum { NAME_COUNT = sizeof(names) / sizeof(names[0]) };

#define BIT(capability) (UINT64_C(1) << (capability))

static const uint64_t default_mask = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) |
                                     BIT(CAP_MKNOD) | BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) |
                                     BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE) |
                                     BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);

static const char *without_prefix(const char *name)
{
    return strncasecmp(name, "CAP_", 4) == 0 ? name + 4 : name;
}

static bool is_all(const char *name)
{
    return strcasecmp(without_prefix(name), "ALL") == 0;
}

static struct error *bit_of(const char *field, const char *name, uint64_t *ret)
{
    for (unsigned i = 0; i < NAME_COUNT; i++) {
        if (strcasecmp(names[i], without_prefix(name)) == 0) {
            *ret = BIT(i);
            return NULL;
        }
    }
    return error_new(ERROR_INVALID_ARGUMENT, "%s: there is no capability \"%s\"", field, name);
}

static bool has_all(char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_all(list[i]))
            return true;
    }
    return false;
}

/* The bits of a list's names, ALL left aside. */
static struct error *list_mask(const char *field, char *const *list, size_t count, uint64_t *ret)
{
    uint64_t bit = 0;

    *ret = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_all(list[i]))
            continue;
        TRY(bit_of(field, list[i], &bit));
        *ret |= bit;
    }
    return NULL;
}

/* What is named one by one must be had, or the container would run with less than it was promised. */
static struct error *mask_check(const char *field, uint64_t mask, uint64_t bounding)
{
    for (unsigned i = 0; i < NAME_COUNT; i++) {
        if (mask & ~bounding & BIT(i))
            return error_new(ERROR_FAILED_PRECONDITION, "%s: CAP_%s is not in the bounding set of this host's runtime",
                             field, names[i]);
    }
    return NULL;
}

static struct error *change(const Runtime__V1__Capability *wanted, uint64_t bounding, struct capability_sets *sets)
{
    uint64_t add = 0, drop = 0, ambient = 0;

    TRY(list_mask("add_capabilities", wanted->add_capabilities, wanted->n_add_capabilities, &add));
    TRY(list_mask("drop_capabilities", wanted->drop_capabilities, wanted->n_drop_capabilities, &drop));
    TRY(list_mask("add_ambient_capabilities", wanted->add_ambient_capabilities, wanted->n_add_ambient_capabilities,
                  &ambient));
    TRY(mask_check("add_capabilities", add & ~drop, bounding));
    TRY(mask_check("add_ambient_capabilities", ambient, bounding));
    if (has_all(wanted->add_capabilities, wanted->n_add_capabilities))
        sets->bounding = bounding;
    if (has_all(wanted->drop_capabilities, wanted->n_drop_capabilities))
        sets->bounding = 0;
    if (has_all(wanted->add_ambient_capabilities, wanted->n_add_ambient_capabilities))
        ambient = bounding;
    sets->ambient = ambient;
    sets->bounding = ((sets->bounding | add) & ~drop) | ambient;
    return NULL;
}

struct error *capability_decide(const Runtime__V1__LinuxContainerSecurityContext *context, uint64_t bounding,
                                struct capability_sets *ret)
{
    struct capability_sets sets = {.bounding = default_mask & bounding};

    if (context && context->capabilities)
        TRY(change(context->capabilities, bounding, &sets));
    if (context && context->privileged)
        sets.bounding = bounding;
    *ret = sets;
    return NULL;
}

json_t *capability_names(uint64_t mask)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < NAME_COUNT; i++) {
        if (mask & BIT(i)) {
            autofree char *name = xasprintf("CAP_%s", names[i]);
            json_array_append_new(list, json_string(name));
        }
    }
    return list;
}
