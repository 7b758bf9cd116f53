/* How objects are found. */
#include "services/sandboxd/table.h"

#include <string.h>

#include "common/memory.h"

void table_add_pod(struct sandboxd *d, struct pod *pod)
{
    struct pod **at = &d->pods;

    while (*at)
        at = &(*at)->next;
    *at = pod;
}

void table_add_container(struct sandboxd *d, struct container *container)
{
    struct container **at = &d->containers;

    while (*at)
        at = &(*at)->next;
    *at = container;
}

void table_remove_pod(struct pod *pod)
{
    struct sandboxd *d = pod->d;

    pthread_mutex_lock(&d->lock);
    struct pod **at = &d->pods;
    while (*at && *at != pod)
        at = &(*at)->next;
    bool is_found = *at != NULL;
    if (is_found)
        *at = pod->next;
    pthread_mutex_unlock(&d->lock);
    if (is_found)
        pod_release(pod);
}

void table_remove_container(struct container *container)
{
    struct sandboxd *d = container->d;

    pthread_mutex_lock(&d->lock);
    struct container **at = &d->containers;
    while (*at && *at != container)
        at = &(*at)->next;
    bool is_found = *at != NULL;
    if (is_found)
        *at = container->next;
    pthread_mutex_unlock(&d->lock);
    if (is_found)
        container_release(container);
}

/* How well an id answers to what was asked: 2 the same, 1 a prefix, 0 not. */
static int id_match(const char *id, const char *asked)
{
    size_t length = strlen(asked);

    if (strncmp(id, asked, length))
        return 0;
    return id[length] ? 1 : 2;
}

static struct error *not_one(const char *kind, const char *id, unsigned count)
{
    if (count == 0)
        return error_new(ERROR_NOT_FOUND, "an error occurred when try to find %s \"%s\": not found", kind, id);
    return error_new(ERROR_INVALID_ARGUMENT, "%u %ss have an id that begins with \"%s\"", count, kind, id);
}

struct error *table_find_pod(struct sandboxd *d, const char *id, struct pod **ret)
{
    struct pod *found = NULL;
    unsigned count = 0;

    if (!*id)
        return error_new(ERROR_INVALID_ARGUMENT, "the sandbox id is empty");
    pthread_mutex_lock(&d->lock);
    for (struct pod *pod = d->pods; pod; pod = pod->next) {
        int match = pod_state_is_listed(pod->record->state) ? id_match(pod->record->id, id) : 0;
        if (match)
            found = pod;
        count = match == 2 ? 1 : count + (unsigned)match;
        if (match == 2)
            break;
    }
    if (count == 1)
        *ret = pod_hold(found);
    pthread_mutex_unlock(&d->lock);
    return count == 1 ? NULL : not_one("sandbox", id, count);
}

struct error *table_find_container(struct sandboxd *d, const char *id, struct container **ret)
{
    struct container *found = NULL;
    unsigned count = 0;

    if (!*id)
        return error_new(ERROR_INVALID_ARGUMENT, "the container id is empty");
    pthread_mutex_lock(&d->lock);
    for (struct container *container = d->containers; container; container = container->next) {
        int match = container_state_is_listed(container->record->state) ? id_match(container->record->id, id) : 0;
        if (match)
            found = container;
        count = match == 2 ? 1 : count + (unsigned)match;
        if (match == 2)
            break;
    }
    if (count == 1)
        *ret = container_hold(found);
    pthread_mutex_unlock(&d->lock);
    return count == 1 ? NULL : not_one("container", id, count);
}

static bool pod_has_key(const struct pod *pod, const Runtime__V1__PodSandboxMetadata *key)
{
    const Runtime__V1__PodSandboxMetadata *own = pod->config->metadata;

    return own->attempt == key->attempt && !strcmp(own->uid, key->uid) && !strcmp(own->name, key->name) &&
           !strcmp(own->namespace_, key->namespace_);
}

struct pod *table_pod_of_key(struct sandboxd *d, const Runtime__V1__PodSandboxMetadata *metadata)
{
    for (struct pod *pod = d->pods; pod; pod = pod->next)
        if (!pod->is_key_free && pod_has_key(pod, metadata))
            return pod_hold(pod);
    return NULL;
}

struct container *table_container_of_key(struct pod *pod, const Runtime__V1__ContainerMetadata *metadata)
{
    for (struct container *container = pod->d->containers; container; container = container->next)
        if (container->pod == pod && !container->is_key_free &&
            container->config->metadata->attempt == metadata->attempt &&
            !strcmp(container->config->metadata->name, metadata->name))
            return container_hold(container);
    return NULL;
}

struct container **table_containers(struct sandboxd *d, container_test *passes, const void *argument, size_t *ret_count)
{
    size_t count = 0;

    pthread_mutex_lock(&d->lock);
    for (struct container *container = d->containers; container; container = container->next)
        count += passes(container, argument);
    struct container **containers = xcalloc(count + 1, sizeof(*containers));
    count = 0;
    for (struct container *container = d->containers; container; container = container->next)
        if (passes(container, argument))
            containers[count++] = container_hold(container);
    pthread_mutex_unlock(&d->lock);
    *ret_count = count;
    return containers;
}

static bool is_of(const struct container *container, const void *pod)
{
    return container->pod == pod;
}

struct container **table_containers_of(struct pod *pod, size_t *ret_count)
{
    return table_containers(pod->d, is_of, pod, ret_count);
}

void containers_release(struct container **containers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        container_release(containers[i]);
    free(containers);
}

struct pod **table_pods(struct sandboxd *d, pod_test *passes, const void *argument, size_t *ret_count)
{
    size_t count = 0;

    pthread_mutex_lock(&d->lock);
    for (struct pod *pod = d->pods; pod; pod = pod->next)
        count += passes(pod, argument);
    struct pod **pods = xcalloc(count + 1, sizeof(*pods));
    count = 0;
    for (struct pod *pod = d->pods; pod; pod = pod->next)
        if (passes(pod, argument))
            pods[count++] = pod_hold(pod);
    pthread_mutex_unlock(&d->lock);
    *ret_count = count;
    return pods;
}

void pods_release(struct pod **pods, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pod_release(pods[i]);
    free(pods);
}
