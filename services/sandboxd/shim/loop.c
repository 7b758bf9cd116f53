/* How the loop waits: epoll for one event at a time, so that no owner is freed under a pending event. */
#include "services/sandboxd/shim/loop.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <sys/epoll.h>

#include "common/clock.h"

enum { NS_PER_MS = 1000000 };

struct error *loop_init(struct loop *loop)
{
    loop->timers = NULL;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    return loop->epoll < 0 ? error_errno(errno, "epoll_create1") : NULL;
}

static struct error *loop_control(struct loop *loop, int operation, struct source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (epoll_ctl(loop->epoll, operation, source->fd, &event) < 0)
        return error_errno(errno, "epoll_ctl");
    return NULL;
}

struct error *loop_watch(struct loop *loop, struct source *source, uint32_t events)
{
    return loop_control(loop, EPOLL_CTL_ADD, source, events);
}

struct error *loop_change(struct loop *loop, struct source *source, uint32_t events)
{
    return loop_control(loop, EPOLL_CTL_MOD, source, events);
}

void loop_forget(struct loop *loop, struct source *source)
{
    if (source->fd >= 0)
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
    source->fd = -1;
}

void loop_arm(struct loop *loop, struct timer *timer, int64_t in_ms)
{
    if (timer->when_ns == 0) {
        timer->next = loop->timers;
        loop->timers = timer;
    }
    timer->when_ns = clock_boottime_ns() + in_ms * NS_PER_MS;
}

void loop_disarm(struct loop *loop, struct timer *timer)
{
    if (timer->when_ns == 0)
        return;
    for (struct timer **at = &loop->timers; *at; at = &(*at)->next)
        if (*at == timer) {
            *at = timer->next;
            break;
        }
    timer->when_ns = 0;
}

static struct timer *loop_next_timer(const struct loop *loop)
{
    struct timer *first = loop->timers;

    for (struct timer *timer = first; timer; timer = timer->next)
        if (timer->when_ns < first->when_ns)
            first = timer;
    return first;
}

static int loop_timeout_ms(const struct timer *timer, int64_t now_ns)
{
    if (!timer)
        return -1;
    if (timer->when_ns <= now_ns)
        return 0;
    int64_t wait_ms = (timer->when_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    return wait_ms > INT_MAX ? INT_MAX : (int)wait_ms;
}

struct error *loop_once(struct loop *loop, struct shim *shim)
{
    struct epoll_event event;
    struct timer *timer = loop_next_timer(loop);
    int count = epoll_wait(loop->epoll, &event, 1, loop_timeout_ms(timer, clock_boottime_ns()));

    if (count < 0 && errno != EINTR)
        return error_errno(errno, "epoll_wait");
    if (count > 0) {
        const struct source *source = event.data.ptr;
        source->ready(shim, source->owner, event.events);
    }
    timer = loop_next_timer(loop);
    if (timer && timer->when_ns <= clock_boottime_ns()) {
        loop_disarm(loop, timer);
        timer->fire(shim, timer->owner);
    }
    return NULL;
}
