/* Reading a log as its strictest reader would. */
#pragma once

#include "tests/integration/logd/harness.h"

/* Goes through a log file's lines, and compares them with what the box has written; fails the test at the first difference. */
void log_read(struct box *box, const char *path);
