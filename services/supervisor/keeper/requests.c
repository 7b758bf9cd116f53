/* Which request a user may make, and its answer. */
#include "services/supervisor/keeper/requests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/log.h"
#include "services/supervisor/keeper/children.h"
#include "services/supervisor/keeper/exits.h"
#include "services/supervisor/keeper/listener.h"
#include "services/supervisor/keeper/programs.h"
#include "services/supervisor/keeper/spawn.h"
#include "services/supervisor/keeper/store.h"

struct request {
    struct keeper *keeper;
    struct connection *connection;
    const struct keeper_message *message;
    int *fds; /* a handler that takes one sets it to -1 */
    size_t fd_count;
    struct keeper_message reply;
    bool is_answered; /* the handler has sent its replies itself */
    int reply_fd;     /* sent with the reply, the handler's */
    bool owns_reply_fd;
};

bool name_is_valid(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";

    return name[0] && strspn(name, allowed) == strlen(name) && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void child_describe(struct keeper_message *reply, const struct child *child)
{
    reply->program = (int32_t)child->program;
    reply->generation = child->generation;
    reply->flags |= child->flags;
    reply->process = child->process;
    reply->time_ns = child->started_ns;
    snprintf(reply->name, sizeof(reply->name), "%s", child->name);
}

static struct error *handle_hello(struct request *request)
{
    request->reply.process = request->keeper->process;
    request->reply.flags = request->keeper->supervisor.is_ready ? KEEPER_READY : 0;
    return NULL;
}

/* criapi always gets the listening socket; if nobody holds one any more, it is bound here. */
static struct error *listener_ensure(struct keeper *keeper)
{
    int fd = -1;

    if (store_find(keeper, "listener", "cri") >= 0)
        return NULL;
    struct error *failure = listener_open(keeper->options->address, &fd);
    if (failure && failure->code == ERROR_ABORTED)
        failure->code = ERROR_UNAVAILABLE; /* its holder will hand it back, or die */
    return failure ? failure : store_put(keeper, "listener", "cri", fd);
}

static struct error *spawn_check(const struct request *request)
{
    const struct keeper_message *message = request->message;

    if (!program_is_valid(message->program))
        return error_new(ERROR_INVALID_ARGUMENT, "no program %d", message->program);
    const struct program *program = program_get((enum keeper_program)message->program);
    if (message->program == KEEPER_SUPERVISOR ||
        !program_is_allowed(request->keeper, (enum keeper_program)message->program, request->connection->uid))
        return error_new(ERROR_PERMISSION_DENIED, "user %u may not start %s", request->connection->uid, program->name);
    if (program->has_instance ? !name_is_valid(message->name) : message->name[0] != '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "%s: \"%s\" is not a valid instance", program->name, message->name);
    for (size_t i = 0; i < request->fd_count; i++)
        if (!name_is_valid(message->fd_names[i]) || strchr(message->fd_names[i], ':'))
            return error_new(ERROR_INVALID_ARGUMENT, "descriptor %zu has no valid name", i);
    if (request->keeper->stopping_since_ns)
        return error_new(ERROR_UNAVAILABLE, "the keeper is stopping");
    return NULL;
}

static struct error *handle_spawn(struct request *request)
{
    const struct keeper_message *message = request->message;
    struct child *child = NULL;

    TRY(spawn_check(request));
    if (message->program == KEEPER_CRIAPI)
        TRY(listener_ensure(request->keeper));
    if (message->program == KEEPER_STREAM && store_find(request->keeper, "listener", "stream") < 0)
        return error_new(ERROR_UNAVAILABLE, "nobody has handed the streaming socket over");
    struct spawn_request wish = {
        .program = (enum keeper_program)message->program,
        .name = message->name,
        .generation = message->generation,
        .last_death = (enum death_reason)message->last_death,
        .flags = message->flags,
        .fds = request->fds,
        .fd_names = message->fd_names,
        .fd_count = request->fd_count,
    };
    TRY(spawn(request->keeper, &wish, &child));
    child_describe(&request->reply, child);
    request->reply_fd = child->pidfd;
    log_info("started", "program=%s name=%s generation=%llu pid=%d", program_get(child->program)->name, child->name,
             (unsigned long long)child->generation, child->process.pid);
    return NULL;
}

static struct error *handle_kill(struct request *request)
{
    const struct child *child = child_find(request->keeper, &request->message->process);

    if (!child || !program_is_allowed(request->keeper, child->program, request->connection->uid))
        return error_new(ERROR_NOT_FOUND, "no such child: %d", request->message->process.pid);
    if (syscall(SYS_pidfd_send_signal, child->pidfd, request->message->signal, NULL, 0) < 0 && errno != ESRCH)
        return error_errno(errno, "signal %d to %d", request->message->signal, child->process.pid);
    return NULL;
}

/* The supervisor may see all: it tells the status. */
static bool list_has(const struct request *request, const struct child *child)
{
    uid_t uid = request->connection->uid;
    int32_t program = request->message->program;

    return (program == -1 || program == (int32_t)child->program) &&
           (uid == keeper_uid(request->keeper, CONFIG_USER_SUPERVISOR) ||
            program_is_allowed(request->keeper, child->program, uid));
}

static const struct child *list_next(const struct request *request, const struct child *child)
{
    while (child && !list_has(request, child))
        child = child->next;
    return child;
}

static struct error *handle_list(struct request *request)
{
    const struct child *child = list_next(request, request->keeper->children);

    while (child) {
        const struct child *next = list_next(request, child->next);
        struct keeper_message reply = request->reply;
        reply.flags = next ? KEEPER_MORE : 0;
        reply.found = 1;
        child_describe(&reply, child);
        connection_send(request->keeper, request->connection, &reply, &child->pidfd, child->pidfd >= 0);
        request->is_answered = true;
        child = next;
    }
    return NULL;
}

static struct error *handle_subscribe(struct request *request)
{
    request->connection->subscribed = request->message->program;
    return NULL;
}

static struct error *store_check(const struct request *request, bool writes)
{
    const struct keeper_message *message = request->message;

    if (!name_is_valid(message->name))
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is not a valid owner", message->name);
    if (!store_is_allowed(request->keeper, message->name, request->connection->uid, writes))
        return error_new(ERROR_PERMISSION_DENIED, "user %u may not use the store of %s", request->connection->uid,
                         message->name);
    return NULL;
}

/* Who brings which of the listening sockets back. */
static bool is_holder(const struct request *request, const char *name)
{
    enum config_user holder = strcmp(name, "cri") == 0 ? CONFIG_USER_CRIAPI : CONFIG_USER_SUPERVISOR;

    return (strcmp(name, "cri") == 0 || strcmp(name, "stream") == 0) &&
           request->connection->uid == keeper_uid(request->keeper, holder);
}

/* The listening socket is one for all: whoever brings it back must bring a listening socket. */
static bool is_listener(int fd)
{
    int is_listening = 0;
    socklen_t size = sizeof(is_listening);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) == 0 && is_listening;
}

static struct error *handle_store_put(struct request *request)
{
    const struct keeper_message *message = request->message;

    TRY(store_check(request, true));
    for (size_t i = 0; i < request->fd_count; i++) {
        if (!name_is_valid(message->fd_names[i]))
            return error_new(ERROR_INVALID_ARGUMENT, "descriptor %zu has no valid name", i);
        if (strcmp(message->name, "listener") == 0 && request->connection->uid != 0) {
            if (!is_holder(request, message->fd_names[i]))
                return error_new(ERROR_PERMISSION_DENIED, "the listener %s is not user %u's", message->fd_names[i],
                                 request->connection->uid);
            if (store_find(request->keeper, "listener", message->fd_names[i]) >= 0)
                continue; /* we have it: a daemon can only fill the gap */
            if (!is_listener(request->fds[i]))
                return error_new(ERROR_INVALID_ARGUMENT, "%s is not a listening socket", message->fd_names[i]);
        }
        if (!store_has_room(request->keeper, message->name, message->fd_names[i], request->connection->uid))
            return error_new(ERROR_RESOURCE_EXHAUSTED, "%s has %d descriptors in the store", message->name,
                             STORE_DAEMON_MAX);
        TRY(store_put(request->keeper, message->name, message->fd_names[i], TAKE_FD(request->fds[i])));
    }
    return NULL;
}

static struct error *handle_store_get(struct request *request)
{
    const struct stored_fd *entries[KEEPER_SPAWN_FDS + 1];
    const char *owner = request->message->name;

    TRY(store_check(request, false));
    for (size_t skip = 0;; skip += KEEPER_SPAWN_FDS) {
        size_t count = store_list(request->keeper, owner, skip, KEEPER_SPAWN_FDS + 1, entries);
        struct keeper_message reply = request->reply;
        int fds[KEEPER_SPAWN_FDS];
        size_t fd_count = count > KEEPER_SPAWN_FDS ? KEEPER_SPAWN_FDS : count;
        reply.flags = count > fd_count ? KEEPER_MORE : 0;
        reply.found = fd_count > 0;
        snprintf(reply.name, sizeof(reply.name), "%s", owner);
        for (size_t i = 0; i < fd_count; i++) {
            fds[i] = entries[i]->fd;
            memcpy(reply.fd_names[i], entries[i]->name, KEEPER_NAME_SIZE);
        }
        connection_send(request->keeper, request->connection, &reply, fds, fd_count);
        request->is_answered = true;
        if (count <= KEEPER_SPAWN_FDS)
            return NULL;
    }
}

static struct error *handle_store_drop(struct request *request)
{
    const struct keeper_message *message = request->message;

    TRY(store_check(request, true));
    if (strcmp(message->name, "listener") == 0 && request->connection->uid != 0)
        return error_new(ERROR_PERMISSION_DENIED, "the listening socket stays");
    if (message->fd_count == 0)
        store_drop(request->keeper, message->name, NULL);
    for (size_t i = 0; i < message->fd_count; i++)
        store_drop(request->keeper, message->name, message->fd_names[i]);
    return NULL;
}

static bool directory_is_allowed(const struct keeper *keeper, uint32_t directory, uid_t uid)
{
    if (uid == 0)
        return true;
    if (directory == KEEPER_DIRECTORY_CERTS)
        return uid == keeper_uid(keeper, CONFIG_USER_IMAGED);
    return uid == keeper_uid(keeper, CONFIG_USER_SANDBOXD);
}

static struct error *file_open(const char *directory, const char *name, int *ret_fd)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    struct stat status;
    autoclose int base = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (base < 0)
        return error_errno(errno, "%s", directory);
    autoclose int fd = (int)syscall(SYS_openat2, base, name[0] ? name : ".", &how, sizeof(how));
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_errno(errno, "%s/%s", directory, name);
    if (name[0] ? !S_ISREG(status.st_mode) : !S_ISDIR(status.st_mode))
        return error_new(ERROR_FAILED_PRECONDITION, "%s/%s is not a regular file", directory, name);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

static struct error *handle_open_file(struct request *request)
{
    const struct keeper_message *message = request->message;

    if (message->directory > KEEPER_DIRECTORY_CERTS || !request->keeper->options->directories[message->directory])
        return error_new(ERROR_INVALID_ARGUMENT, "no directory %u", message->directory);
    if (!directory_is_allowed(request->keeper, message->directory, request->connection->uid))
        return error_new(ERROR_PERMISSION_DENIED, "user %u may not read there", request->connection->uid);
    if (message->name[0] && !name_is_valid(message->name))
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is not a valid file name", message->name);
    TRY(file_open(request->keeper->options->directories[message->directory], message->name, &request->reply_fd));
    request->owns_reply_fd = true;
    return NULL;
}

static struct error *handle_drop_exit(struct request *request)
{
    const struct keeper *keeper = request->keeper;
    uid_t uid = request->connection->uid;

    if (uid != 0 && uid != keeper_uid(keeper, CONFIG_USER_SANDBOXD) &&
        uid != keeper_uid(keeper, CONFIG_USER_SUPERVISOR) && uid != keeper_uid(keeper, CONFIG_USER_IMAGED))
        return error_new(ERROR_PERMISSION_DENIED, "user %u may not drop exit records", uid);
    exit_drop(keeper->exits_dir, &request->message->process);
    return NULL;
}

static struct error *(*handler_of(uint32_t type))(struct request *)
{
    static struct error *(*const handlers[])(struct request *) = {
        [KEEPER_HELLO] = handle_hello,           [KEEPER_SPAWN] = handle_spawn,
        [KEEPER_KILL] = handle_kill,             [KEEPER_LIST] = handle_list,
        [KEEPER_SUBSCRIBE] = handle_subscribe,   [KEEPER_STORE_PUT] = handle_store_put,
        [KEEPER_STORE_GET] = handle_store_get,   [KEEPER_STORE_DROP] = handle_store_drop,
        [KEEPER_OPEN_FILE] = handle_open_file,   [KEEPER_DROP_EXIT] = handle_drop_exit,
    };

    return type < sizeof(handlers) / sizeof(handlers[0]) ? handlers[type] : NULL;
}

static void request_answer(struct request *request, const struct error *failure)
{
    if (failure) {
        request->reply.code = (int32_t)failure->code;
        snprintf(request->reply.text, sizeof(request->reply.text), "%s", failure->text);
        request->reply_fd = -1;
    }
    connection_send(request->keeper, request->connection, &request->reply, &request->reply_fd,
                    request->reply_fd >= 0);
}

void request_handle(struct keeper *keeper, struct connection *connection, const struct keeper_message *message,
                    int *fds, size_t fd_count)
{
    struct request request = {
        .keeper = keeper,
        .connection = connection,
        .message = message,
        .fds = fds,
        .fd_count = fd_count,
        .reply = {.version = KEEPER_VERSION, .type = KEEPER_REPLY, .serial = message->serial},
        .reply_fd = -1,
    };
    struct error *(*handle)(struct request *) = handler_of(message->type);
    autoptr(error) failure =
        handle ? handle(&request) : error_new(ERROR_UNIMPLEMENTED, "no request of type %u", message->type);

    if (!request.is_answered)
        request_answer(&request, failure);
    if (request.owns_reply_fd)
        close(request.reply_fd);
    for (size_t i = 0; i < fd_count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}
