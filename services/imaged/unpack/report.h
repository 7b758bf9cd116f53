/* What imaged and unpack tell each other: watermarks down one pipe, one report up the other. */
#pragma once

#include <stdint.h>

/* Descriptors by name (LISTEN_FDNAMES): "report" always; "blob" (read-only) and "watermark" (the read end of a pipe) to extract, with "parents"
 * to write into. Only "parents", now to read from, and "below" to mend what was extracted. Neither: the directory is only emptied. argv ends with
 * the directory's name below ROOT/imaged/layers. */

/* "parents" is a file in memory, of this size: the paths of the directories that the archive does not name but has things in, each with its NUL.
 * What they are (owner, mode, attributes, times) is said by a layer below, if one has them. "below" is one too, with the names of those layers'
 * directories, the topmost first, each with its NUL. */
enum { UNPACK_PARENTS_MAX = 16 << 20 };

/* A watermark is 8 bytes in this machine's order: how many bytes of the blob may be read. Only the last one counts. This bit says that
 * it is the whole blob, and that its digest was right; a pipe that ends without it means that there will be no more. */
#define UNPACK_WATERMARK_END (UINT64_C(1) << 63)

enum { UNPACK_VERSION = 2 };

/* Written once, at the end; a pipe that ends without it: unpack has died. */
struct unpack_report {
    uint32_t version;
    int32_t code; /* enum error_code */
    uint64_t bytes;
    uint64_t inodes;
    uint64_t parents_size; /* bytes written to "parents" */
    char diff_id[72]; /* "sha256:..." */
    char text[512];
};
