/* Which objects a list's filter lets through. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* An empty prefix lets all through. */
bool filter_id(const char *id, const char *prefix);

/* Every pair of the selector is among the labels. Both are arrays of pointers to map<string, string> entries of any message. */
bool filter_labels(void *labels, size_t label_count, void *selector, size_t selector_count);
