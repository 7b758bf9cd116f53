/* Which versions of CNI there are, in their order. */
#include "services/sandboxd/cni/version.h"

#include <ctype.h>
#include <string.h>

static const struct {
    const char *name;
    enum cni_shape shape;
} versions[] = {
    {"0.1.0", CNI_SHAPE_OLD},    {"0.2.0", CNI_SHAPE_OLD}, {"0.3.0", CNI_SHAPE_MIDDLE}, {"0.3.1", CNI_SHAPE_MIDDLE},
    {"0.4.0", CNI_SHAPE_MIDDLE}, {"1.0.0", CNI_SHAPE_NEW}, {"1.1.0", CNI_SHAPE_NEW},
};

int cni_version_rank(const char *version)
{
    if (version[0] == '\0')
        return 0;
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (strcmp(versions[i].name, version) == 0)
            return (int)i;
    }
    return -1;
}

enum cni_shape cni_version_shape(const char *version)
{
    int rank = cni_version_rank(version);

    return rank < 0 ? CNI_SHAPE_UNKNOWN : versions[rank].shape;
}

bool cni_version_has_del_result(const char *version)
{
    return cni_version_rank(version) >= cni_version_rank("0.4.0");
}

bool cni_name_is_valid(const char *name)
{
    if (!isalnum((unsigned char)name[0]))
        return false;
    for (const char *c = name; *c; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("_.-", *c))
            return false;
    }
    return true;
}
