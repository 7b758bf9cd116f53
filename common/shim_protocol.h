/* The contract between sandboxd and a pod's shim: one wire.h message per SEQPACKET packet at STATE/shim/POD/sock.
 * Each request is a step under an id that sandboxd chooses; the shim keeps a step's result until SHIM_ACK, so a new sandboxd
 * asks (SHIM_HELLO) what ran, and goes on. The same id sent again: joins, never runs twice. */
#pragma once

#include <stdint.h>

enum { SHIM_VERSION = 1, SHIM_ID_SIZE = 65, SHIM_EXEC_OUTPUT_MAX = 16 << 20 };

/* A shim's own cgroups are below this one until the pod is set up. */
#define SHIM_CGROUP_PARENT "/bulkhead-shim"

/* Every packet begins with these 24 bytes, then wire.h fields. */
struct shim_header {
    uint32_t version;
    uint32_t type;    /* enum shim_type */
    uint64_t step;    /* sandboxd's id of the step; 0 for events, HELLO, and LIST */
    int32_t code;     /* of a RESULT: gRPC's, 0 is OK; SHIM_TAG_TEXT tells more */
    uint32_t reserved;
};

enum shim_type {
    /* sandboxd to shim */
    SHIM_HELLO = 1,     /* GENERATION of sandboxd. Answer: a HELLO with PID, POD_STATE; then one CONTAINER per container (with a
                           pidfd where it lives), one RESULT per finished unacknowledged step, one STEP_RUNNING per running one, one END. */
    SHIM_ACK,           /* step: its result may be forgotten. No answer */
    SHIM_POD_SETUP,     /* NETNS_MODE, IPC_MODE, PID_MODE, UID_FIRST, UID_COUNT, GID_FIRST, GID_COUNT, HOSTNAME, CGROUP (pod's path below each hierarchy), SHM_SIZE; CONTAINER
                           (optional): one whose PID namespace is wanted too. Idempotent. RESULT: NETNS path (pinned), PID of the shim,
                           IPC_FD, UTS_FD, PID_NS_FD, USER_FD, TARGET_FD numbers, SHM path */
    SHIM_POD_TEARDOWN,  /* undo of all of POD_SETUP and of what is left of containers; idempotent */
    SHIM_QUIT,          /* the shim drops its store, removes STATE/shim/POD and ROOT/shim/POD, answers and ends */
    SHIM_RUN,           /* PROGRAM (absolute), ARG*, ENV*, STDIN, TIMEOUT_MS: runs a program (CNI plugin) to its end in POD/step, in the
                           host's namespaces. RESULT: STATUS (wait status), fd 0: memfd of stdout, fd 1: memfd of stderr */
    SHIM_ROOTFS,        /* CONTAINER, LAYER* (lowest first): mounts the overlay at STATE/shim/POD/rootfs/CONTAINER, upper and work on ROOT/shim/POD/
                           CONTAINER. RESULT: PATH; fds of etc/passwd then etc/group of the container's root (tags HAS_PASSWD, HAS_GROUP) */
    SHIM_PREPARE_MOUNTS,/* MOUNT_SOURCE*: host paths; a missing one is made as a directory. RESULT: OK, or which failed */
    SHIM_CREATE,        /* CONTAINER, RUNTIME (absolute binary), BUNDLE (has config.json), CGROUP (container's path), LOG_PATH ("" none),
                           FLAGS (terminal, stdin, stdin once, systemd's cgroup). RESULT: PID, START_TICKS; fd 0: pidfd */
    SHIM_START,         /* CONTAINER. RESULT: TIME_NS (REALTIME) */
    SHIM_SIGNAL,        /* CONTAINER, SIGNAL; SIGKILL kills the whole cgroup. Of an exited container: OK */
    SHIM_DELETE,        /* CONTAINER: kills what lives, runtime delete, rootfs, cgroup, upper directory, its exit record. Idempotent */
    SHIM_EXEC,          /* CONTAINER, PROCESS (process.json text), TIMEOUT_MS: at most once. RESULT: STATUS, fds: memfds of stdout, stderr;
                           on timeout DEADLINE_EXCEEDED and the process tree of the exec is killed. Also ARG* as fallback for logs */
    SHIM_REOPEN_LOG,    /* CONTAINER. RESULT after logd went over to the new file */
    SHIM_LIST,          /* as HELLO, without the handshake */
    SHIM_ACK_EXIT,      /* CONTAINER: sandboxd has stored the exit. No answer */
    SHIM_STREAM_TOKEN,  /* PATH: the secret; STREAM_KIND, STREAM_FLAGS (stream_protocol.h), CONTAINER (not of a port-forward), PROCESS (of an
                           exec): a session may be opened once with it, for STREAM_TOKEN_LIFE_S. RESULT */

