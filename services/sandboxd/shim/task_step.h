/* Steps that are one task: what a child of the shim finds out or does, and hands back as the step's result. */
#pragma once

#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/job.h"

/* Runs the task with the step as its input, and finishes the step with what it hands over; at its failure with the error, which
 * begins with `what`. */
void task_step_run(struct shim *shim, struct step *step, job_task *task, const char *what);

/* The same with a limit of its own. */
void task_step_run_within(struct shim *shim, struct step *step, job_task *task, const char *what, int64_t limit_ms);

/* Hands the fields over as a memfd, the output's next descriptor: for what may be longer than a message. */
struct error *task_output_put_fields(struct task_output *output, const struct wire_writer *fields)
    __attribute__((warn_unused_result));
