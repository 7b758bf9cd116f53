/* The descriptors that fetch and unpack inherit from the keeper. */
#pragma once

/* The descriptor named so in LISTEN_FDNAMES, or -1. It is made CLOEXEC. */
int inherited_fd(const char *name);
