/* How ids and labels are compared. */
#include "services/sandboxd/filter.h"

#include <string.h>

#include "proto/cri.pb-c.h"

/* Every map<string, string> entry of protobuf-c has this shape. */
typedef Runtime__V1__PodSandboxConfig__LabelsEntry map_entry;

bool filter_id(const char *id, const char *prefix)
{
    return !strncmp(id, prefix, strlen(prefix));
}

static bool has_label(map_entry **labels, size_t count, const map_entry *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(labels[i]->key, wanted->key) && !strcmp(labels[i]->value, wanted->value))
            return true;
    return false;
}

bool filter_labels(void *labels, size_t label_count, void *selector, size_t selector_count)
{
    map_entry **wanted = selector;

    for (size_t i = 0; i < selector_count; i++)
        if (!has_label(labels, label_count, wanted[i]))
            return false;
    return true;
}
