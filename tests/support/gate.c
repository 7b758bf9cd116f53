/* The wrapper scripts, and the files that they and a test talk by. */
#include "tests/support/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/memory.h"

enum { WAIT_LIMIT_S = 60, PAUSE_US = 2000 };

/* GATE is claimed by removing it, GATE.here is there while somebody stands at it. The loop has an end of its own, for
 * tests that die. */
static const char script[] =
    "#!/bin/sh\n"
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
    "export PATH\n"
    "name=%s real=%s gates=%s log= run=\n"
    "%s"
    "gate() {\n"
    "    rm \"$gates/$name.$verb.$1\" 2>/dev/null || return 0\n"
    "    at=\"$gates/$name.$verb.$1.here\" n=0\n"
    "    echo $$ >\"$at.new\" && mv \"$at.new\" \"$at\"\n"
    "    while [ -e \"$at\" ] && [ $n -lt 20000 ]; do n=$((n + 1)); sleep 0.02; done\n"
    "}\n"
    "echo >>\"$gates/$name.$verb.calls\"\n"
    "if [ -e \"$gates/$name.$verb.fail\" ]; then cat \"$gates/$name.$verb.fail\" >\"${log:-/dev/stdout}\"; exit 1; fi\n"
    "gate before\n"
    "\"$real\" \"$@\"\n"
    "status=$?\n"
    "gate after\n"
    "rm -f \"$run\"\n"
    "exit $status\n";

/* Two runs of one plugin for one pod beside each other are noted: nobody may start one while another lives. */
static const char plugin_verb[] = "verb=$CNI_COMMAND\n"
                                  "run=\"$gates/$name.$CNI_CONTAINERID.run\"\n"
                                  "grep -qF \"$0\" \"/proc/$(cat \"$run\" 2>/dev/null)/cmdline\" 2>/dev/null && "
                                  "echo >>\"$gates/overlaps.calls\"\n"
                                  "echo $$ >\"$run\"\n";

static const char runtime_verb[] =
    "verb= last=\n"
    "for word in \"$@\"; do\n"
    "    [ \"$last\" = --log ] && log=$word\n"
    "    last=$word\n"
    "    case $word in create | start | exec | delete | kill | state) [ \"$verb\" ] || verb=$word ;; esac\n"
    "done\n";

static char *gate_path(const struct gates *gates, const char *name, const char *suffix)
{
    return xasprintf("%s/%s%s", gates->directory, name, suffix);
}

static struct error *text_write(const char *path, const char *text, mode_t mode)
{
    autofree char *fresh = xasprintf("%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    if (fd < 0)
        return error_errno(errno, "open %s", fresh);
    struct error *error = fd_write_all(fd, text, strlen(text));
    close(fd); /* before the rename: a script that is open for writing can't be run */
    if (error)
        return error;
    return rename(fresh, path) < 0 ? error_errno(errno, "rename %s", fresh) : NULL;
}

struct error *gates_open(struct gates *gates, const char *directory)
{
    gates->directory = xasprintf("%s/gates", directory);
    gates->bin = xasprintf("%s/bin", directory);
    if ((mkdir(gates->directory, 0755) < 0 || mkdir(gates->bin, 0755) < 0) && errno != EEXIST)
        return error_errno(errno, "make %s", gates->directory);
    return NULL;
}

void gates_close(struct gates *gates)
{
    free(gates->directory);
    free(gates->bin);
    *gates = (struct gates){0};
}

static struct error *wrap(const struct gates *gates, const char *name, const char *real, const char *verb)
{
    autofree char *path = xasprintf("%s/%s", gates->bin, name);
    autofree char *text = xasprintf(script, name, real, gates->directory, verb);

    return text_write(path, text, 0755);
}

struct error *gate_wrap_plugin(const struct gates *gates, const char *name, const char *real)
{
    return wrap(gates, name, real, plugin_verb);
}

struct error *gate_wrap_runtime(const struct gates *gates, const char *name, const char *real)
{
    return wrap(gates, name, real, runtime_verb);
}

struct error *gate_set(const struct gates *gates, const char *gate)
{
    autofree char *path = gate_path(gates, gate, "");

    return text_write(path, "", 0644);
}

struct error *gate_wait(const struct gates *gates, const char *gate, pid_t *ret_pid)
{
    autofree char *path = gate_path(gates, gate, ".here");
    int64_t end = clock_boottime_ns() + WAIT_LIMIT_S * INT64_C(1000000000);

    while (access(path, F_OK) < 0) {
        if (clock_boottime_ns() > end)
            return error_new(ERROR_DEADLINE_EXCEEDED, "nobody came to gate %s", gate);
        usleep(PAUSE_US);
    }
    autofree char *text = NULL;
    size_t size = 0;
    TRY(file_read_all(path, 64, &text, &size));
    if (ret_pid)
        *ret_pid = (pid_t)strtol(text, NULL, 10);
    return NULL;
}

void gate_open(const struct gates *gates, const char *gate)
{
    autofree char *path = gate_path(gates, gate, "");
    autofree char *here = gate_path(gates, gate, ".here");

    unlink(path);
    unlink(here);
}

struct error *gate_fail(const struct gates *gates, const char *verb, const char *text)
{
    autofree char *path = gate_path(gates, verb, ".fail");

    if (text)
        return text_write(path, text, 0644);
    return unlink(path) < 0 && errno != ENOENT ? error_errno(errno, "remove %s", path) : NULL;
}

size_t gate_calls(const struct gates *gates, const char *verb)
{
    autofree char *path = gate_path(gates, verb, ".calls");
    struct stat info;

    return stat(path, &info) < 0 ? 0 : (size_t)info.st_size; /* a byte each */
}

size_t gate_overlaps(const struct gates *gates)
{
    return gate_calls(gates, "overlaps");
}
