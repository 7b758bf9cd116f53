/* A process that only has to be there: the first of a pod's shared PID namespace, and what holds a scope. */
#pragma once

/* Turns the calling child into it, a program image of its own, so that it shares no memory with the shim's. role: its argument, "--..." */
_Noreturn void first_process_become(const char *role);

/* Its body: reaps until it is killed. Does not return. */
int first_process_main(void);
