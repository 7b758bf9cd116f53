/* The table behind target.h. */
#include "cli/chaos/target.h"

#include <string.h>

static const char *const names[TARGET_COUNT] = {
    [TARGET_CRIAPI] = "criapi",         [TARGET_SANDBOXD] = "sandboxd", [TARGET_IMAGED] = "imaged",
    [TARGET_LOGD] = "logd",             [TARGET_SHIM] = "shim",         [TARGET_STREAM] = "stream",
    [TARGET_SUPERVISOR] = "supervisor", [TARGET_KEEPER] = "keeper",     [TARGET_BACKSTOP] = "backstop",
    [TARGET_FETCH] = "fetch",           [TARGET_UNPACK] = "unpack",     [TARGET_OCI] = "oci",
    [TARGET_CNI] = "cni",               [TARGET_MATCH] = "match",
};

enum {
    DAEMONS = (1 << TARGET_SHIM) - 1,
    CHILDREN = 1 << TARGET_STREAM | 1 << TARGET_FETCH | 1 << TARGET_UNPACK | 1 << TARGET_OCI | 1 << TARGET_CNI,
    ALL = DAEMONS | 1 << TARGET_SHIM | CHILDREN
};

static const struct {
    const char *name;
    uint32_t targets;
} groups[] = {{"daemons", DAEMONS}, {"children", CHILDREN}, {"all", ALL}};

const char *target_name(enum target target)
{
    return names[target];
}

enum target target_of_program(const char *name)
{
    for (enum target target = 0; target < TARGET_OCI; target++)
        if (!strcmp(name, names[target]))
            return target;
    return TARGET_COUNT;
}

bool target_is_child(enum target target)
{
    return target < TARGET_MATCH && CHILDREN >> target & 1;
}

static bool word_is(const char *word, size_t length, const char *name)
{
    return strlen(name) == length && !strncmp(word, name, length);
}

static uint32_t word_targets(const char *word, size_t length)
{
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        if (word_is(word, length, groups[i].name))
            return groups[i].targets;
    for (enum target target = 0; target < TARGET_MATCH; target++)
        if (word_is(word, length, names[target]))
            return 1u << target;
    return 0;
}

struct error *targets_parse(const char *text, uint32_t *ret)
{
    uint32_t all = 0;

    for (const char *word = text; word; word = strchr(word, ',')) {
        word += *word == ',';
        size_t length = strcspn(word, ",");
        uint32_t targets = word_targets(word, length);
        if (!targets)
            return error_new(ERROR_INVALID_ARGUMENT, "\"%.*s\" is no target", (int)length, word);
        all |= targets;
    }
    *ret = all;
    return NULL;
}
