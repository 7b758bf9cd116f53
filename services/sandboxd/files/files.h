/* The texts of the files that a pod's containers find in /etc: resolv.conf, hosts, hostname. The caller frees each. */
#pragma once

#include <stddef.h>

#include "proto/cri.pb-c.h"

/* From the configuration (NULL or empty: the host's own text, which may be NULL). */
char *files_resolv_conf(const Runtime__V1__DNSConfig *dns, const char *host_text);

/* localhost, then hostname at each address. hostname may be NULL or "": localhost alone. */
char *files_hosts(const char *hostname, const char *const *ips, size_t ip_count);

/* One line. */
char *files_hostname(const char *hostname);
