/* A pod with one container: what many tests of containers begin with. */
#pragma once

#include "tests/integration/node_fixture.h"

struct scene {
    struct fixture *fixture;
    struct pod_request pod;
    struct container_request container;
    char *pod_id;
    char *id; /* NULL: not made yet */
};

/* Removes the pod; nothing may be left. */
static inline void scene_close(struct scene *scene)
{
    free(scene->id);
    pod_end(scene->fixture, scene->pod_id);
    container_request_fini(&scene->container);
    pod_request_fini(&scene->pod);
}
