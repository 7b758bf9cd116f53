/* Small things that every file here needs: ids, texts, conditions, threads. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/log.h"
#include "common/memory.h"
#include "services/sandboxd/sandboxd.h"

#include <protobuf-c/protobuf-c.h>

void text_set(char **field, const char *value)
{
    if (*field != protobuf_c_empty_string)
        free(*field);
    *field = value && *value ? xstrdup(value) : (char *)protobuf_c_empty_string;
}

char *id_new(void)
{
    uint8_t bytes[32];
    char *id = xmalloc(2 * sizeof(bytes) + 1);

    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        abort();
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    return id;
}

void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

void condition_wait(struct sandboxd *d, pthread_cond_t *condition, unsigned milliseconds)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    until.tv_sec += milliseconds / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(condition, &d->lock, &until);
}

void sandboxd_thread(void *(*run)(void *argument), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 512 << 10);
    if (pthread_create(&thread, &attributes, run, argument) != 0) {
        log_error("no thread can be had", "%s", "");
        abort();
    }
    pthread_attr_destroy(&attributes);
}
