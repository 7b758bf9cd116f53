/* Paths inside a layer, as the archive names them. Pure. */
#pragma once

#include "common/error.h"

/* "./a//b/" becomes "a/b", "/" and "." become "". INVALID_ARGUMENT: a ".." component. The caller frees it. */
struct error *path_clean(const char *path, char **ret) __attribute__((warn_unused_result));

/* The last component of a clean path, inside of it; *ret_parent is what comes before, "" for the layer's root. The caller frees it. */
const char *path_base(const char *path, char **ret_parent);

enum path_kind { PATH_PLAIN, PATH_WHITEOUT, PATH_OPAQUE, PATH_IGNORED };

/* What a base name means by the rules of OCI layers. PATH_WHITEOUT: *ret_hidden is the hidden name, inside base. INVALID_ARGUMENT: a
 * whiteout of "", "." or "..". */
struct error *path_classify(const char *base, enum path_kind *ret_kind, const char **ret_hidden)
    __attribute__((warn_unused_result));
