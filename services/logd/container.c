/* What an ADD must bring, and what must be closed with care when a container goes. */
#include "services/logd/container.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"

static void *close_thread(void *argument)
{
    close((int)(intptr_t)argument);
    return NULL;
}

void close_apart(int fd)
{
    pthread_t thread;

    if (fd < 0)
        return;
    if (pthread_create(&thread, NULL, close_thread, (void *)(intptr_t)fd) == 0)
        pthread_detach(thread);
    else
        close(fd);
}

static struct error *descriptors_check(const struct logd_message *add, const int *fds, size_t count)
{
    size_t wanted = add->flags & LOGD_TERMINAL ? 5 : 6;

    if (count != wanted)
        return error_new(ERROR_INVALID_ARGUMENT, "ADD came with %zu descriptors instead of %zu", count, wanted);
    int flags = fcntl(fds[3], F_GETFL);
    if (flags < 0 || !(flags & O_APPEND))
        return error_new(ERROR_INVALID_ARGUMENT, "the log file is not open for appending");
    return NULL;
}

static struct container *container_alloc(const struct logd_message *add, const int *fds, size_t count)
{
    struct container *container = xcalloc(1, sizeof(*container));

    container->source.kind = SOURCE_CONTAINER;
    memcpy(container->id, add->id, sizeof(container->id));
    container->pipes = (struct stream_pipes){
        .private_read = fds[1], .private_write = fds[2], .from = {fds[4], count > 5 ? fds[5] : -1}};
    attach_init(&container->attach);
    container->pipes.attach = &container->attach;
    container->file = fds[3];
    container->file_generation = add->generation;
    container->orders.next_file = -1;
    container->ended[1] = count < 6;
    container->registered[0] = container->registered[1] = -1;
    pthread_cond_init(&container->wake, NULL);
    return container;
}

struct error *container_new(const struct logd_message *add, const int *fds, size_t fd_count, struct container **ret)
{
    struct error *failure = descriptors_check(add, fds, fd_count);

    if (failure) {
        for (size_t i = 0; i < fd_count; i++)
            close_apart(fds[i]);
        return failure;
    }
    autoptr(container) container = container_alloc(add, fds, fd_count);
    TRY(note_open(&container->note, fds[0], add->generation));
    *ret = TAKE(container);
    return NULL;
}

void container_free(struct container *container)
{
    if (!container)
        return;
    close_apart(container->file);
    close_apart(container->orders.next_file);
    note_close(&container->note);
    for (int i = 0; i < LOG_NOTE_STREAMS; i++)
        if (container->pipes.from[i] >= 0)
            close(container->pipes.from[i]);
    close(container->pipes.private_read);
    close(container->pipes.private_write);
    attach_fini(&container->attach);
    pthread_cond_destroy(&container->wake);
    free(container);
}
