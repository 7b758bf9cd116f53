/* The names of kernel parameters: which file each is, and which kind of namespace has its own value of it. */
#pragma once

#include <stddef.h>

enum sysctl_namespace { SYSCTL_OF_NONE, SYSCTL_OF_NET, SYSCTL_OF_IPC, SYSCTL_OF_UTS };

/* As sysctl(8) takes names: "net.ipv4.ip_forward", "net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding". NONE also for what
 * is no name. */
enum sysctl_namespace sysctl_namespace_of(const char *name);

/* "/proc/sys/net/ipv4/ip_forward", or NULL for what is no name. The caller frees it. */
char *sysctl_path(const char *name);
