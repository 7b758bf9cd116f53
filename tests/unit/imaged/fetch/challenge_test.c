/* WWW-Authenticate headers, as registries write them and as they should not. */
#include "tests/unit/imaged/check.h"

#include "common/memory.h"
#include "services/imaged/fetch/challenge.h"

static const char *or_none(const char *text)
{
    return text ? text : "-";
}

/* expected: "SCHEME realm|service|scope", "-" for what is not given. */
static void parses_as(const char *value, const char *expected)
{
    static const char *const schemes[] = {"none", "basic", "bearer"};
    struct challenge challenge;

    challenge_parse(value, &challenge);
    autofree char *text = xasprintf("%s %s|%s|%s", schemes[challenge.scheme], or_none(challenge.realm),
                                    or_none(challenge.service), or_none(challenge.scope));
    challenge_fini(&challenge);
    assert_string_equal(text, expected);
}

static void a_token_server_is_named_with_service_and_scope(void **state)
{
    (void)state;
    parses_as("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
              "scope=\"repository:library/busybox:pull,push\"",
              "bearer https://auth.docker.io/token|registry.docker.io|repository:library/busybox:pull,push");
    parses_as("Bearer realm=\"https://a/t\"", "bearer https://a/t|-|-");
    parses_as("Bearer realm=\"r\", error=\"invalid_token\", scope=\"s\"", "bearer r|-|s");
}

static void a_user_is_asked_for(void **state)
{
    (void)state;
    parses_as("Basic realm=\"Registry Realm\"", "basic Registry Realm|-|-");
    parses_as("Basic realm=plain", "basic plain|-|-");
    parses_as("Basic", "basic -|-|-");
}

static void names_are_of_any_case(void **state)
{
    (void)state;
    parses_as("BEARER REALM=\"r\",Service=\"s\"", "bearer r|s|-");
    parses_as("bAsIc", "basic -|-|-");
}

static void blanks_are_where_they_may_be(void **state)
{
    (void)state;
    parses_as("  Bearer   realm=\"r\" ,\t service=s  ", "bearer r|s|-");
    parses_as("Bearer realm = \"r\", service\t=\ts", "bearer r|s|-");
    parses_as(",, Basic realm=\"r\",,", "basic r|-|-");
}

static void bearer_is_preferred_wherever_it_stands(void **state)
{
    (void)state;
    parses_as("Basic realm=\"b\", Bearer realm=\"t\",service=\"s\"", "bearer t|s|-");
    parses_as("Bearer realm=\"t\",service=\"s\", Basic realm=\"b\"", "bearer t|s|-");
    parses_as("Negotiate, Basic realm=\"b\"", "basic b|-|-");
    parses_as("Negotiate YWJj==, Bearer realm=\"t\"", "bearer t|-|-");
    parses_as("Digest realm=\"d\",nonce=\"n\", Basic realm=\"b\"", "basic b|-|-");
}

static void quotes_hide_commas_blanks_and_quotes(void **state)
{
    (void)state;
    parses_as("Bearer realm=\"a, Basic realm=b\",service=\"say \\\"so\\\"\"", "bearer a, Basic realm=b|say \"so\"|-");
    parses_as("Bearer realm=\"\"", "bearer |-|-");
}

static void the_first_of_two_realms_counts(void **state)
{
    (void)state;
    parses_as("Bearer realm=\"first\",realm=\"second\"", "bearer first|-|-");
}

static void what_cannot_be_read_is_no_challenge(void **state)
{
    (void)state;
    parses_as("", "none -|-|-");
    parses_as("   ", "none -|-|-");
    parses_as("=", "none -|-|-");
    parses_as("\"", "none -|-|-");
    parses_as("Digest realm=\"d\"", "none -|-|-");
    parses_as("Bearer realm=\"never closed", "bearer never closed|-|-");
    parses_as("Bearer realm=\"ends in a backslash\\", "bearer ends in a backslash\\|-|-");
    parses_as("Bearer realm=", "bearer |-|-");
    parses_as("Bearer =x,realm=r", "bearer -|-|-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_server_is_named_with_service_and_scope),
        cmocka_unit_test(a_user_is_asked_for),
        cmocka_unit_test(names_are_of_any_case),
        cmocka_unit_test(blanks_are_where_they_may_be),
        cmocka_unit_test(bearer_is_preferred_wherever_it_stands),
        cmocka_unit_test(quotes_hide_commas_blanks_and_quotes),
        cmocka_unit_test(the_first_of_two_realms_counts),
        cmocka_unit_test(what_cannot_be_read_is_no_challenge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
