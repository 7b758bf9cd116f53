/* A pod with a user namespace, a container's request, and a directory of the host's. */
#pragma once

#include <errno.h>
#include <sys/stat.h>

#include "tests/integration/session_node.h"

/* Users and groups differ, so that nobody can take one for the other. */
enum { UID_FIRST = 700000, GID_FIRST = 800000, ID_COUNT = 65536 };

static const char *const user_sleeping[] = {"/bin/sleep", "1000", NULL};

/* Mappings as the kubelet sends them. */
struct user_options {
    Runtime__V1__UserNamespace user;
    Runtime__V1__IDMapping uid, gid;
    Runtime__V1__IDMapping *uids[1], *gids[1];
};

struct user_pod {
    struct fixture *fixture;
    struct pod_request pod;
    struct container_request container;
    struct user_options options;
    Runtime__V1__Mount mounts[2]; /* of the volume, at /mapped and at /plain */
    Runtime__V1__Mount *mount_pointers[2];
    char *name;
    char *pod_id;
    char *volume;
};

static inline void user_options_init(struct user_options *options)
{
    options->user = (Runtime__V1__UserNamespace)RUNTIME__V1__USER_NAMESPACE__INIT;
    options->uid = options->gid = (Runtime__V1__IDMapping)RUNTIME__V1__IDMAPPING__INIT;
    options->uid.host_id = UID_FIRST, options->gid.host_id = GID_FIRST;
    options->uid.length = options->gid.length = ID_COUNT;
    options->uids[0] = &options->uid, options->gids[0] = &options->gid;
    options->user.mode = RUNTIME__V1__NAMESPACE_MODE__POD;
    options->user.uids = options->uids, options->user.gids = options->gids;
    options->user.n_uids = options->user.n_gids = 1;
}

/* The pod's request, to be changed and sent by the caller. */
static inline void user_pod_make(struct user_pod *user, struct fixture *fixture, const char *name)
{
    *user = (struct user_pod){.fixture = fixture};
    user_options_init(&user->options);
    user->volume = xasprintf("%s/volume-%s-%s", fixture->node.directory, name, fixture->handler ? fixture->handler : "any");
    user->name = xstrdup(name);
    pod_request_init(&user->pod, &fixture->node, user->name, false);
    user->pod.namespaces.userns_options = &user->options.user;
}

static inline void user_container_init(struct user_pod *user)
{
    container_request_init(&user->container, &user->pod, user->pod_id, "main", busybox, user_sleeping);
    user->container.namespaces.userns_options = &user->options.user;
}

static inline void user_pod_begin(struct user_pod *user)
{
    user->pod_id = pod_begin(user->fixture, &user->pod);
    user_container_init(user);
}

static inline void user_pod_open(struct user_pod *user, struct fixture *fixture, const char *name)
{
    user_pod_make(user, fixture, name);
    user_pod_begin(user);
}

static inline void user_pod_close(struct user_pod *user)
{
    if (user->pod_id) {
        pod_end(user->fixture, user->pod_id);
        container_request_fini(&user->container);
    }
    pod_request_fini(&user->pod);
    free(user->volume);
    free(user->name);
}

static inline void mount_fill(struct user_pod *user, size_t i, const char *target, const char *source)
{
    Runtime__V1__Mount *mount = &user->mounts[i];

    *mount = (Runtime__V1__Mount)RUNTIME__V1__MOUNT__INIT;
    mount->host_path = (char *)source;
    mount->container_path = (char *)target;
    user->mount_pointers[i] = mount;
}

static inline void mount_map(struct user_pod *user, size_t i)
{
    Runtime__V1__Mount *mount = &user->mounts[i];

    mount->uidmappings = user->options.uids, mount->n_uidmappings = 1;
    mount->gidmappings = user->options.gids, mount->n_gidmappings = 1;
}

/* The volume, which only the host's root may enter, with a file of root's and one of 1000's. */
static inline void volume_make(struct user_pod *user)
{
    autofree char *script = xasprintf("mkdir -m 755 %s && cd %s && echo root > root && echo user > user && chown 1000:1000 user",
                                      user->volume, user->volume);

    assert_int_equal(system(script), 0);
}

/* It is at /mapped and at /plain. */
static inline void volume_mounts(struct user_pod *user)
{
    mount_fill(user, 0, "/mapped", user->volume);
    mount_map(user, 0);
    mount_fill(user, 1, "/plain", user->volume);
    user->container.config.mounts = user->mount_pointers;
    user->container.config.n_mounts = 2;
}

static inline void owner_is(const char *path, uid_t uid, gid_t gid)
{
    struct stat about;

    if (stat(path, &about) < 0)
        fail_msg("%s: %s", path, strerror(errno));
    if (about.st_uid != uid || about.st_gid != gid)
        fail_msg("%s is %u's and %u's, not %u's and %u's", path, about.st_uid, about.st_gid, uid, gid);
}

static inline void volume_owner_is(const struct user_pod *user, const char *name, uid_t uid, gid_t gid)
{
    autofree char *path = xasprintf("%s/%s", user->volume, name);

    owner_is(path, uid, gid);
}

/* The container's first process. */
static inline pid_t container_pid(const struct user_pod *user, const char *id)
{
    const char *hierarchy = access("/sys/fs/cgroup/pids", F_OK) == 0 ? "/pids" : "";
    autofree char *path = xasprintf("/sys/fs/cgroup%s%s/%s/%s/cgroup.procs", hierarchy, user->pod.cgroup, user->pod_id, id);
    autofree char *text = NULL;
    size_t size = 0;

    check(file_read_all(path, 4096, &text, &size));
    return atoi(text);
}
