/* What a session is for, behind its channels: an exec, an attach, a port-forward. */
#pragma once

#include "services/criapi/stream/channels.h"
#include "services/criapi/stream/poll_set.h"
#include "services/criapi/stream/shim_link.h"

/* The client has so long to make its channels, as k8s.io/kubelet's DefaultStreamCreationTimeout. */
enum { WORK_CHANNELS_S = 30 };

struct work;

struct work_functions {
    struct error *(*opened)(struct work *work, struct channel *channel, const struct channel_request *request);
    void (*message)(struct work *work, struct shim_event *event); /* takes over its descriptors, sets them to -1 */
    void (*watch)(struct work *work, struct poll_set *set);
    int64_t (*deadline)(const struct work *work); /* BOOTTIME of the next turn that is due by itself, or INT64_MAX */
    bool (*turn)(struct work *work);              /* moves what can be moved; true: all is done and said */
    void (*fail)(struct work *work,
                 const struct error *why); /* comes to its end: says why to the client, in its next turns */
    void (*free)(struct work *work);
};

struct work_options {
    enum stream_kind kind;
    uint32_t flags;          /* STREAM_STDIN, ..., of OPENED */
    bool has_status_json;    /* the error channel's form */
    bool has_resize;         /* the client makes a channel for it, where there is a terminal */
    bool are_channels_fixed; /* all channels are there at the beginning: port-forward by WebSocket */
};

struct work {
    const struct work_functions *functions;
    struct work_options options;
    struct transport *transport; /* borrowed; set before any call but `opened` */
    struct shim_link *link;      /* borrowed */
};

struct work *exec_new(const struct work_options *options, struct shim_link *link);
struct work *attach_new(const struct work_options *options, struct shim_link *link);
struct work *port_forward_new(const struct work_options *options, struct shim_link *link);
