/* How a session finds its pod's shim, and finds it again. */
#include "services/criapi/stream/shim_link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/memory.h"

enum { RETRY_NS = 50000000, SECOND_NS = 1000000000 };

static struct error *key_make(char key[STREAM_KEY_SIZE])
{
    uint8_t bytes[(STREAM_KEY_SIZE - 1) / 2];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return error_errno(errno, "random bytes");
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(key + 2 * i, 3, "%02x", bytes[i]);
    return NULL;
}

struct error *shim_link_init(struct shim_link *link, const char *state_directory, const struct token *token)
{
    *link = (struct shim_link){.watch.fd = -1, .token = *token};
    link->directory = xasprintf("%s/shim/%s", state_directory, token->pod);
    link->path = xasprintf("%s/stream", link->directory);
    return key_make(link->key);
}

void shim_link_fini(struct shim_link *link)
{
    watch_close(&link->watch);
    free(link->directory);
    free(link->path);
    error_free(link->failure);
}

static void link_fail(struct shim_link *link, struct error *failure)
{
    watch_close(&link->watch);
    error_free(link->failure);
    link->failure = failure;
    link->state = SHIM_LINK_FAILED;
}

static void link_lose(struct shim_link *link)
{
    watch_close(&link->watch);
    link->state = SHIM_LINK_DOWN;
    link->retry_ns = clock_boottime_ns() + RETRY_NS;
}

static bool message_send(struct shim_link *link, struct stream_message *message, const int *fds, size_t count)
{
    message->version = STREAM_VERSION;
    memcpy(message->secret, link->token.secret, sizeof(message->secret));
    memcpy(message->key, link->key, sizeof(message->key));
    autoptr(error) failure = fd_send(link->watch.fd, message, sizeof(*message), fds, count);
    link->is_full = failure && failure->code == ERROR_RESOURCE_EXHAUSTED;
    if (failure && !link->is_full)
        link_lose(link);
    return !failure;
}

static void link_connect(struct shim_link *link)
{
    struct stream_message open = {.type = STREAM_OPEN, .kind = link->token.kind};
    autoptr(error) failure = socket_connect_now(link->path, &link->watch.fd);

    if (failure) {
        link->watch.fd = -1;
        link_lose(link);
        return;
    }
    link->state = SHIM_LINK_OPENING;
    message_send(link, &open, NULL, 0);
}

void shim_link_step(struct shim_link *link)
{
    int64_t now = clock_boottime_ns();
    bool is_down = link->state == SHIM_LINK_DOWN;

    if (!is_down && link->state != SHIM_LINK_OPENING)
        return;
    if (link->give_up_ns == 0)
        link->give_up_ns = now + (int64_t)SHIM_LINK_PATIENCE_S * SECOND_NS;
    if (now >= link->give_up_ns)
        link_fail(link, error_new(ERROR_UNAVAILABLE, "the pod's shim does not answer"));
    else if (is_down && now >= link->retry_ns && access(link->directory, F_OK) < 0)
        link_fail(link, error_new(ERROR_NOT_FOUND, "the pod is gone"));
    else if (is_down && now >= link->retry_ns)
        link_connect(link);
}

void shim_link_watch(struct shim_link *link, struct poll_set *set)
{
    poll_set_add(set, &link->watch, link->is_full ? POLLIN | POLLOUT : POLLIN);
}

int64_t shim_link_deadline(const struct shim_link *link)
{
    switch (link->state) {
    case SHIM_LINK_DOWN:
        return link->retry_ns;
    case SHIM_LINK_OPENING:
        return link->give_up_ns;
    default:
        return INT64_MAX;
    }
}

static void text_end(struct stream_message *message)
{
    message->secret[STREAM_SECRET_SIZE - 1] = '\0';
    message->key[STREAM_KEY_SIZE - 1] = '\0';
    message->text[STREAM_TEXT_SIZE - 1] = '\0';
}

/* false: nothing for the caller. */
static bool answer_take(struct shim_link *link, struct shim_event *event)
{
    const struct stream_message *message = &event->message;

    if (link->state != SHIM_LINK_OPENING)
        return true;
    if (message->type == STREAM_OPENED) {
        link->state = SHIM_LINK_UP;
        link->give_up_ns = 0;
        return true;
    }
    fds_close(event->fds, event->count);
    if (message->type == STREAM_FAILED)
        link_fail(link, error_new((enum error_code)message->code, "%s", message->text));
    else
        link_fail(link, error_new(ERROR_INTERNAL, "the shim answers an OPEN by message %u", message->type));
    return false;
}

bool shim_link_receive(struct shim_link *link, struct shim_event *ret)
{
    size_t size = 0;

    if (link->watch.fd < 0 || !(link->watch.ready & (POLLIN | POLLHUP | POLLERR)))
        return false;
    autoptr(error) failure =
        fd_receive(link->watch.fd, &ret->message, sizeof(ret->message), &size, ret->fds, &ret->count);
    if (failure && failure->code == ERROR_ABORTED)
        return false;
    if (failure || size != sizeof(ret->message) || ret->message.version != STREAM_VERSION) {
        if (!failure)
            fds_close(ret->fds, ret->count);
        link_lose(link);
        return false;
    }
    text_end(&ret->message);
    return answer_take(link, ret);
}

bool shim_link_send(struct shim_link *link, struct stream_message *message, const int *fds, size_t count)
{
    return link->state == SHIM_LINK_UP && message_send(link, message, fds, count);
}
