/* Which thread serves whom: one loop for all containers, and a thread of its own for each whose file system once held the loop up. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/service.h"
#include "services/logd/frame.h"
#include "services/logd/server.h"
#include "services/logd/thread_id.h"

static const int64_t BEAT_NS = 1000000000;  /* between heartbeats, and the longest sleep */
static const int64_t STUCK_NS = 1000000000; /* a pass longer than this costs its thread */
enum { EVENTS_A_TURN = 64 };

struct worker {
    struct logd *logd;
    struct worker_self self;
    struct container *container; /* being worked on */
    int64_t since_ns;            /* BOOTTIME of the pass's begin; 0: not in a pass */
    bool lost;                   /* another has the loop: this thread serves its container only */
};

static void worker_free(struct worker *worker)
{
    free(worker->self.buffer);
    free(worker);
}

/* ---- a pass, and what follows from it. Both return false when the container is no more. */

static bool apply(struct logd *logd, struct container *container, const struct container_orders *orders,
                  const struct pass_result *result)
{
    if (container->removed) { /* REMOVE let it go meanwhile */
        LIST_INSERT_HEAD(&logd->dead_containers, container, all);
        return false;
    }
    if (!logd_apply_answers(logd, container, orders, result)) {
        logd_forget(logd, container);
        return false;
    }
    if (result->again || container->wake_again) {
        container->wake_again = false;
        logd_wake(logd, container);
        return true;
    }
    if (result->arm)
        logd_arm(logd, container);
    logd_set_due(logd, container, result->due_ns);
    return true;
}

/* Nothing was done, so what was asked is asked still; a newer file than the one in hand may have come. */
static void orders_return(struct container *container, const struct container_orders *orders)
{
    if (orders->next_file < 0)
        return;
    if (container->orders.next_file < 0) {
        container->orders.next_file = orders->next_file;
        container->orders.next_generation = orders->next_generation;
    } else {
        close_apart(orders->next_file);
    }
}

static bool work(struct worker *worker, struct container *container)
{
    struct logd *logd = worker->logd;
    struct container_orders orders = container->orders;
    struct pass_result result;

    container->orders.next_file = -1;
    container->working = true;
    container->queued = container->wake_again = false;
    worker->container = container;
    worker->since_ns = clock_boottime_ns();
    pthread_mutex_unlock(&logd->lock);

    container_pass(container, &orders, &worker->self, &result);

    pthread_mutex_lock(&logd->lock);
    worker->since_ns = 0;
    worker->container = NULL;
    container->working = false;
    if (result.unclaimed)
        orders_return(container, &orders);
    bool lives = apply(logd, container, &orders, &result);
    error_free(result.failure);
    return lives;
}

/* ---- a thread of one container */

static void wait_for_own(struct container *container, pthread_mutex_t *lock)
{
    int64_t left = container->due_ns - clock_boottime_ns();
    struct timespec until;

    if (container->due_ns == 0) {
        pthread_cond_wait(&container->wake, lock);
        return;
    }
    if (left > 0) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t at = until.tv_nsec + left;
        until.tv_sec += at / 1000000000;
        until.tv_nsec = at % 1000000000;
        if (pthread_cond_clockwait(&container->wake, lock, CLOCK_MONOTONIC, &until) != ETIMEDOUT)
            return;
    }
    container->due_ns = 0;
    container->queued = true;
}

static void serve_own(struct worker *worker, struct container *container)
{
    bool lives = true;

    while (lives) {
        while (!container->queued && !container->removed)
            wait_for_own(container, &worker->logd->lock);
        lives = !container->removed && work(worker, container);
    }
}

/* ---- the loop */

static void heartbeat(struct logd *logd)
{
    int64_t now = clock_boottime_ns();

    if (now - logd->beat_ns < BEAT_NS)
        return;
    logd->beat_ns = now;
    service_notify("READY=1"); /* a new supervisor did not hear the first one */
    service_notify("WATCHDOG=1");
}

/* Until the first container is due, or the next heartbeat; 0 when somebody is busy. */
static struct timespec next_sleep(struct logd *logd)
{
    struct container *container;
    int64_t now = clock_boottime_ns(), until = logd->beat_ns + BEAT_NS;

    LIST_FOREACH(container, &logd->timed, timed)
        until = container->due_ns < until ? container->due_ns : until;
    if (!TAILQ_EMPTY(&logd->busy) || until < now)
        until = now;
    return (struct timespec){(until - now) / 1000000000, (until - now) % 1000000000};
}

