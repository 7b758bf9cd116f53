/* How the RuntimeDefault table becomes an OCI seccomp object for this machine and a container's capabilities. */
#include "services/sandboxd/spec/seccomp.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "services/sandboxd/spec/seccomp_default.h"

#if defined(__x86_64__)
static const enum seccomp_machine machine = SECCOMP_ON_X86_64;
static const char go_architecture[] = "amd64";
static const char *const architectures[] = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", NULL};
#elif defined(__aarch64__)
static const enum seccomp_machine machine = SECCOMP_ON_ARM64;
static const char go_architecture[] = "arm64";
static const char *const architectures[] = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", NULL};
#elif defined(__powerpc64__)
static const enum seccomp_machine machine = SECCOMP_ON_PPC64LE;
static const char go_architecture[] = "ppc64le";
static const char *const architectures[] = {"SCMP_ARCH_PPC64LE", NULL};
#elif defined(__s390x__)
static const enum seccomp_machine machine = SECCOMP_ON_S390X;
static const char go_architecture[] = "s390x";
static const char *const architectures[] = {"SCMP_ARCH_S390X", "SCMP_ARCH_S390", NULL};
#elif defined(__riscv)
static const enum seccomp_machine machine = SECCOMP_ON_RISCV64;
static const char go_architecture[] = "riscv64";
static const char *const architectures[] = {"SCMP_ARCH_RISCV64", NULL};
#else
#error "the seccomp profile has no rows for this architecture"
#endif

static enum seccomp_choice choose_old(const char *text, const char **ret_path)
{
    if (!text || !text[0] || strcmp(text, "unconfined") == 0)
        return SECCOMP_UNCONFINED;
    if (strcmp(text, "runtime/default") == 0 || strcmp(text, "docker/default") == 0)
        return SECCOMP_RUNTIME_DEFAULT;
    if (strncmp(text, "localhost/", 10) != 0)
        return SECCOMP_UNKNOWN;
    *ret_path = text + 10;
    return SECCOMP_LOCALHOST;
}

enum seccomp_choice seccomp_choose(const Runtime__V1__SecurityProfile *profile, const char *old_path, const char **ret_path)
{
    const char *path;

    if (!ret_path)
        ret_path = &path;
    *ret_path = NULL;
    if (!profile)
        return choose_old(old_path, ret_path);
    switch (profile->profile_type) {
    case RUNTIME__V1__PROFILE_TYPE__RuntimeDefault:
        return SECCOMP_RUNTIME_DEFAULT;
    case RUNTIME__V1__PROFILE_TYPE__Unconfined:
        return SECCOMP_UNCONFINED;
    case RUNTIME__V1__PROFILE_TYPE__Localhost:
        *ret_path = profile->localhost_ref;
        return SECCOMP_LOCALHOST;
    default:
        return SECCOMP_UNKNOWN;
    }
}

const char *seccomp_architecture(void)
{
    return architectures[0];
}

const char *seccomp_go_architecture(void)
{
    return go_architecture;
}

static bool row_applies(const struct seccomp_row *row, uint64_t bounding)
{
    bool has = (bounding >> row->capability) & 1;

    if (row->condition == SECCOMP_WITH && !has)
        return false;
    if (row->condition == SECCOMP_WITHOUT && has)
        return false;
    if (row->machine == SECCOMP_ON_NOT_S390X)
        return machine != SECCOMP_ON_S390X;
    return row->machine == SECCOMP_ON_ANY || row->machine == machine;
}

static json_t *names_split(const char *names)
{
    json_t *list = json_array();

    while (*names) {
        size_t length = strcspn(names, " ");
        json_array_append_new(list, json_stringn(names, length));
        names += length + (names[length] == ' ');
    }
    return list;
}

static json_t *test_object(const struct seccomp_test *test)
{
    static const char *const operators[] = {
        [SECCOMP_LT] = "SCMP_CMP_LT",
        [SECCOMP_EQ] = "SCMP_CMP_EQ",
        [SECCOMP_GT] = "SCMP_CMP_GT",
        [SECCOMP_MASKED_EQ] = "SCMP_CMP_MASKED_EQ",
    };

    return json_pack("{si sI sI ss}", "index", (int)test->argument, "value", (json_int_t)test->value, "valueTwo",
                     (json_int_t)test->value_two, "op", operators[test->operator]);
}

static json_t *row_object(const struct seccomp_row *row)
{
    bool allows = row->action == SECCOMP_ALLOW;
    json_t *object =
        json_pack("{so ss}", "names", names_split(row->names), "action", allows ? "SCMP_ACT_ALLOW" : "SCMP_ACT_ERRNO");

    if (!allows)
        json_object_set_new(object, "errnoRet", json_integer(ENOSYS));
    if (row->test.operator!= SECCOMP_NO_TEST)
        json_object_set_new(object, "args", json_pack("[o]", test_object(&row->test)));
    return object;
}

json_t *seccomp_runtime_default(uint64_t bounding)
{
    json_t *syscalls = json_array(), *list = json_array();

    for (size_t i = 0; architectures[i]; i++)
        json_array_append_new(list, json_string(architectures[i]));
    for (size_t i = 0; i < seccomp_default_count; i++) {
        if (row_applies(&seccomp_default[i], bounding))
            json_array_append_new(syscalls, row_object(&seccomp_default[i]));
    }
    return json_pack("{ss so so}", "defaultAction", "SCMP_ACT_ERRNO", "architectures", list, "syscalls", syscalls);
}
