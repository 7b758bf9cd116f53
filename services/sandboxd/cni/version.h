/* The versions of CNI that we speak, and the three shapes of an answer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum cni_shape {
    CNI_SHAPE_UNKNOWN,
    CNI_SHAPE_OLD,    /* 0.1.0, 0.2.0: ip4 and ip6 */
    CNI_SHAPE_MIDDLE, /* 0.3.0 to 0.4.0: interfaces, and ips with a version */
    CNI_SHAPE_NEW,    /* from 1.0.0 on: ips without one */
};

/* UNKNOWN for a version that we do not speak; "" is 0.1.0. */
enum cni_shape cni_version_shape(const char *version);

/* Its place in the order of versions, -1 for an unknown one. */
int cni_version_rank(const char *version);

/* From 0.4.0 on DEL gets the answer of ADD. */
bool cni_version_has_del_result(const char *version);

/* As CNI wants ids and names: letters, digits, '_', '.', '-', the first a letter or a digit. */
bool cni_name_is_valid(const char *name);
