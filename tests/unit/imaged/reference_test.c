/* Image references: what docker takes, and what it refuses. */
#include "tests/unit/imaged/check.h"

#include "common/memory.h"
#include "services/imaged/reference.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX
#define A50 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char *or_none(const char *text)
{
    return text ? text : "-";
}

static void parses_as(const char *text, const char *expected)
{
    autoptr(reference) reference = NULL;

    fine(reference_parse(text, &reference));
    autofree char *parts = xasprintf("%s %s %s %s", reference->host, reference->repository, or_none(reference->tag),
                                     or_none(reference->digest));
    assert_string_equal(parts, expected);
}

static void a_short_name_is_docker_hubs_library_at_latest(void **state)
{
    (void)state;
    parses_as("busybox", "docker.io library/busybox latest -");
    parses_as("busybox:1.36", "docker.io library/busybox 1.36 -");
    parses_as("grafana/grafana", "docker.io grafana/grafana latest -");
    parses_as("docker.io/busybox", "docker.io library/busybox latest -");
    parses_as("index.docker.io/busybox", "docker.io library/busybox latest -");
    parses_as("docker.io/library/busybox:a", "docker.io library/busybox a -");
    parses_as("a/b/c", "docker.io a/b/c latest -");
}

static void the_first_word_is_a_host_by_dockers_rule(void **state)
{
    (void)state;
    parses_as("localhost/a", "localhost a latest -");
    parses_as("localhosts/a", "docker.io localhosts/a latest -");
    parses_as("registry.k8s.io/pause:3.9", "registry.k8s.io pause 3.9 -");
    parses_as("host:5000/a/b", "host:5000 a/b latest -");
    parses_as("HOST/a", "HOST a latest -");
    parses_as("192.168.1.1/a", "192.168.1.1 a latest -");
    parses_as("[::1]/a", "[::1] a latest -");
    parses_as("[fe80::1]:5000/a:b", "[fe80::1]:5000 a b -");
    parses_as("docker.io", "docker.io library/docker.io latest -");
}

static void a_port_is_not_taken_for_a_tag(void **state)
{
    (void)state;
    parses_as("localhost:5000/a", "localhost:5000 a latest -");
    parses_as("localhost:5000/a:5000", "localhost:5000 a 5000 -");
    parses_as("localhost:5000", "docker.io library/localhost 5000 -");
}

static void a_digest_needs_no_tag_and_keeps_one(void **state)
{
    (void)state;
    parses_as("busybox@" DIGEST, "docker.io library/busybox - " DIGEST);
    parses_as("busybox:1@" DIGEST, "docker.io library/busybox 1 " DIGEST);
    parses_as("h:1/a:t@" DIGEST, "h:1 a t " DIGEST);
}

static void words_of_a_repository_have_single_separators(void **state)
{
    (void)state;
    parses_as("a.b/c_d/e__f/g---h", "a.b c_d/e__f/g---h latest -");
    parses_as("x/c_d.e-f", "docker.io x/c_d.e-f latest -");
}

