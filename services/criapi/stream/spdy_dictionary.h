/* The dictionary that both ends of SPDY compress header blocks with. */
#pragma once

#include <stdint.h>

enum { SPDY_DICTIONARY_SIZE = 1423 };
extern const uint8_t spdy_dictionary[SPDY_DICTIONARY_SIZE];
