/* A container with directories of the host's: what tests of mounts begin with. */
#pragma once

#include <errno.h>
#include <sys/stat.h>

#include "tests/integration/node_fixture.h"

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

/* A pod on the host's network, and a directory of the host's with a file in it. */
struct scene {
    struct fixture *fixture;
    struct pod_request pod;
    struct container_request container;
    char *pod_id;
    char *volume;
};

static inline void host_write(const struct scene *scene, const char *name, const char *text)
{
    autofree char *path = xasprintf("%s/%s", scene->volume, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static inline char *host_read(const struct scene *scene, const char *name)
{
    autofree char *path = xasprintf("%s/%s", scene->volume, name);
    char *text = NULL;
    size_t size = 0;

    check(file_read_all(path, 4096, &text, &size));
    return text;
}

static inline void scene_open_as(struct scene *scene, struct fixture *fixture, const char *name, bool is_privileged)
{
    *scene = (struct scene){.fixture = fixture};
    scene->volume = xasprintf("%s/volume-%s-%s", fixture->node.directory, name, fixture->handler);
    assert_int_equal(mkdir(scene->volume, 0755), 0);
    host_write(scene, "file", "from the host\n");
    pod_request_init(&scene->pod, &fixture->node, name, true);
    scene->pod.context.privileged = is_privileged;
    scene->pod_id = pod_begin(fixture, &scene->pod);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, "main", busybox, sleeping);
    scene->container.context.privileged = is_privileged;
}

static inline void scene_open(struct scene *scene, struct fixture *fixture, const char *name)
{
    scene_open_as(scene, fixture, name, false);
}

static inline void scene_open_privileged(struct scene *scene, struct fixture *fixture, const char *name)
{
    scene_open_as(scene, fixture, name, true);
}

static inline void scene_close(struct scene *scene)
{
    pod_end(scene->fixture, scene->pod_id);
    container_request_fini(&scene->container);
    pod_request_fini(&scene->pod);
    free(scene->volume);
}

/* A mount of CRI's; the source lives as long as the scene does. */
struct mount_list {
    Runtime__V1__Mount mounts[8];
    Runtime__V1__Mount *pointers[8];
    char *sources[8];
    size_t count;
};

static inline void mount_add(struct mount_list *list, struct scene *scene, const char *name, const char *target,
                             bool is_readonly)
{
    size_t i = list->count++;

    list->sources[i] = xasprintf("%s%s%s", scene->volume, *name ? "/" : "", name);
    list->mounts[i] = (Runtime__V1__Mount)RUNTIME__V1__MOUNT__INIT;
    list->mounts[i].host_path = list->sources[i];
    list->mounts[i].container_path = (char *)target;
    list->mounts[i].readonly = is_readonly;
    list->pointers[i] = &list->mounts[i];
    scene->container.config.mounts = list->pointers;
    scene->container.config.n_mounts = list->count;
}

static inline void mount_list_fini(struct mount_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->sources[i]);
}
