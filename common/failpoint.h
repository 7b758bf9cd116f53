/* Places where a test can stop or kill a process: compiled in only with BULKHEAD_FAILPOINTS. */
#pragma once

/* At FAILPOINT("sandboxd.pod_run.before_cni"): if $BULKHEAD_FAILPOINT_DIR/NAME exists it is renamed to NAME.hit (so that
 * it fires once) and its text obeyed: "kill", "abort", "stop", "sleep MILLISECONDS". */
#ifdef BULKHEAD_FAILPOINTS
void failpoint_reach(const char *name);
#define FAILPOINT(name) failpoint_reach(name)
#else
#define FAILPOINT(name) ((void)0)
#endif
