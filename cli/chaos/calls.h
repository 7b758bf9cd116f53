/* Each CRI call as a client makes it: recorded, judged, and made again as kubelet would. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/chaos/chaos.h"
#include "proto/cri.pb-c.h"

/* One thread's view. */
struct caller {
    struct chaos *chaos;
    struct cri_client *client;
    size_t slot;
    const char *pod;  /* whose calls these are: its id, "" before there is one */
    bool was_excused; /* the failure that was returned last, or it was expected */
};

struct error *caller_open(struct chaos *chaos, size_t slot, struct caller *ret) __attribute__((warn_unused_result));
void caller_close(struct caller *caller);

/* What a pod and a container are made with; each text is the caller's. */
struct pod_plan {
    const char *name, *logs;
    bool has_shared_pids;
};
struct container_plan {
    const char *name, *script;
    bool has_shared_pids;
};

/* Every call that fails in a way that may pass is made again for a minute; each failure has been recorded. Texts returned
 * are the caller's. */
struct error *call_run_pod(struct caller *caller, const struct pod_plan *plan, char **ret_pod)
    __attribute__((warn_unused_result));
struct error *call_pod_status(struct caller *caller, const char *pod, bool *ret_ready, char **ret_address)
    __attribute__((warn_unused_result));
struct error *call_stop_pod(struct caller *caller, const char *pod) __attribute__((warn_unused_result));
struct error *call_remove_pod(struct caller *caller, const char *pod) __attribute__((warn_unused_result));
struct error *call_create(struct caller *caller, const char *pod, const struct pod_plan *pod_plan,
                          const struct container_plan *plan, char **ret_container) __attribute__((warn_unused_result));
/* Not made again after a failure but UNAVAILABLE: what has been begun is not known. */
struct error *call_start(struct caller *caller, const char *container) __attribute__((warn_unused_result));
struct error *call_stop(struct caller *caller, const char *container, int64_t grace_s)
    __attribute__((warn_unused_result));
struct error *call_remove(struct caller *caller, const char *container) __attribute__((warn_unused_result));
struct error *call_reopen_log(struct caller *caller, const char *container) __attribute__((warn_unused_result));

struct container_state {
    Runtime__V1__ContainerState state;
    int exit_code;
    char reason[64];
    int64_t started_at_ns, finished_at_ns;
};
struct error *call_container_status(struct caller *caller, const char *container, struct container_state *ret)
    __attribute__((warn_unused_result));
/* Is it gone? NOT_FOUND is the answer that was to come. */
struct error *call_container_is_gone(struct caller *caller, const char *container, bool *ret)
    __attribute__((warn_unused_result));
struct error *call_exec_sync(struct caller *caller, const char *container, const char *script, int *ret_code,
                             char **ret_output) __attribute__((warn_unused_result));
struct error *call_exec(struct caller *caller, const char *container, const char *script, char **ret_url)
    __attribute__((warn_unused_result));

/* Ids of this run's pods or containers, of all or (uid not NULL) of that pod uid; free with ids_free(). */
struct error *call_list_pods(struct caller *caller, const char *uid, char ***ret_ids, size_t *ret_count)
    __attribute__((warn_unused_result));
struct error *call_list_containers(struct caller *caller, char ***ret_ids, size_t *ret_count)
    __attribute__((warn_unused_result));
void ids_free(char **ids, size_t count);

struct error *call_pull(struct caller *caller, const char *reference, char **ret_image)
    __attribute__((warn_unused_result));
struct error *call_image_status(struct caller *caller, const char *reference, bool *ret_there)
    __attribute__((warn_unused_result));
struct error *call_remove_image(struct caller *caller, const char *reference) __attribute__((warn_unused_result));
struct error *call_list_images(struct caller *caller, size_t *ret_count) __attribute__((warn_unused_result));
struct error *call_version(struct caller *caller) __attribute__((warn_unused_result));
struct error *call_status(struct caller *caller, bool *ret_ready) __attribute__((warn_unused_result));
