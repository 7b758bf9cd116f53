/* The shared page: what a daemon has in hand, in a memfd that outlives it, so that a request (or a record) that killed it
 * twice by its own fault is not run a third time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum { REQUEST_PAGE_SLOTS = 1024, REQUEST_PAGE_POISON = 64, REQUEST_PAGE_KEY_SIZE = 48 };

/* How the generation before ended, as the supervisor judged it. */
enum death_reason { DEATH_NONE, DEATH_KILLED, DEATH_FAULT, DEATH_HANG, DEATH_EXIT, DEATH_UNKNOWN };

const char *death_reason_name(enum death_reason reason);

struct request_page;

/* Maps the page (made with request_page_create, sealed against shrinking). last is how the generation before ended: after a
 * FAULT or a HANG what was in hand then gets a strike; the second strike makes it poison. Clears the slots in hand. */
struct error *request_page_open(int fd, enum death_reason last, struct request_page **ret)
    __attribute__((warn_unused_result));
void request_page_close(struct request_page *page);
struct error *request_page_create(int *ret_fd) __attribute__((warn_unused_result));

/* Notes that key (a hash of method and payload for requests, "record:NAME" for records) is in hand; returns its slot, -1 when all are
 * taken. Thread-safe, no system call. */
int request_page_enter(struct request_page *page, const char *key);
/* The key ended well: its strikes are taken back, since it was only present at the deaths. */
void request_page_leave(struct request_page *page, int slot);
bool request_page_is_poison(struct request_page *page, const char *key);

/* Has it a strike? Suspects are run one at a time, so that the next death tells which of them it was. */
bool request_page_is_suspect(struct request_page *page, const char *key);