    SHIM_READ_FILES,    /* PATH*: regular files of the host, or directories, whose regular files are meant. RESULT: fd 0: a memfd of
                           wire.h fields: per file PATH, then DATA; or PATH, CODE and TEXT where it cannot be read */
    SHIM_FIND_DEVICES,  /* PATH*: device nodes of the host, or directories of them. RESULT: fd 0: a memfd: per PATH it and a DEVICE per
                           node, or it, CODE and TEXT */
    SHIM_SYSCTLS,       /* SYSCTL*: sets those of the pod's network namespace, once its interfaces are there. RESULT */
    SHIM_CLAIM_PORTS,   /* PORT*: host ports, bound until POD_TEARDOWN. RESULT: FAILED_PRECONDITION names one that another has */
    SHIM_CHECK_PROPAGATION, /* SHARED_SOURCE*, SLAVE_SOURCE*: host paths. RESULT: FAILED_PRECONDITION names one whose mount is not */
    SHIM_READ_ONLY,     /* CONTAINER, created; PATH*: its mounts that become read-only with those below, but for OTHER_MOUNT*. Idempotent. RESULT */
    SHIM_IMAGE_VOLUME,  /* CONTAINER, VOLUME, LAYER* (lowest first), SUB_PATH: mounts an image's files, read-only, at STATE/shim/POD/volumes/CONTAINER/
                           VOLUME until DELETE. Idempotent. RESULT: PATH, to be mounted in the container; NOT_FOUND: the image has no such SUB_PATH */
    SHIM_SET_RESOURCES, /* CONTAINER, SETTING* in their order, FLAGS (SHIM_SET_ALL), OOM_SCORE_ADJ: writes files of the container's cgroup, and stops at
                           the first that is refused (INVALID_ARGUMENT names the field, the value and the kernel's reason; NOT_FOUND: the
                           cgroup is gone). Idempotent. RESULT */
    SHIM_MEASURE,       /* CONTAINER: walks its writable layer, and looks at its processes' descriptors; changes nothing, nobody waits for it to end
                           (it is in no STEP_RUNNING). RESULT: BYTES, INODES; FS_BYTES, FS_INODES, FS_INODES_FREE, FS_DEVICE; FDS, SOCKETS */
    SHIM_NET_FILE,      /* RESULT: fd 0: /proc/net/dev of the pod's network namespace; holds the namespace until it is closed */
    SHIM_STAGE_MOUNTS,  /* CONTAINER, MOUNT_SOURCE*: host paths, each mounted with its owners mapped by the pod's user namespace, until
                           UNSTAGE_MOUNTS or DELETE. Idempotent. RESULT: PATH, below which they are 0, 1, 2, ... */
    SHIM_UNSTAGE_MOUNTS, /* CONTAINER. Idempotent. RESULT */
    SHIM_COMPLETE_MOUNTS, /* CONTAINER, created; of each of its mounts FLAGS (SHIM_MOUNT_*), MOUNT_SOURCE, PATH: what is mounted below the source
                           is mounted below PATH where the OCI runtime has not done so. Idempotent. RESULT */

    /* shim to sandboxd */
    SHIM_RESULT = 64,
    SHIM_STEP_RUNNING,
    SHIM_CONTAINER,     /* CONTAINER, STATE (enum shim_container_state), PID, START_TICKS, and for EXITED: STATUS, TIME_NS, OOM */
    SHIM_EXITED,        /* event, repeated at each HELLO until ACK_EXIT: CONTAINER, STATUS (wait status), TIME_NS, OOM, UNKNOWN */
    SHIM_END,
};

enum shim_container_state {
    SHIM_CONTAINER_CREATING = 1,
    SHIM_CONTAINER_CREATED,
    SHIM_CONTAINER_STARTING,
    SHIM_CONTAINER_RUNNING,
    SHIM_CONTAINER_EXITED,
};

enum { SHIM_NAMESPACE_HOST = 0, SHIM_NAMESPACE_OWN = 1 };
enum { SHIM_FLAG_TERMINAL = 1, SHIM_FLAG_STDIN = 2, SHIM_FLAG_STDIN_ONCE = 4, SHIM_FLAG_ATTACH = 8 /* output can be attached to, log or not */,
       SHIM_FLAG_SYSTEMD_CGROUP = 16 /* the cgroup is a scope that the OCI runtime asks systemd for */ };

enum { SHIM_SET_ALL = 1 /* goes on past what is refused, and reports the first of it: an undo */ };
enum { SHIM_MOUNT_PRIVATE, SHIM_MOUNT_SLAVE, SHIM_MOUNT_SHARED };

/* POD_STATE bits */
enum { SHIM_POD_IS_SET_UP = 1, SHIM_POD_IS_TORN_DOWN = 2 };

