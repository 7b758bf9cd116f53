/* Where a key stands in a JSON text. Only for config*.c. */
#pragma once

/* The line (from 1) of the member with this dotted path ("cni.bin_dirs"), or 1. The text must be valid JSON. */
unsigned config_line(const char *text, const char *path);
