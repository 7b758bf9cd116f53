/* The generator: SplitMix64 (Steele, Lea, Flood 2014), whose streams begin at mixed numbers. */
#include "cli/chaos/random.h"

#include <sys/random.h>

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

struct random random_stream(uint64_t seed, uint64_t number)
{
    return (struct random){.state = mix(seed) ^ mix(number + 1)};
}

uint64_t random_next(struct random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(random->state);
}

uint32_t random_below(struct random *random, uint32_t bound)
{
    return bound ? (uint32_t)((random_next(random) >> 32) * bound >> 32) : 0;
}

bool random_chance(struct random *random, uint32_t percent)
{
    return random_below(random, 100) < percent;
}

uint64_t random_seed(void)
{
    uint64_t seed = 1;

    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return 1;
    return seed >> 32; /* short enough to type again */
}
