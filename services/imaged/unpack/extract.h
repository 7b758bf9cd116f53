/* A layer's blob made into a directory. */
#pragma once

#include "common/error.h"
#include "services/imaged/unpack/report.h"

/* Extracts the blob into the empty directory root, up to the very end of the tar stream, writes to parents as report.h has it, and fills the
 * report's figures. */
struct error *extract(int root, int blob, int watermark, int parents, struct unpack_report *report) __attribute__((warn_unused_result));
