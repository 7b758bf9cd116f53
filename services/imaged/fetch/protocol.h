/* What imaged and fetch tell each other: requests down one pipe, frames of bytes up the other, one request at a time. */
#pragma once

#include <stdint.h>

/* Descriptors by name (LISTEN_FDNAMES): "request" (read end) and "reply" (write end). A closed request pipe ends fetch. */

enum { FETCH_VERSION = 1, FETCH_HOST_SIZE = 264, FETCH_DATA_MAX = 256 << 10, FETCH_FIELDS_MAX = 64 << 10 };

/* The first thing on the request pipe, of fixed size: fetch reads it while still root, to find the host's files. */
struct fetch_hello {
    uint32_t version;
    uint32_t job_size; /* of the wire.h fields that follow, read only once rights are dropped; at most FETCH_FIELDS_MAX */
    char host[FETCH_HOST_SIZE]; /* the registry, "docker.io", "localhost:5000" */
};

/* Of the job. */
enum fetch_job_tag {
    FETCH_JOB_REPOSITORY = 1, /* "library/busybox" */
    FETCH_JOB_USERNAME,
    FETCH_JOB_PASSWORD,
    FETCH_JOB_IDENTITY_TOKEN,
    FETCH_JOB_REGISTRY_TOKEN,
    FETCH_JOB_SERVER_ONLY, /* not empty: the proof is for the registry itself, and no mirror is shown it */
};

enum fetch_kind { FETCH_MANIFEST = 1, FETCH_BLOB };

struct fetch_request {
    uint32_t kind;
    uint32_t reserved;
    uint64_t offset;     /* of a blob: the first byte wanted */
    char reference[192]; /* a tag (of a manifest only) or a digest */
};

/* Each reply is BEGIN, DATA..., END, or ERROR at any place instead of what would follow. size bytes follow each frame. */
enum fetch_frame_type {
    FETCH_BEGIN = 1, /* then the Content-Type's text */
    FETCH_DATA,
    FETCH_END,
    FETCH_ERROR,     /* code, then its text */
};

struct fetch_frame {
    uint32_t type;
    int32_t code;  /* enum error_code */
    uint32_t size; /* at most FETCH_DATA_MAX */
    uint32_t reserved;
};
