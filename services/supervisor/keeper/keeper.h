/* The keeper's state: what all of its files share, and nothing of what they know. One thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/config.h"
#include "common/keeper_protocol.h"

/* What the backstop passes by flags: the keeper parses no configuration file. */
struct keeper_options {
    const char *config; /* handed on to the daemons; NULL: none */
    const char *root;
    const char *state;
    const char *address;
    const char *log_level;
    const char *programs;
    const char *directories[KEEPER_DIRECTORY_CERTS + 1]; /* by enum keeper_directory; NULL: not allowed */
    uid_t uid_first;
    int listener_fd;             /* the listening socket of grpc.address, -1: none */
    int stream_fd;               /* that of streaming sessions */
    enum death_reason last_death; /* of the keeper before, as the backstop saw it */
    bool stop;                   /* adopt, end all but the shims, and exit */
};

/* Something that epoll watches; the first member of whatever it belongs to. */
struct keeper;
struct watch {
    void (*ready)(struct keeper *keeper, struct watch *watch, uint32_t events);
};

/* A process from the fixed table: a child of ours, or one adopted from the record of the keeper before. */
struct child {
    struct watch watch; /* the pidfd; only watched where adopted */
    struct child *next;
    enum keeper_program program;
    char name[KEEPER_NAME_SIZE]; /* instance, "" for a daemon */
    uint64_t serial;             /* its number among all of its program, names record and cgroup */
    uint64_t generation;         /* the serial, or what the asker called it (an instance's) */
    uint32_t flags;              /* KEEPER_ADOPT */
    struct process_id process;
    int pidfd;
    bool is_adopted;
    int64_t dying_since_ns; /* adopted, has ended, perhaps not reaped yet; 0: lives */
    int64_t started_ns; /* BOOTTIME */
};

struct stored_fd {
    struct stored_fd *next;
    char owner[KEEPER_NAME_SIZE];
    char name[KEEPER_NAME_SIZE];
    int fd;
};

struct connection;

/* What the keeper knows of the supervisor beyond its being a child. */
struct supervisor_watch {
    struct watch watch; /* the notify socket */
    int notify_fd;
    int64_t last_start_ns;
    int64_t last_notify_ns;
    bool is_ready;
    bool is_hang; /* killed by us for silence */
    enum death_reason last_death;
};

struct keeper {
    const struct keeper_options *options;
    struct rlimit nofile; /* as inherited; children get it back */
    struct process_id process;
    int epoll;
    int keeper_dir;   /* STATE/keeper */
    int children_dir; /* STATE/keeper/children */
    int exits_dir;    /* STATE/keeper/exits */
    int lock_fd;
    struct watch signal_watch;
    int signal_fd;
    struct watch listener_watch;
    int listener; /* STATE/keeper/sock */
    int program_fds[KEEPER_PROGRAM_COUNT];
    uint64_t serials[KEEPER_PROGRAM_COUNT]; /* the last one given out */
    struct child *children;
    struct stored_fd *store;
    struct connection *connections;
    struct supervisor_watch supervisor;
    bool cgroups_dirty; /* some may be left to remove */
    int64_t last_tick_ns;
    int64_t next_sweep_ns;
    int64_t stopping_since_ns; /* 0: not stopping */
    bool is_finished;
};

uid_t keeper_uid(const struct keeper *keeper, enum config_user user);

/* Adds fd to the epoll set with these events; failure to do so is a lack of memory, and ends the keeper. */
void keeper_watch(struct keeper *keeper, int fd, uint32_t events, struct watch *watch);
