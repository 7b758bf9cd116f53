/* The resize channel's messages: JSON objects {"Width": columns, "Height": rows}, one after the other. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

enum { RESIZE_MAX = 1024 }; /* bytes of one message */

enum resize_result {
    RESIZE_NONE, /* no whole message yet */
    RESIZE_FOUND,
    RESIZE_INVALID, /* no such message: nothing after it can be trusted */
};

/* Takes one message off the beginning of the bytes; *ret_used is how many it had. */
enum resize_result resize_parse(const uint8_t *data, size_t size, size_t *ret_used, struct winsize *ret);
