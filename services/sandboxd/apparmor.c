/* The default AppArmor profile, and how it comes into the kernel. */
#include "services/sandboxd/apparmor.h"

#include <string.h>
#include <sys/wait.h>

#include "common/memory.h"
#include "services/sandboxd/pod_shim.h"

enum { LOAD_LIMIT_MS = 30000, MESSAGE_MAX = 4096 };

const char apparmor_list_path[] = "/sys/kernel/security/apparmor/profiles";

/* A container may do what its capabilities and seccomp let it, but not write to the kernel's settings, mount, or trace whom it does
 * not contain. Without abstractions: hosts have other versions of them, or none. */
static const char default_profile[] =
    "profile " SPEC_APPARMOR_DEFAULT " flags=(attach_disconnected,mediate_deleted) {\n"
    "  network,\n"
    "  capability,\n"
    "  file,\n"
    "  umount,\n"
    "  unix,\n"
    "  signal (receive) peer=unconfined,\n"
    "  signal (receive) peer=runc,\n"
    "  signal (receive) peer=crun,\n"
    "  signal (send, receive) peer=" SPEC_APPARMOR_DEFAULT ",\n"
    "  ptrace (trace, read, tracedby, readby) peer=" SPEC_APPARMOR_DEFAULT ",\n"
    "  deny /proc/* w,\n"
    "  deny /proc/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}/** w,\n"
    "  deny /proc/sys/[^kn]** w,\n"
    "  deny /proc/sys/kernel/{?,??,[^s][^h][^m]**} w,\n"
    "  deny /proc/sysrq-trigger rwklx,\n"
    "  deny /proc/kcore rwklx,\n"
    "  deny mount,\n"
    "  deny /sys/[^f]*/** wklx,\n"
    "  deny /sys/f[^s]*/** wklx,\n"
    "  deny /sys/fs/[^c]*/** wklx,\n"
    "  deny /sys/fs/c[^g]*/** wklx,\n"
    "  deny /sys/fs/cg[^r]*/** wklx,\n"
    "  deny /sys/firmware/** rwklx,\n"
    "  deny /sys/devices/virtual/powercap/** rwklx,\n"
    "  deny /sys/kernel/security/** rwklx,\n"
    "}\n";

bool apparmor_list_has(const char *data, size_t size, const char *profile)
{
    size_t length = strlen(profile);

    for (const char *line = data, *end = data + size; line && line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        size_t left = (size_t)((newline ? newline : end) - line);
        if (left > length + 1 && memcmp(line, profile, length) == 0 && line[length] == ' ' && line[length + 1] == '(')
            return true;
        line = newline ? newline + 1 : end;
    }
    return false;
}

static char *message_of(struct shim_reply *reply)
{
    autoclose int out = shim_reply_take_fd(reply, 0), err = shim_reply_take_fd(reply, 1);
    char *text = NULL;
    size_t size = 0;

    if (err < 0 || lseek(err, 0, SEEK_SET) < 0)
        return xstrdup("");
    error_free(fd_read_all(err, MESSAGE_MAX, &text, &size));
    return text ? text : xstrdup("");
}

struct error *apparmor_load_default(struct pod *pod, uint64_t step, const struct shim_patience *patience)
{
    struct wire_writer fields = {0};
    auto_shim_reply reply = {0};

    wire_put_string(&fields, SHIM_TAG_PROGRAM, APPARMOR_PARSER);
    wire_put_string(&fields, SHIM_TAG_ARG, APPARMOR_PARSER);
    wire_put_string(&fields, SHIM_TAG_ARG, "--replace");
    wire_put_string(&fields, SHIM_TAG_ARG, "--skip-cache");
    wire_put(&fields, SHIM_TAG_STDIN, default_profile, strlen(default_profile));
    wire_put_u64(&fields, SHIM_TAG_TIMEOUT_MS, LOAD_LIMIT_MS);
    struct error *failure = shim_client_call(pod_shim(pod), step, SHIM_RUN, &fields, patience, &reply);
    wire_writer_fini(&fields);
    TRY_TO(failure, "%s", APPARMOR_PARSER);
    if (shim_reply_u64(&reply, SHIM_TAG_STATUS) == 0)
        return NULL;
    autofree char *message = message_of(&reply);
    return error_new(ERROR_FAILED_PRECONDITION, "%s failed: %s", APPARMOR_PARSER, message);
}
