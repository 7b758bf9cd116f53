/* The RuntimeDefault profile as data. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum seccomp_condition { SECCOMP_ALWAYS, SECCOMP_WITH, SECCOMP_WITHOUT }; /* ... the capability in the bounding set */

enum seccomp_machine {
    SECCOMP_ON_ANY,
    SECCOMP_ON_X86_64,
    SECCOMP_ON_ARM64,
    SECCOMP_ON_PPC64LE,
    SECCOMP_ON_S390X,
    SECCOMP_ON_NOT_S390X,
    SECCOMP_ON_RISCV64,
};

enum seccomp_operator { SECCOMP_NO_TEST, SECCOMP_LT, SECCOMP_EQ, SECCOMP_GT, SECCOMP_MASKED_EQ };

struct seccomp_test {
    enum seccomp_operator operator;
    unsigned argument;
    uint64_t value;     /* of MASKED_EQ: the mask */
    uint64_t value_two; /* of MASKED_EQ: what must remain */
};

enum seccomp_action { SECCOMP_ALLOW, SECCOMP_ENOSYS };

struct seccomp_row {
    enum seccomp_condition condition;
    unsigned capability;
    enum seccomp_machine machine;
    struct seccomp_test test;
    enum seccomp_action action;
    const char *names; /* with spaces between */
};

extern const struct seccomp_row seccomp_default[];
extern const size_t seccomp_default_count;
