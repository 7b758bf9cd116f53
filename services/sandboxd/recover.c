/* How records become objects again. */
#include "services/sandboxd/recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/process_id.h"
#include "common/record.h"
#include "services/sandboxd/container_stop.h"
#include "services/sandboxd/container_update.h"
#include "services/sandboxd/directory.h"
#include "services/sandboxd/pod_shim.h"
#include "services/sandboxd/reconcile.h"
#include "services/sandboxd/table.h"

enum { REBOOT_EXIT_CODE = 255 };

typedef struct error *loader(struct sandboxd *d, const char *id, const void *data, size_t size);

/* A pod of a boot that is over: nothing of it lives, and its network is to be given back. */
static void pod_classify(struct pod *pod)
{
    pod->is_new_boot = strcmp(pod->record->boot_id, boot_id()) != 0;
    if (!pod->is_new_boot)
        return;
    if (pod->record->state == POD_READY)
        pod->record->state = POD_STOPPING;
    else if (pod->record->state == POD_CREATING)
        pod->record->state = POD_UNDOING;
}

static struct error *pod_load(struct sandboxd *d, const char *id, const void *data, size_t size)
{
    Bulkhead__PodRecord *record = bulkhead__pod_record__unpack(NULL, size, data);
    struct pod *pod = NULL;

    if (!record)
        return error_new(ERROR_DATA_LOSS, "the record does not parse");
    struct error *error = NULL;
    if (strcmp(record->id, id) || record->state < POD_CREATING || record->state >= POD_GONE)
        error = error_new(ERROR_DATA_LOSS, "the record is of \"%s\" in state %u", record->id, record->state);
    if (!error)
        error = pod_new(d, record, &pod);
    if (error) {
        bulkhead__pod_record__free_unpacked(record, NULL);
        return error;
    }
    pod->is_begun = true;
    pod_classify(pod);
    table_add_pod(d, pod);
    return NULL;
}

static struct pod *pod_of(struct sandboxd *d, const char *id)
{
    for (struct pod *pod = d->pods; pod; pod = pod->next)
        if (!strcmp(pod->record->id, id))
            return pod;
    return NULL;
}

/* Saved at once: the time at which it was found ended is the same ever after. */
static void container_classify(struct container *container)
{
    Bulkhead__ContainerRecord *record = container->record;

    if (!container->pod->is_new_boot)
        return;
    if (record->state == CONTAINER_CREATING)
        record->state = CONTAINER_UNDOING;
    if (record->state != CONTAINER_CREATED && record->state != CONTAINER_RUNNING)
        return;
    record->state = CONTAINER_EXITED;
    record->exit_code = REBOOT_EXIT_CODE;
    record->finished_at_ns = clock_realtime_ns();
    text_set(&record->reason, "ContainerStatusUnknown");
    text_set(&record->message, "The node was restarted while the container ran");
    autoptr(error) unsaved = container_save(container);
    if (unsaved)
        log_warn("an end by a restart of the node is not saved", "container=%s error=%s", record->id,
                 log_quote(unsaved->text));
}

static struct error *container_load(struct sandboxd *d, const char *id, const void *data, size_t size)
{
    Bulkhead__ContainerRecord *record = bulkhead__container_record__unpack(NULL, size, data);
    struct container *container = NULL;
    struct pod *pod = record ? pod_of(d, record->sandbox_id) : NULL;
    struct error *error = NULL;

    if (!record)
        return error_new(ERROR_DATA_LOSS, "the record does not parse");
    if (strcmp(record->id, id) || record->state < CONTAINER_CREATING || record->state >= CONTAINER_GONE)
        error = error_new(ERROR_DATA_LOSS, "the record is of \"%s\" in state %u", record->id, record->state);
    else if (!pod)
        error = error_new(ERROR_FAILED_PRECONDITION, "its sandbox \"%s\" has no record that can be read", record->sandbox_id);
    else
        error = container_new(pod, record, &container);
    if (error) {
        bulkhead__container_record__free_unpacked(record, NULL);
        return error;
    }
    container->is_begun = true;
    container->is_updating = container->has_update_left = record->update != NULL;
    container_classify(container);
    table_add_container(d, container);
    return NULL;
}

