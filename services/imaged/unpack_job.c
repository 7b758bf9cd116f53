/* How unpack is run for work that needs no blob. */
#include "services/imaged/unpack_job.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/log.h"
#include "services/imaged/child.h"
#include "services/imaged/unpack/report.h"

enum { ATTEMPTS = 5 };

/* ABORTED: it has died. */
static struct error *run_once(struct keeper_client *keeper, uint64_t generation, const char *directory,
                              const struct unpack_job *job)
{
    struct child_fds fds = {.count = job->count + 1};
    struct unpack_report report;
    struct child child = {.pidfd = -1};
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_errno(errno, "pipe");
    autoclose int closing_read = ends[0];
    fds.names[0] = "report";
    fds.fds[0] = ends[1];
    for (size_t i = 0; i < job->count; i++) {
        fds.names[i + 1] = job->names[i];
        fds.fds[i + 1] = job->fds[i];
    }
    struct error *failure = child_spawn(keeper, generation, KEEPER_UNPACK, directory, &fds, &child);
    close(ends[1]);
    if (failure)
        return failure;
    failure = child_read(&child, ends[0], &report, sizeof(report));
    child_end(keeper, &child);
    if (failure)
        return failure;
    report.text[sizeof(report.text) - 1] = '\0';
    return report.code ? error_new((enum error_code)report.code, "unpack: %s", report.text) : NULL;
}

struct error *unpack_job_run(struct keeper_client *keeper, uint64_t generation, const char *directory,
                             const struct unpack_job *job)
{
    for (unsigned attempt = 1;; attempt++) {
        struct error *failure = run_once(keeper, generation, directory, job);
        if (!failure || failure->code != ERROR_ABORTED)
            return failure;
        if (attempt == ATTEMPTS) {
            failure->code = ERROR_INTERNAL;
            return failure;
        }
        log_warn("unpack has died", "directory=%s attempt=%u error=%s", directory, attempt, log_quote(failure->text));
        error_free(failure);
    }
}
