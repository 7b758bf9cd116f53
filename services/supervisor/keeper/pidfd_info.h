/* PIDFD_GET_INFO's exit status (kernel 6.15), for headers that are older. */
#pragma once

#include <stdbool.h>

/* The wait status of a reaped process that somebody else reaped; false where the kernel cannot say. */
bool pidfd_exit_status(int pidfd, int *ret_wait_status);
