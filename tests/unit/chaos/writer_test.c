/* What is wrong with a log is found: a line lost, doubled, torn, of another container; and nothing where all is well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "cli/chaos/writer.h"
#include "common/cleanup.h"
#include "common/memory.h"

static const struct writer three = {.tag = "tag", .end = WRITER_EXITS, .lines = 3, .width = 4, .code = 7};

static const char well[] = "2026-01-02T03:04:05.678901234Z stdout F tag 0 xxxx\n"
                           "2026-01-02T03:04:05.678901234Z stderr F tag 0 xxxx\n"
                           "2026-01-02T03:04:05.678901235Z stdout F tag 1 xxxx\n"
                           "2026-01-02T03:04:05.678901236Z stdout P tag 2 x\n"
                           "2026-01-02T03:04:05.678901236Z stdout F xxx\n";

static struct log_findings findings_of(const struct writer *writer, const char *text)
{
    struct log_findings findings;

    writer_log_check(writer, text, strlen(text), &findings);
    return findings;
}

/* The text with the first `from` replaced. */
static char *changed(const char *from, const char *to)
{
    const char *at = strstr(well, from);

    assert_non_null(at);
    return xasprintf("%.*s%s%s", (int)(at - well), well, to, at + strlen(from));
}

static void must_find(const char *from, const char *to, size_t lost, size_t doubled, size_t torn)
{
    autofree char *text = changed(from, to);
    struct log_findings findings = findings_of(&three, text);

    assert_int_equal(findings.lost, lost);
    assert_int_equal(findings.doubled, doubled);
    assert_int_equal(findings.torn, torn);
}

static void a_whole_log_is_well_also_where_a_line_is_in_parts(void **state)
{
    struct log_findings findings = findings_of(&three, well);

    (void)state;
    assert_int_equal(findings.lines, 4);
    assert_int_equal(findings.lost + findings.doubled + findings.torn, 0);
}

static void each_wrong_is_found(void **state)
{
    static const char one[] = "2026-01-02T03:04:05.678901235Z stdout F tag 1 xxxx\n";
    static const char last[] = "2026-01-02T03:04:05.678901236Z stdout F xxx\n";
    static const char error[] = "2026-01-02T03:04:05.678901234Z stderr F tag 0 xxxx\n";
    autofree char *twice = xasprintf("%s%s", one, one);

    (void)state;
    must_find(one, "", 1, 0, 0);
    must_find(error, "", 1, 0, 0);
    must_find(one, twice, 0, 1, 0);
    must_find(last, "", 1, 0, 1);              /* half a line, and the line is not whole */
    must_find("tag 1 xxxx", "tag 1 xxx", 1, 0, 1);
    must_find("tag 1 xxxx", "other 1 xxxx", 1, 0, 1);
    must_find("stdout F tag 1", "stdout G tag 1", 1, 0, 1);
    must_find("2026-01-02T03:04:05.678901235Z", "yesterday", 1, 0, 1);
    must_find("F xxx\n", "F xxx", 1, 0, 2);    /* no end */
}

static void a_log_that_goes_on_after_its_end_is_wrong(void **state)
{
    struct writer two = three;

    (void)state;
    two.lines = 2;
    assert_int_equal(findings_of(&two, well).doubled, 1);
}

static void a_trap_says_how_many_lines_there_are(void **state)
{
    struct writer trap = {.tag = "tag", .end = WRITER_TRAPS, .lines = 9, .width = 4};
    autofree char *before = xasprintf("%s2026-01-02T03:04:05.678901237Z stdout F tag end 2\n", well);
    autofree char *after = xasprintf("%s2026-01-02T03:04:05.678901237Z stdout F tag end 3\n", well);
    autofree char *lost = xasprintf("%s2026-01-02T03:04:05.678901237Z stdout F tag end 4\n", well);

    (void)state;
    assert_int_equal(findings_of(&trap, before).lost + findings_of(&trap, before).doubled, 0);
    assert_int_equal(findings_of(&trap, after).lost + findings_of(&trap, after).doubled, 0);
    assert_int_equal(findings_of(&trap, lost).lost, 1);
    assert_int_equal(findings_of(&trap, well).lost, 1); /* its last word */
}

static void a_killed_writer_may_have_written_any_number(void **state)
{
    struct writer killed = {.tag = "tag", .end = WRITER_KILLED, .lines = 9, .width = 4};
    struct log_findings findings = findings_of(&killed, well);

    (void)state;
    assert_int_equal(findings.lost + findings.doubled + findings.torn, 0);
}

/* The script, run here by a shell, in a log as a runtime writes it. */
static void the_script_writes_what_the_check_expects(void **state)
{
    const struct writer writer = {.tag = "tag", .end = WRITER_EXITS, .lines = 30, .width = 64, .pause_every = 20, .code = 7};
    autofree char *script = writer_script(&writer);
    autofree char *text = xstrdup("");
    char line[256];

    (void)state;
    setenv("CHAOS_SCRIPT", script, 1);
    FILE *output = popen("{ /bin/sh -c \"$CHAOS_SCRIPT\" 3>&1 1>&4 2>&3 4>&- | sed 's/^/2026-01-02T03:04:05Z stderr F /'; } "
                         "4>&1 | sed '/stderr/!s/^/2026-01-02T03:04:05Z stdout F /'", "r");
    while (fgets(line, sizeof(line), output)) {
        autofree char *before = text;
        text = xasprintf("%s%s", before, line);
    }
    pclose(output);
    struct log_findings findings = findings_of(&writer, text);
    assert_int_equal(findings.lines, 30 + 5);
    assert_int_equal(findings.lost + findings.doubled + findings.torn, 0);
    autofree char *command = xasprintf("/bin/sh -c \"$CHAOS_SCRIPT\" > /dev/null 2>&1");
    assert_int_equal(WEXITSTATUS(system(command)), writer_exit_code(&writer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_log_is_well_also_where_a_line_is_in_parts),
        cmocka_unit_test(each_wrong_is_found),
        cmocka_unit_test(a_log_that_goes_on_after_its_end_is_wrong),
        cmocka_unit_test(a_trap_says_how_many_lines_there_are),
        cmocka_unit_test(a_killed_writer_may_have_written_any_number),
        cmocka_unit_test(the_script_writes_what_the_check_expects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
