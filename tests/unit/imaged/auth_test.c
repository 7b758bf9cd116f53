/* CRI's AuthConfig in its forms, and for which registry each counts. */
#include "tests/unit/imaged/check.h"

#include "common/memory.h"
#include "common/wire.h"
#include "services/imaged/auth.h"
#include "services/imaged/fetch/protocol.h"

/* The job's fields as "repository user password identity registry[ server-only]", "-" where one is missing. The caller
 * frees it. */
static char *job_format(const uint8_t *job, size_t size)
{
    struct wire_reader reader = {.data = job, .size = size};
    const char *texts[] = {"-", "-", "-", "-", "-", NULL};
    struct wire_field field;
    struct error *failure = NULL;

    while (wire_next(&reader, &field, &failure)) {
        assert_true(field.tag >= FETCH_JOB_REPOSITORY && field.tag <= FETCH_JOB_SERVER_ONLY);
        fine(wire_string(&field, &texts[field.tag - FETCH_JOB_REPOSITORY]));
    }
    fine(failure);
    return xasprintf("%s %s %s %s %s%s", texts[0], texts[1], texts[2], texts[3], texts[4],
                     texts[5] ? " server-only" : "");
}

static struct error *build(const char *name, const struct pull_auth *auth, uint8_t **job, size_t *size)
{
    autoptr(reference) reference = NULL;

    fine(reference_parse(name, &reference));
    return auth_job_build(reference, auth, job, size);
}

static void builds(const char *name, struct pull_auth auth, const char *expected)
{
    autofree uint8_t *job = NULL;
    size_t size;

    fine(build(name, &auth, &job, &size));
    autofree char *text = job_format(job, size);
    assert_string_equal(text, expected);
}

static void each_form_of_proof_is_passed_on(void **state)
{
    (void)state;
    builds("a.org/b", (struct pull_auth){0}, "b - - - -");
    builds("a.org/b", (struct pull_auth){.username = "u", .password = "p"}, "b u p - -");
    builds("a.org/b", (struct pull_auth){.identity_token = "i"}, "b - - i -");
    builds("a.org/b", (struct pull_auth){.registry_token = "r"}, "b - - - r");
    builds("busybox", (struct pull_auth){.username = "", .password = "", .auth = "", .server_address = ""},
           "library/busybox - - - -");
}

static void auth_is_base64_of_user_and_password(void **state)
{
    (void)state;
    builds("a.org/b", (struct pull_auth){.auth = "dXNlcjpwYXNz"}, "b user pass - -");
    builds("a.org/b", (struct pull_auth){.auth = "dXNlcjpwOnNz"}, "b user p:ss - -");
    builds("a.org/b", (struct pull_auth){.auth = "dTo="}, "b u - - -");
    builds("a.org/b", (struct pull_auth){.auth = "dXNlcjpwYXNz", .username = "other", .password = "x"},
           "b other x - -");
}

static void auth_that_is_something_else_is_refused(void **state)
{
    static const char *const wrong[] = {"dXNlcg==", "***", "dXNlcjpwYXN", "dXN\xff"};
    uint8_t *job = NULL;
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        refused(build("a.org/b", &(struct pull_auth){.auth = wrong[i]}, &job, &size), ERROR_INVALID_ARGUMENT, "base64");
    assert_null(job);
}

static void proof_goes_only_to_the_registry_it_is_for(void **state)
{
    const struct pull_auth elsewhere = {.username = "u", .password = "p", .server_address = "https://c.org"};

    (void)state;
    builds("a.org/b", elsewhere, "b - - - -");
    builds("c.org/b", elsewhere, "b u p - - server-only");
    builds("c.org:5000/b", elsewhere, "b - - - -");
    builds("a.org/b", (struct pull_auth){.username = "u", .password = "p", .server_address = "a.org"},
           "b u p - - server-only");
    builds("a.org/b", (struct pull_auth){.username = "u", .password = "p", .server_address = "https://a.org/v2/x"},
           "b u p - - server-only");
    builds("a.org/b", (struct pull_auth){.username = "u", .password = "p", .server_address = "a.org.evil"},
           "b - - - -");
}

static void docker_hub_has_three_names(void **state)
{
    static const char *const names[] = {"https://index.docker.io/v1/", "registry-1.docker.io", "docker.io"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        builds("busybox", (struct pull_auth){.username = "u", .server_address = names[i]},
               "library/busybox u - - - server-only");
    builds("a.org/b", (struct pull_auth){.username = "u", .server_address = names[0]}, "b - - - -");
}

static void proof_has_a_limit(void **state)
{
    autofree char *large = xcalloc(1, FETCH_FIELDS_MAX + 1);
    uint8_t *job = NULL;
    size_t size;

    (void)state;
    memset(large, 'A', FETCH_FIELDS_MAX);
    refused(build("a.org/b", &(struct pull_auth){.registry_token = large}, &job, &size), ERROR_INVALID_ARGUMENT,
            "larger than");
    refused(build("a.org/b", &(struct pull_auth){.auth = large}, &job, &size), ERROR_INVALID_ARGUMENT, "base64");
    assert_null(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_of_proof_is_passed_on),
        cmocka_unit_test(auth_is_base64_of_user_and_password),
        cmocka_unit_test(auth_that_is_something_else_is_refused),
        cmocka_unit_test(proof_goes_only_to_the_registry_it_is_for),
        cmocka_unit_test(docker_hub_has_three_names),
        cmocka_unit_test(proof_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
