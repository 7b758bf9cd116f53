/* The shim's one thread: what waits for descriptors, and for time. Sources and timers are embedded in their owners. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct shim;

/* Calls ready(shim, owner, events) from the loop while fd has the events asked for. */
struct source {
    int fd; /* owned by the owner; -1: not watched */
    void (*ready)(struct shim *shim, void *owner, uint32_t events);
    void *owner;
};

/* Calls fire(shim, owner) once, at or after the given BOOTTIME. */
struct timer {
    struct timer *next;
    int64_t when_ns; /* 0: not set */
    void (*fire)(struct shim *shim, void *owner);
    void *owner;
};

struct loop {
    int epoll;
    struct timer *timers; /* the set ones, in no order: there are few */
};

struct error *loop_init(struct loop *loop) __attribute__((warn_unused_result));

struct error *loop_watch(struct loop *loop, struct source *source, uint32_t events) __attribute__((warn_unused_result));
struct error *loop_change(struct loop *loop, struct source *source, uint32_t events)
    __attribute__((warn_unused_result));

/* Ends the watch; the descriptor stays open. One that is not watched is fine. */
void loop_forget(struct loop *loop, struct source *source);

/* Sets (again) a timer, in milliseconds from now. */
void loop_arm(struct loop *loop, struct timer *timer, int64_t in_ms);
void loop_disarm(struct loop *loop, struct timer *timer);

/* Waits for one thing and does it. */
struct error *loop_once(struct loop *loop, struct shim *shim) __attribute__((warn_unused_result));
