/* Which files a confined process may reach. */
#pragma once

#include <stdbool.h>

#include "common/service.h"

/* Refuses by Landlock all files but those below the paths of the privileges, to this thread and those that it starts, for ever (of a
 * process that is jailed: none); without SYSCALLS_INTERNET TCP, too, where the kernel knows of that. A path that is not there is passed
 * over. Descriptors that are open stay as they are. Needs no_new_privs. A kernel without Landlock changes nothing: *ret_is_refused
 * is false. */
struct error *service_paths_restrict(const struct config *config, const struct service_privileges *privileges, bool *ret_is_refused)
    __attribute__((warn_unused_result));
