/* How tests ask whether a configuration is taken. */
#pragma once

#include "tests/unit/sandboxd/spec/fixture.h"

/* `change` may set anything of f; the text must begin with `start`, or say it after a mount's path. */
#define ASSERT_REFUSED(validate, error_code, start, change)                                                            \
    do {                                                                                                               \
        struct fixture f;                                                                                              \
        fixture_init(&f);                                                                                              \
        change;                                                                                                        \
        autoptr(error) error = validate(&f);                                                                           \
        if (!error)                                                                                                    \
            fail_msg("taken: " start);                                                                                 \
        if (error->code != (error_code) || !strstr(error->text, start))                                                \
            fail_msg("line %d: %s: %s", __LINE__, error_code_name(error->code), error->text);                          \
    } while (0)

#define ASSERT_TAKEN(validate, change)                                                                                 \
    do {                                                                                                               \
        struct fixture f;                                                                                              \
        fixture_init(&f);                                                                                              \
        change;                                                                                                        \
        autoptr(error) error = validate(&f);                                                                           \
        if (error)                                                                                                     \
            fail_msg("line %d: %s", __LINE__, error->text);                                                            \
    } while (0)

static inline struct error *pod(const struct fixture *f)
{
    return spec_validate_pod(&f->pod_config, &f->host);
}

static inline struct error *container(const struct fixture *f)
{
    return spec_validate_container(&f->config, &f->pod_config, &f->host);
}
