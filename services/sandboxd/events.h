/* What criapi is told of each move of a container and a pod (GetContainerEvents), and of all at once when it has missed
 * some. */
#pragma once

#include "common/event_phase.h"
#include "services/sandboxd/container.h"

/* Opens the publisher; before it, moves are told to nobody. */
struct error *events_open(struct sandboxd *d) __attribute__((warn_unused_result));

/* How far the object is; in REMOVING as far as before. d->lock held. */
enum event_phase events_phase_of_pod(const struct pod *pod);
enum event_phase events_phase_of_container(const struct container *container);

/* Publishes what lies between that phase and the object's present one, in the order of moves. d->lock held. */
void events_pod_moved(struct pod *pod, enum event_phase before);
void events_container_moved(struct container *container, enum event_phase before);

/* Answers EventSnapshot. */
ipc_handler handle_event_snapshot;