/* s: string, u: u64, b: bytes */
enum shim_tag {
    SHIM_TAG_TEXT = 1,        /* s: an error's text */
    SHIM_TAG_GENERATION,      /* u */
    SHIM_TAG_PID,             /* u */
    SHIM_TAG_START_TICKS,     /* u */
    SHIM_TAG_CONTAINER,       /* s */
    SHIM_TAG_STATE,           /* u */
    SHIM_TAG_STATUS,          /* u: wait status */
    SHIM_TAG_TIME_NS,         /* u */
    SHIM_TAG_OOM,             /* u */
    SHIM_TAG_UNKNOWN,         /* u: 1: the exit status could not be had */
    SHIM_TAG_POD_STATE,       /* u */
    SHIM_TAG_NETNS_MODE,      /* u: SHIM_NAMESPACE_* */
    SHIM_TAG_IPC_MODE,        /* u */
    SHIM_TAG_PID_MODE,        /* u: OWN: the pod shares one PID namespace, with a first process of ours */
    SHIM_TAG_HOSTNAME,        /* s: set in an own uts namespace; absent: the host's uts namespace */
    SHIM_TAG_CGROUP,          /* s: "/kubepods/pod1", below every controller's root */
    SHIM_TAG_SHM_SIZE,        /* u: bytes */
    SHIM_TAG_NETNS,           /* s: path */
    SHIM_TAG_IPC_FD,          /* u: N of /proc/PID/fd/N */
    SHIM_TAG_UTS_FD,          /* u */
    SHIM_TAG_PID_NS_FD,       /* u */
    SHIM_TAG_SHM,             /* s: path */
    SHIM_TAG_PROGRAM,         /* s */
    SHIM_TAG_ARG,             /* s, repeated; argv[0] included */
    SHIM_TAG_ENV,             /* s, repeated */
    SHIM_TAG_STDIN,           /* b */
    SHIM_TAG_TIMEOUT_MS,      /* u: 0: none */
    SHIM_TAG_LAYER,           /* s, repeated, the lowest first */
    SHIM_TAG_PATH,            /* s */
    SHIM_TAG_HAS_PASSWD,      /* u */
    SHIM_TAG_HAS_GROUP,       /* u */
    SHIM_TAG_MOUNT_SOURCE,    /* s, repeated */
    SHIM_TAG_RUNTIME,         /* s */
    SHIM_TAG_BUNDLE,          /* s */
    SHIM_TAG_LOG_PATH,        /* s */
    SHIM_TAG_FLAGS,           /* u */
    SHIM_TAG_SIGNAL,          /* u */
    SHIM_TAG_PROCESS,         /* s: an OCI process object in JSON, handed to the runtime as a file */
    SHIM_TAG_TRUNCATED,       /* u: 1: the output went beyond SHIM_EXEC_OUTPUT_MAX and was cut */
    SHIM_TAG_STEP_TYPE,       /* u: of a RESULT or STEP_RUNNING: the request's type */
    SHIM_TAG_RUNTIME_NAME,    /* s: handler, for messages */
    SHIM_TAG_SYSCTL,          /* s, repeated: "net.core.somaxconn=1024"; in POD_SETUP those of ipc and uts are set where they are made */
    SHIM_TAG_STREAM_KIND,     /* u: enum stream_kind */
    SHIM_TAG_STREAM_FLAGS,    /* u: STREAM_STDIN, ... */
    SHIM_TAG_DATA,            /* b: a file's bytes */
    SHIM_TAG_CODE,            /* u: gRPC's, of one file or device */
    SHIM_TAG_DEVICE,          /* s: "c 1 3 666 0 0 /dev/null": type, numbers, mode (octal), owner, group, path */
    SHIM_TAG_PORT,            /* s, repeated: "tcp 0.0.0.0 80": protocol (tcp, udp, sctp), address of the host, number */
    SHIM_TAG_SHARED_SOURCE,   /* s, repeated: must be on a shared mount */
    SHIM_TAG_SLAVE_SOURCE,    /* s, repeated: must be on a shared mount or a slave */
    SHIM_TAG_OTHER_MOUNT,     /* s, repeated: a path in the container with a mount that has a mind of its own */
    SHIM_TAG_VOLUME,          /* u: which of a container's volumes */
    SHIM_TAG_SUB_PATH,        /* s: of the image; absent: all of it */
    SHIM_TAG_SETTING,         /* s, repeated: "cpu_shares cpu cpu.shares 512": CRI's field, version 1's controller ("-": version 2), file, value */
    SHIM_TAG_BYTES,           /* u: on disk, of the writable layer */
    SHIM_TAG_INODES,          /* u */
    SHIM_TAG_FS_BYTES,        /* u: of the file system that it is on */
    SHIM_TAG_FS_INODES,       /* u */
    SHIM_TAG_FS_INODES_FREE,  /* u */
    SHIM_TAG_FS_DEVICE,       /* u: major << 32 | minor */
    SHIM_TAG_FDS,             /* u: open descriptors of all processes of the container */
    SHIM_TAG_SOCKETS,         /* u: sockets among them */
    SHIM_TAG_OOM_SCORE_ADJ,   /* s: "OLD NEW": of those processes of the container that have the old one */
    SHIM_TAG_TARGET_FD,       /* u: as IPC_FD: the PID namespace of the CONTAINER that was asked for */
    SHIM_TAG_USER_FD,         /* u: as IPC_FD */
    SHIM_TAG_UID_FIRST,       /* u: the host's user that is 0 in the pod's user namespace; absent: it has none */
    SHIM_TAG_UID_COUNT,       /* u: how many follow */
    SHIM_TAG_GID_FIRST,       /* u: the same of groups */
    SHIM_TAG_GID_COUNT,       /* u */
};
