/* `bulkhead status --rights`: what each process may do. */
#pragma once

#include "cli/process_table.h"

/* Prints what the kernel says of the living ones, as a table or as JSON. */
void rights_print(const struct process_table *table, bool is_json);
