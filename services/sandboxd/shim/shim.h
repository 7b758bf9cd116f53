/* The shim of one pod: all that it holds, and what its parts call of each other. */
#pragma once

#include <sys/resource.h>

#include "common/shim_protocol.h"
#include "services/sandboxd/shim/cgroup.h"
#include "services/sandboxd/shim/logd_link.h"
#include "services/sandboxd/shim/loop.h"
#include "services/sandboxd/shim/pod.h"
#include "services/sandboxd/shim/ports.h"
#include "services/sandboxd/shim/session.h"
#include "services/sandboxd/shim/store.h"

struct client;
struct container;
struct exec;
struct job;
struct step;

struct shim {
    const char *state;      /* STATE and ROOT, as given */
    const char *root;
    const char *pod_id;
    char *directory;        /* STATE/shim/POD */
    char *storage;          /* ROOT/shim/POD */
    int directory_fd;
    int containers_fd;      /* directory ctr: container records */
    int execs_fd;           /* directory exec: records of execs begun */
    int work_fd;            /* directory tmp: pid files, runtime logs, console sockets */
    int lock_fd;
    int null_fd;            /* null_device.h */
    uid_t sandboxd_uid;
    struct rlimit nofile;   /* as inherited; given back to what it runs */
    struct loop loop;
    struct cgroups cgroups;
    char *unfit; /* why the host's cgroups are of no use, which is what the pod's set-up fails with; NULL: they are */
    struct source listener;
    struct source children; /* signalfd of SIGCHLD */
    struct client *clients;
    struct step *steps;
    struct job *jobs;
    struct container *containers;
    struct exec *execs;
    struct streams streams;
    struct pod pod;
    struct ports ports;
    struct store store;
    struct logd_link logd;
    struct timer adoption;  /* set while what a predecessor left is being undone or waited for */
    bool is_adopting;
    int64_t adoption_limit_ns; /* BOOTTIME: what a predecessor started is awaited until then, and killed afterwards */
    unsigned serial;        /* of work files and step cgroups */
    bool is_quitting;
};

/* Paths below STATE/shim/POD and ROOT/shim/POD; the caller frees them. */
char *shim_path(const struct shim *shim, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *shim_storage_path(const struct shim *shim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A container's, handler's or pod's name: [A-Za-z0-9._-], not beginning with a dot, at most 64. */
bool shim_name_is_valid(const char *name);
