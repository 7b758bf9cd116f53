/* Decisions from one seed: each thread has a stream of its own, so that threads do not change each other's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

/* The stream of that number. */
struct random random_stream(uint64_t seed, uint64_t number);

uint64_t random_next(struct random *random);
uint32_t random_below(struct random *random, uint32_t bound); /* 0 for a bound of 0 */
bool random_chance(struct random *random, uint32_t percent);

/* A seed for whoever gives none. */
uint64_t random_seed(void);
