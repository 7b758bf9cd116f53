/* What makes Debian's nng survive a peer that dies while it connects. Only for ipc*.c. */
#pragma once

/* Does nothing by itself: whoever calls it has our sendmsg() in its program, see ipc_nng_fix.c. */
void ipc_nng_fix(void);