static struct error *record_read(struct sandboxd *d, int parent_fd, const char *name, const char *kind, loader *load)
{
    autoclose int fd = -1;
    autofree void *data = NULL;
    uint32_t version = 0;
    size_t size = 0;

    TRY(directory_open(parent_fd, name, &fd));
    TRY(record_load(fd, "record", kind, POD_RECORD_VERSION, &version, &data, &size));
    return load(d, name, data, size);
}

/* The record is noted in the page that outlives this process, while it is in hand: one that kills is not read a third time. */
static struct error *record_read_noted(struct sandboxd *d, int parent_fd, const char *name, const char *kind, loader *load)
{
    char key[REQUEST_PAGE_KEY_SIZE];

    snprintf(key, sizeof(key), "record:%.32s", name);
    if (d->page && request_page_is_poison(d->page, key))
        return error_new(ERROR_DATA_LOSS, "reading it has ended sandboxd twice");
    int slot = d->page ? request_page_enter(d->page, key) : -1;
    struct error *error = record_read(d, parent_fd, name, kind, load);
    if (slot >= 0)
        request_page_leave(d->page, slot);
    return error;
}

/* A directory without a record is what a creation left that died before its first save: nothing was made of it. */
static void record_failed(struct sandboxd *d, int parent_fd, const char *name, const char *kind, struct error *error)
{
    if (error->code == ERROR_NOT_FOUND) {
        directory_remove(parent_fd, name);
    } else {
        d->records_aside++;
        log_error("a record is put aside, untouched", "kind=%s id=%s error=%s", kind, name, log_quote(error->text));
    }
    error_free(error);
}

static struct error *records_load(struct sandboxd *d, int parent_fd, const char *kind, loader *load)
{
    int fd = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (!directory)
        return error_errno(errno, "list the records of %ss", kind);
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        struct error *error = record_read_noted(d, parent_fd, entry->d_name, kind, load);
        if (error)
            record_failed(d, parent_fd, entry->d_name, kind, error);
    }
    closedir(directory);
    return NULL;
}

struct error *recover_records(struct sandboxd *d)
{
    TRY(records_load(d, d->pods_fd, "pod", pod_load));
    TRY(records_load(d, d->containers_fd, "container", container_load));
    if (d->records_aside) {
        autofree char *text = xasprintf("STATUS=%u records put aside", d->records_aside);
        service_notify(text);
    }
    return NULL;
}

/* All objects as held references. */
static struct pod **pods_all(struct sandboxd *d, size_t *ret_count)
{
    size_t count = 0;

    pthread_mutex_lock(&d->lock);
    for (struct pod *pod = d->pods; pod; pod = pod->next)
        count++;
    struct pod **pods = xcalloc(count + 1, sizeof(*pods));
    count = 0;
    for (struct pod *pod = d->pods; pod; pod = pod->next)
        pods[count++] = pod_hold(pod);
    pthread_mutex_unlock(&d->lock);
    *ret_count = count;
    return pods;
}

static void pod_resume(struct pod *pod)
{
    size_t count = 0;
    struct container **containers = table_containers_of(pod, &count);

    if (pod_state_get(pod) == POD_READY)
        pod_shim(pod); /* connects; a dead shim gets a successor */
    for (size_t i = 0; i < count; i++) {
        container_stop_resume(containers[i]);
        container_update_resume(containers[i]);
    }
    containers_release(containers, count);
    pod_kick(pod);
}

void recover_resume(struct sandboxd *d)
{
    size_t count = 0;
    struct pod **pods = pods_all(d, &count);

    for (size_t i = 0; i < count; i++) {
        pod_resume(pods[i]);
        pod_release(pods[i]);
    }
    free(pods);
}
