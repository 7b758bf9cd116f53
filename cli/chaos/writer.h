/* A container that writes numbered lines, and ends as planned: its script, and what its log and exit code must then be. */
#pragma once

#include <stddef.h>

enum writer_end {
    WRITER_EXITS,   /* by itself, with the code */
    WRITER_SIGNALS, /* by a signal to itself: where it is not its PID namespace's first process */
    WRITER_TRAPS,   /* on SIGTERM, with the code */
    WRITER_KILLED,  /* on SIGKILL */
};

struct writer {
    const char *tag;     /* begins each line; no spaces */
    enum writer_end end;
    unsigned lines;      /* on standard output, and a seventh of it on standard error */
    unsigned width;      /* of a line's padding, a power of two */
    unsigned pause_every; /* lines; 0: at full speed */
    int code, signal;
};

/* For /bin/sh -c; needs sleep. The caller frees it. */
char *writer_script(const struct writer *writer);

int writer_exit_code(const struct writer *writer);

struct log_findings {
    size_t lines; /* found whole and in order */
    size_t lost, doubled, torn;
    size_t first_bad; /* offset of the first that is wrong */
};

/* text: the log files of its whole life after each other, in CRI's format. It is complete only if the writer has ended. */
void writer_log_check(const struct writer *writer, const char *text, size_t size, struct log_findings *ret);
