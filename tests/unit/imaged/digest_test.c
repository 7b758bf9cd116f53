/* Digests against known vectors, and what text is one. */
#include "tests/unit/imaged/check.h"

#include "services/imaged/digest.h"

#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* FIPS 180-2, B.1 */
#define EMPTY "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ONES "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define TWOS "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define THREES "sha256:3333333333333333333333333333333333333333333333333333333333333333"

static void known_bytes_have_their_digest(void **state)
{
    char text[DIGEST_TEXT_SIZE];

    (void)state;
    digest_of("abc", 3, text);
    assert_string_equal(text, ABC);
    digest_of("", 0, text);
    assert_string_equal(text, EMPTY);
}

static void bytes_may_come_in_pieces_and_a_finish_begins_anew(void **state)
{
    autoptr(digest) digest = digest_new();
    char text[DIGEST_TEXT_SIZE];

    (void)state;
    for (int round = 0; round < 2; round++) {
        digest_add(digest, "a", 1);
        digest_add(digest, "", 0);
        digest_add(digest, "bc", 2);
        digest_finish(digest, text);
        assert_string_equal(text, ABC);
    }
}

static void only_sha256_in_lower_case_is_valid(void **state)
{
    (void)state;
    assert_true(digest_is_valid(ABC));
    assert_string_equal(digest_hex(ONES), ONES + 7);
    assert_false(digest_is_valid(""));
    assert_false(digest_is_valid("sha256:"));
    assert_false(digest_is_valid(ABC "0"));
    assert_false(digest_is_valid(ABC "\n"));
    assert_false(digest_is_valid(ABC + 7));
    assert_false(digest_is_valid("sha256:111111111111111111111111111111111111111111111111111111111111111"));
    assert_false(digest_is_valid("sha256:AA11111111111111111111111111111111111111111111111111111111111111"));
    assert_false(digest_is_valid("sha256:../1111111111111111111111111111111111111111111111111111111111111"));
    assert_false(digest_is_valid("SHA256:1111111111111111111111111111111111111111111111111111111111111111"));
    assert_false(digest_is_valid("sha512:1111111111111111111111111111111111111111111111111111111111111111"));
}

/* ChainID(L0) = DiffID(L0), ChainID(L0|...|Ln) = SHA256(ChainID(L0|...|Ln-1) + " " + DiffID(Ln)); the figures are
 * sha256sum's. */
static void chain_ids_are_as_ocis_formula_has_them(void **state)
{
    char first[DIGEST_TEXT_SIZE], second[DIGEST_TEXT_SIZE], third[DIGEST_TEXT_SIZE];

    (void)state;
    digest_chain(NULL, ONES, first);
    assert_string_equal(first, ONES);
    digest_chain(first, TWOS, second);
    assert_string_equal(second, "sha256:9932074217c35353d2e03a3f5a86549f7c67bfeb0ba53e23d69f4d4c8f7958f5");
    digest_chain(second, THREES, third);
    assert_string_equal(third, "sha256:50127c0d6b338be78246434b4bce23ecf75e505158ea0bbd15effeb162fbf3ec");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_bytes_have_their_digest),
        cmocka_unit_test(bytes_may_come_in_pieces_and_a_finish_begins_anew),
        cmocka_unit_test(only_sha256_in_lower_case_is_valid),
        cmocka_unit_test(chain_ids_are_as_ocis_formula_has_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