static void wake_due(struct logd *logd)
{
    struct container *container, *next;
    int64_t now = clock_boottime_ns();

    for (container = LIST_FIRST(&logd->timed); container; container = next) {
        next = LIST_NEXT(container, timed);
        if (container->due_ns <= now)
            logd_wake(logd, container);
    }
}

static void free_dead(struct logd *logd)
{
    struct container *container;
    struct connection *connection;

    while ((container = LIST_FIRST(&logd->dead_containers))) {
        LIST_REMOVE(container, all);
        container_free(container);
    }
    while ((connection = LIST_FIRST(&logd->dead_connections))) {
        LIST_REMOVE(connection, all);
        free(connection);
    }
}

static void serve_event(struct logd *logd, struct source *source)
{
    switch (source->kind) {
    case SOURCE_LISTENER:
        connection_accept(logd);
        break;
    case SOURCE_CONNECTION:
        connection_receive(logd, (struct connection *)source);
        break;
    case SOURCE_CONTAINER:
        logd_wake(logd, (struct container *)source);
        break;
    }
}

/* Sleeps, with the lock let go, until something happens. What dies meanwhile is freed after its events, not before. */
static void serve_events(struct logd *logd)
{
    struct epoll_event events[EVENTS_A_TURN];
    struct timespec sleep = next_sleep(logd);

    pthread_mutex_unlock(&logd->lock);
    int count = epoll_pwait2(logd->epoll, events, EVENTS_A_TURN, &sleep, NULL);
    pthread_mutex_lock(&logd->lock);
    for (int i = 0; i < count; i++)
        serve_event(logd, events[i].data.ptr);
    wake_due(logd);
    free_dead(logd);
}

/* One pass for each that is busy now; who becomes busy meanwhile waits for the next turn. */
static struct container *serve_busy(struct worker *worker)
{
    struct logd *logd = worker->logd;
    struct container *container, *last = TAILQ_LAST(&logd->busy, container_queue);

    while (last && (container = TAILQ_FIRST(&logd->busy))) {
        bool is_last = container == last;
        TAILQ_REMOVE(&logd->busy, container, busy);
        bool lives = work(worker, container);
        if (worker->lost)
            return lives ? container : NULL;
        if (is_last)
            break;
    }
    return NULL;
}

static void *loop_main(void *argument)
{
    struct worker *worker = argument;
    struct logd *logd = worker->logd;
    struct container *own = NULL;

    pthread_setname_np(pthread_self(), "loop");
    thread_id_self(&worker->self.tid, &worker->self.start_ticks);
    pthread_mutex_lock(&logd->lock);
    while (!worker->lost) {
        heartbeat(logd);
        serve_events(logd);
        own = serve_busy(worker);
    }
    if (own)
        serve_own(worker, own);
    pthread_mutex_unlock(&logd->lock);
    worker_free(worker);
    return NULL;
}

/* ---- who has the loop */

static struct error *loop_start(struct logd *logd)
{
    struct worker *worker = xcalloc(1, sizeof(*worker));
    pthread_t thread;

    worker->logd = logd;
    worker->self.buffer = xmalloc(FRAME_ROOM);
    int errnum = pthread_create(&thread, NULL, loop_main, worker);
    if (errnum) {
        worker_free(worker);
        return error_errno(errnum, "start a thread for the loop");
    }
    pthread_detach(thread);
    logd->loop = worker;
    return NULL;
}

/* The thread that hangs keeps its container; another gets the loop. */
static void take_over(struct logd *logd)
{
    struct worker *stuck = logd->loop;

    if (stuck->since_ns == 0 || clock_boottime_ns() - stuck->since_ns < STUCK_NS)
        return;
    autoptr(error) failure = loop_start(logd);
    if (failure) {
        log_error("the loop hangs", "container=%s error=%s", stuck->container->id, log_quote(failure->text));
        return;
    }
    log_warn("a log file's system hangs; its container has a thread of its own now", "container=%s thread=%u",
             stuck->container->id, stuck->self.tid);
    stuck->lost = true;
    stuck->container->own_thread = true;
}

struct error *logd_run(void *state)
{
    struct logd *logd = state;

    pthread_mutex_lock(&logd->lock);
    struct error *failure = loop_start(logd);
    while (!failure) {
        pthread_mutex_unlock(&logd->lock);
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        pthread_mutex_lock(&logd->lock);
        take_over(logd);
    }
    pthread_mutex_unlock(&logd->lock);
    return failure;
}