static void what_is_no_reference_is_refused(void **state)
{
    static const struct {
        const char *text, *word;
    } wrong[] = {
        {"", "empty"},
        {HEX "@" HEX, "digest"},
        {DIGEST, "id"},
        {"a@sha256:12", "digest"},
        {"a@sha512:" HEX, "digest"},
        {"a@md5:" HEX, "digest"},
        {"a@", "digest"},
        {"a@" DIGEST "@" DIGEST, "digest"},
        {"a@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", "digest"},
        {"a:", "tag"},
        {"a:.b", "tag"},
        {"a:-b", "tag"},
        {"a:b c", "tag"},
        {"a:b:c", "tag"},
        {"a:" A50 A50 A50, "tag"},
        {"Busybox", "capital"},
        {"a/B", "capital"},
        {"a.b/C", "capital"},
        {"http://a.b/c", "reg"},
        {"-a.b/c", "host"},
        {"a..b/c", "host"},
        {"a.b:port/c", "host"},
        {"a.b:/c", "host"},
        {"a.b:123456/c", "host"},
        {"a_b.c/d", "host"},
        {"[::1/a", "host"},
        {"[z:z]/a:1", "host"},
        {"[zz]/a:1", "words"},
        {"[::1]x/a", "host"},
        {"/a", "words"},
        {"a/", "words"},
        {"a//b", "words"},
        {"a.b/", "words"},
        {".a", "words"},
        {"-a", "words"},
        {"a-", "words"},
        {"a___b", "words"},
        {"a..b", "words"},
        {"a._b", "words"},
        {"../a", "host"},
        {"a/../b", "words"},
        {"a b", "words"},
        {" a", "words"},
        {"a\n", "words"},
        {"a?b", "words"},
        {"a\xc3\xa9", "words"},
        {"a.b/" A50 "/" A50 "/" A50 "/" A50 "/" A50, "255"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct reference *reference = NULL;
        refused(reference_parse(wrong[i].text, &reference), ERROR_INVALID_ARGUMENT, wrong[i].word);
        assert_null(reference);
    }
}

static void a_name_of_255_bytes_is_the_longest(void **state)
{
    autoptr(reference) reference = NULL;
    autofree char *name = xasprintf("a.b/%s", A50 A50 A50 A50 A50 "a");

    (void)state;
    assert_int_equal(strlen(name), 255);
    fine(reference_parse(name, &reference));
}

static void a_tag_of_128_bytes_is_the_longest(void **state)
{
    autoptr(reference) reference = NULL;
    autofree char *name = xasprintf("a:%.128s", A50 A50 A50);

    (void)state;
    fine(reference_parse(name, &reference));
    assert_int_equal(strlen(reference->tag), 128);
}

static void formatted_as(const char *text, const char *best, const char *tagged)
{
    autoptr(reference) reference = NULL;

    fine(reference_parse(text, &reference));
    autofree char *formatted = reference_format(reference), *with_tag = reference_tagged(reference);
    autofree char *name = reference_name(reference);
    assert_string_equal(formatted, best);
    assert_string_equal(or_none(with_tag), tagged);
    assert_memory_equal(formatted, name, strlen(name));
}

static void the_digest_names_it_best(void **state)
{
    (void)state;
    formatted_as("a", "docker.io/library/a:latest", "docker.io/library/a:latest");
    formatted_as("a:b@" DIGEST, "docker.io/library/a@" DIGEST, "docker.io/library/a:b");
    formatted_as("h:1/a@" DIGEST, "h:1/a@" DIGEST, "-");
}

static void an_id_is_hex_whole_or_cut_short(void **state)
{
    (void)state;
    assert_true(reference_is_id(HEX));
    assert_true(reference_is_id(DIGEST));
    assert_true(reference_is_id("abc"));
    assert_true(reference_is_id("sha256:abc"));
    assert_false(reference_is_id("sha256:"));
    assert_false(reference_is_id(""));
    assert_false(reference_is_id("busybox"));
    assert_false(reference_is_id("ABC"));
    assert_false(reference_is_id(HEX "0"));
}

static void a_name_alone_has_neither_tag_nor_digest(void **state)
{
    (void)state;
    assert_true(reference_is_name("busybox"));
    assert_true(reference_is_name("localhost:5000/library/busybox"));
    assert_false(reference_is_name("localhost:5000/busybox:1"));
    assert_false(reference_is_name("busybox:latest"));
    assert_false(reference_is_name("busybox@" DIGEST));
    assert_false(reference_is_name(DIGEST));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_name_is_docker_hubs_library_at_latest),
        cmocka_unit_test(the_first_word_is_a_host_by_dockers_rule),
        cmocka_unit_test(a_port_is_not_taken_for_a_tag),
        cmocka_unit_test(a_digest_needs_no_tag_and_keeps_one),
        cmocka_unit_test(words_of_a_repository_have_single_separators),
        cmocka_unit_test(what_is_no_reference_is_refused),
        cmocka_unit_test(a_name_of_255_bytes_is_the_longest),
        cmocka_unit_test(a_tag_of_128_bytes_is_the_longest),
        cmocka_unit_test(the_digest_names_it_best),
        cmocka_unit_test(an_id_is_hex_whole_or_cut_short),
        cmocka_unit_test(a_name_alone_has_neither_tag_nor_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
