/* Flags mean what they say, and what is wrong is refused by name; decisions repeat by their seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/chaos/options.h"
#include "cli/chaos/random.h"
#include "cli/chaos/session.h"
#include "cli/chaos/target.h"

static struct error *parse(struct options *options, char *first, char *second, char *third)
{
    char *words[] = {(char *)"chaos", first, second, third, NULL};
    int count = 1 + (first != NULL) + (second != NULL) + (third != NULL);

    return options_parse(count, words, options);
}

static void must_refuse(const char *first, const char *second, const char *words)
{
    struct options options;
    autoptr(error) error = parse(&options, (char *)first, (char *)second, NULL);

    assert_non_null(error);
    assert_int_equal(error->code, ERROR_INVALID_ARGUMENT);
    if (!strstr(error->text, words))
        fail_msg("\"%s\" is not in \"%s\"", words, error->text);
}

static void flags_are_read(void **state)
{
    struct options options;

    (void)state;
    assert_null(parse(&options, (char *)"--seed=18446744073709551615", (char *)"--overlap", (char *)"--rate=0.5"));
    assert_true(options.seed == UINT64_MAX);
    assert_true(options.is_overlapping);
    assert_true(options.kills_per_second > 0.49 && options.kills_per_second < 0.51);
    assert_int_equal(options.duration_ms, 60000);
    assert_false(targets_have(options.targets, TARGET_BACKSTOP)); /* nobody would start it again */
    assert_null(parse(&options, (char *)"--node", (char *)"--targets", (char *)"backstop,cni"));
    assert_int_equal(options.targets, 1u << TARGET_BACKSTOP | 1u << TARGET_CNI);
    assert_null(parse(&options, (char *)"--kill", (char *)"containerd|shim", NULL));
    assert_int_equal(options.targets, 1u << TARGET_MATCH);
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    must_refuse("--nonsense", NULL, "--nonsense");
    must_refuse("word", NULL, "word");
    must_refuse("--seed", NULL, "--seed needs a value");
    must_refuse("--seed", "-1", "no seed");
    must_refuse("--rate", "10x", "no number");
    must_refuse("--rate", "nan", "no number");
    must_refuse("--pods", "0", "from 1 to");
    must_refuse("--stop", "101", "from 0 to 100");
    must_refuse("--targets", "criapi,nobody", "\"nobody\" is no target");
    must_refuse("--targets", "backstop", "--node");
    must_refuse("--targets", "", "is no target");
    must_refuse("--kill", "(", "no regular expression");
    must_refuse("--keep-network", NULL, "--node");
    must_refuse("--pull=docker.io/library/busybox:latest", NULL, "another one");
}

static void durations_have_units(void **state)
{
    static const char *const wrong[] = {"", "0", "-1s", "1d", "s", "1 s", "99999999h", "1.5s"};
    int64_t ms = 0;

    (void)state;
    assert_null(duration_parse("90", &ms));
    assert_int_equal(ms, 90000);
    assert_null(duration_parse("1500ms", &ms));
    assert_int_equal(ms, 1500);
    assert_null(duration_parse("2h", &ms));
    assert_int_equal(ms, 7200000);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        autoptr(error) error = duration_parse(wrong[i], &ms);
        if (!error)
            fail_msg("\"%s\" was taken as %lld ms", wrong[i], (long long)ms);
    }
}

static void a_seed_repeats_its_decisions_and_streams_differ(void **state)
{
    struct random a = random_stream(5, 1), b = random_stream(5, 1), c = random_stream(5, 2);
    unsigned same = 0, differing = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t x = random_next(&a);
        same += x == random_next(&b);
        differing += x != random_next(&c);
        assert_true(random_below(&a, 7) < 7);
        random_below(&b, 7);
    }
    assert_int_equal(same, 100);
    assert_int_equal(differing, 100);
    assert_int_equal(random_below(&a, 0), 0);
}

static void urls_of_sessions_are_taken_apart(void **state)
{
    char *host = NULL;
    const char *path;
    uint16_t port;

    (void)state;
    assert_null(url_split("http://127.0.0.1:80/exec/x", &host, &port, &path));
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(port, 80);
    assert_string_equal(path, "/exec/x");
    free(host);
    assert_null(url_split("http://[::1]:65535/a", &host, &port, &path));
    assert_string_equal(host, "::1");
    assert_int_equal(port, 65535);
    free(host);
    static const char *const wrong[] = {"https://a:1/x", "http://a/x", "http://a:1", "http://a:0/", "http://a:65536/", ""};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        autoptr(error) error = url_split(wrong[i], &host, &port, &path);
        assert_non_null(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_read),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(a_seed_repeats_its_decisions_and_streams_differ),
        cmocka_unit_test(urls_of_sessions_are_taken_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
