/* How the process connector is asked, and when all that happened has been read. */
#include "tests/bench/process_events.h"

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/memory.h"

enum { PIDS = 1 << 22, BUFFER_BYTES = 256 << 20 };

struct process_events {
    int fd;
    uint8_t is_ours[PIDS / 8]; /* a bit for each living descendant, and for us */
    struct process_counts counts;
};

static void ours_set(struct process_events *events, pid_t pid, bool is_ours)
{
    uint8_t bit = (uint8_t)(1u << (pid % 8));

    if (pid <= 0 || pid >= PIDS)
        return;
    if (is_ours)
        events->is_ours[pid / 8] |= bit;
    else
        events->is_ours[pid / 8] &= (uint8_t)~bit;
}

bool process_events_has(const struct process_events *events, pid_t pid)
{
    return pid > 0 && pid < PIDS && events->is_ours[pid / 8] & (1u << (pid % 8));
}

static struct error *listen_ask(int fd)
{
    struct {
        struct nlmsghdr header;
        struct cn_msg message;
        enum proc_cn_mcast_op operation;
    } __attribute__((packed)) request = {
        .header = {.nlmsg_len = sizeof(request), .nlmsg_type = NLMSG_DONE, .nlmsg_pid = (uint32_t)getpid()},
        .message = {.id = {CN_IDX_PROC, CN_VAL_PROC}, .len = sizeof(enum proc_cn_mcast_op)},
        .operation = PROC_CN_MCAST_LISTEN,
    };

    if (send(fd, &request, sizeof(request), 0) != sizeof(request))
        return error_errno(errno, "ask for process events");
    return NULL;
}

struct error *process_events_open(struct process_events **ret)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC, .nl_pid = (uint32_t)getpid()};
    int room = BUFFER_BYTES;
    autoclose int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return error_errno(errno, "open the process connector");
    TRY(listen_ask(fd));
    struct process_events *events = xcalloc(1, sizeof(*events));
    events->fd = TAKE_FD(fd);
    ours_set(events, getpid(), true);
    *ret = events;
    return NULL;
}

void process_events_close(struct process_events *events)
{
    if (!events)
        return;
    close(events->fd);
    free(events);
}

static void event_take(struct process_events *events, const struct proc_event *event)
{
    if (event->what == PROC_EVENT_FORK) {
        pid_t parent = event->event_data.fork.parent_tgid, child = event->event_data.fork.child_tgid;
        if (event->event_data.fork.child_pid != child || !process_events_has(events, parent))
            return;
        ours_set(events, child, true);
        events->counts.started += parent != getpid();
    } else if (event->what == PROC_EVENT_EXEC) {
        events->counts.executed += process_events_has(events, event->event_data.exec.process_tgid);
    } else if (event->what == PROC_EVENT_EXIT) {
        if (event->event_data.exit.process_pid == event->event_data.exit.process_tgid)
            ours_set(events, event->event_data.exit.process_pid, false);
    }
}

/* A child of ours that ends at once is the mark: what came before its end has been read when that is. */
static pid_t mark_make(void)
{
    pid_t mark = fork();

    if (mark == 0)
        _exit(0);
    if (mark > 0)
        waitpid(mark, NULL, 0);
    return mark;
}

static bool is_end_of(const struct proc_event *event, pid_t pid)
{
    return event->what == PROC_EVENT_EXIT && event->event_data.exit.process_pid == pid;
}

struct error *process_events_read(struct process_events *events, struct process_counts *ret)
{
    union {
        struct nlmsghdr header;
        char bytes[1024];
    } buffer;
    pid_t mark = mark_make();

    for (;;) {
        ssize_t size = recv(events->fd, &buffer, sizeof(buffer), 0);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return error_errno(errno == ENOBUFS ? EMFILE : errno, "process events were lost");
        const struct cn_msg *message = NLMSG_DATA(&buffer.header);
        struct proc_event event;
        memcpy(&event, message->data, sizeof(event));
        event_take(events, &event);
        if (is_end_of(&event, mark))
            break;
    }
    *ret = events->counts;
    return NULL;
}
