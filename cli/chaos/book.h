/* Which pods and containers must exist now, and which no more: what lists and addresses are compared with. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct book;

struct book *book_new(void);
void book_free(struct book *book);

/* A pod that has been answered for, with its address ("": unknown). ALREADY_EXISTS if a living pod has it. */
struct error *book_add_pod(struct book *book, const char *id, const char *address) __attribute__((warn_unused_result));
void book_add_container(struct book *book, const char *id, const char *pod);

/* Its end is about to be asked for; its end has been answered. */
void book_leave(struct book *book, const char *id);
void book_gone(struct book *book, const char *id);

bool book_has(struct book *book, const char *id); /* and it does not leave */

/* Containers that run, of a pod, or of all (NULL). */
size_t book_containers(struct book *book, const char *pod);

/* A moment, for book_compare(). */
uint64_t book_now(struct book *book);

/* Compares a list that was asked for after that moment: who was there already and still is must be in it once, who was gone
 * already must not. What is wrong, or NULL; the caller owns it. */
struct error *book_compare(struct book *book, uint64_t moment, bool is_pods, const char *const *ids, size_t count)
    __attribute__((warn_unused_result));
