/* How a profile file, in OCI's or Docker's form, becomes an OCI seccomp object for one container. */
#include "services/sandboxd/spec/seccomp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "services/sandboxd/spec/capability.h"

enum { SYSCALLS_MAX = 4096, ARGS_MAX = 6 };

struct target {
    uint64_t bounding;
    unsigned kernel_version;
};

static struct error *wrong(const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "%s", what);
}

static bool text_is_in(const char *text, const char *const *list)
{
    for (; text && *list; list++)
        if (strcmp(text, *list) == 0)
            return true;
    return false;
}

static struct error *action_check(const char *field, const json_t *value)
{
    static const char *const known[] = {
        "SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP",   "SCMP_ACT_ERRNO",
        "SCMP_ACT_TRACE", "SCMP_ACT_ALLOW",        "SCMP_ACT_LOG",         "SCMP_ACT_NOTIFY", NULL};
    const char *text = json_string_value(value);

    if (text_is_in(text, known))
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT, "%s is %.100s%s", field, text ? text : "missing", text ? ", no action" : "");
}

static struct error *strings_check(const char *field, const json_t *list)
{
    const json_t *value;
    size_t i;

    if (!json_is_array(list))
        return error_new(ERROR_INVALID_ARGUMENT, "%s is no list", field);
    json_array_foreach(list, i, value)
    {
        if (!json_is_string(value))
            return error_new(ERROR_INVALID_ARGUMENT, "%s has something else than strings", field);
    }
    return NULL;
}

/* A member that is there is copied, if it is of the type. */
static struct error *member_copy(const json_t *from, const char *key, json_type type, json_t *to)
{
    json_t *value = json_object_get(from, key);

    if (!value || json_is_null(value))
        return NULL;
    if (json_typeof(value) != type)
        return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" has a wrong type", key);
    json_object_set(to, key, value);
    return NULL;
}

/* ---- which rules count ---- */

static bool list_has(const json_t *list, const char *text)
{
    const json_t *value;
    size_t i;

    json_array_foreach(list, i, value)
    {
        if (json_is_string(value) && strcmp(json_string_value(value), text) == 0)
            return true;
    }
    return false;
}

static bool has_capability(const json_t *name, uint64_t bounding)
{
    json_t *names = capability_names(bounding);
    bool has = json_is_string(name) && list_has(names, json_string_value(name));

    json_decref(names);
    return has;
}

/* "4.8"; false for what is no version. */
static bool version_parse(const json_t *value, unsigned *ret)
{
    unsigned major, minor;

    if (!json_is_string(value) || sscanf(json_string_value(value), "%u.%u", &major, &minor) != 2 || minor > 255)
        return false;
    *ret = major << 8 | minor;
    return true;
}

static struct error *filter_check(const char *field, const json_t *filter)
{
    const json_t *kernel = json_object_get(filter, "minKernel");
    unsigned version;

    if (!filter || json_is_null(filter))
        return NULL;
    if (!json_is_object(filter))
        return error_new(ERROR_INVALID_ARGUMENT, "%s is no object", field);
    if (kernel && !json_is_null(kernel) && !version_parse(kernel, &version))
        return error_new(ERROR_INVALID_ARGUMENT, "%s.minKernel is no version", field);
    return NULL;
}

/* Docker's "excludes": any of them is enough. */
static bool is_excluded(const json_t *filter, const struct target *target)
{
    const json_t *capability;
    unsigned version;
    size_t i;

    if (list_has(json_object_get(filter, "arches"), seccomp_go_architecture()))
        return true;
    json_array_foreach(json_object_get(filter, "caps"), i, capability)
    {
        if (has_capability(capability, target->bounding))
            return true;
    }
    return version_parse(json_object_get(filter, "minKernel"), &version) && target->kernel_version >= version;
}

/* Docker's "includes": all of them must be. */
static bool is_included(const json_t *filter, const struct target *target)
{
    const json_t *capability, *arches = json_object_get(filter, "arches");
    unsigned version;
    size_t i;

    if (json_array_size(arches) > 0 && !list_has(arches, seccomp_go_architecture()))
        return false;
    json_array_foreach(json_object_get(filter, "caps"), i, capability)
    {
        if (!has_capability(capability, target->bounding))
            return false;
    }
    return !version_parse(json_object_get(filter, "minKernel"), &version) || target->kernel_version >= version;
}

/* ---- one rule ---- */

static struct error *arg_check(const json_t *arg)
{
    static const char *const operators[] = {"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",        "SCMP_CMP_EQ",
                                            "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ", NULL};
    const json_t *index = json_object_get(arg, "index"), *two = json_object_get(arg, "valueTwo");

    if (!json_is_integer(index) || json_integer_value(index) < 0 || json_integer_value(index) >= ARGS_MAX)
        return wrong("the index of an argument is not in 0..5");
    if (!json_is_integer(json_object_get(arg, "value")) || (two && !json_is_integer(two)))
        return wrong("the value of an argument is no whole number");
    if (!text_is_in(json_string_value(json_object_get(arg, "op")), operators))
        return wrong("the op of an argument is no comparison");
    return NULL;
}

static struct error *args_copy(const json_t *rule, json_t *to)
{
    json_t *args = json_object_get(rule, "args");
    const json_t *arg;
    size_t i;

    if (!args || json_is_null(args))
        return NULL;
    if (!json_is_array(args))
        return wrong("\"args\" is no list");
    json_array_foreach(args, i, arg)
    {
        TRY(arg_check(arg));
    }
    if (json_array_size(args) > 0)
        json_object_set(to, "args", args);
    return NULL;
}

/* Docker's old form has one "name". */
static struct error *names_copy(const json_t *rule, json_t *to)
{
    json_t *name = json_object_get(rule, "name"), *names = json_object_get(rule, "names");
    bool has_names = names && !json_is_null(names);

    if (json_is_string(name) && json_string_length(name) > 0 && json_array_size(names) > 0)
        return wrong("\"name\" and \"names\" are both there");
    if (!has_names && json_is_string(name)) {
        json_object_set_new(to, "names", json_pack("[O]", name));
        return NULL;
    }
    TRY(strings_check("names", names));
    if (json_array_size(names) == 0)
        return wrong("\"names\" is empty");
    json_object_set(to, "names", names);
    return NULL;
}

static struct error *rule_copy(const json_t *rule, json_t *to)
{
    TRY(names_copy(rule, to));
    TRY(action_check("action", json_object_get(rule, "action")));
    TRY(member_copy(rule, "action", JSON_STRING, to));
    TRY(member_copy(rule, "errnoRet", JSON_INTEGER, to));
    return args_copy(rule, to);
}

static struct error *rule_add(const json_t *rule, const struct target *target, json_t *list)
{
    const json_t *includes = json_object_get(rule, "includes"), *excludes = json_object_get(rule, "excludes");

    if (!json_is_object(rule))
        return wrong("is no object");
    TRY(filter_check("includes", includes));
    TRY(filter_check("excludes", excludes));
    json_t *copy = json_object();
    struct error *failure = rule_copy(rule, copy);
    if (!failure && is_included(includes, target) && !is_excluded(excludes, target))
        json_array_append(list, copy);
    json_decref(copy);
    return failure;
}

static struct error *rules_add(const json_t *rules, const struct target *target, json_t *list)
{
    const json_t *rule;
    size_t i;

    if (!rules || json_is_null(rules))
        return NULL;
    if (!json_is_array(rules) || json_array_size(rules) > SYSCALLS_MAX)
        return wrong("\"syscalls\" is no list, or too long a one");
    json_array_foreach(rules, i, rule)
    {
        TRY_TO(rule_add(rule, target, list), "syscalls[%zu]", i);
    }
    return NULL;
}

/* ---- the whole ---- */

/* Docker's map from an architecture to those that it runs besides: the one that is this machine's counts. */
static struct error *architectures_map(const json_t *map, json_t *list)
{
    const json_t *entry;
    size_t i;

    if (!json_is_array(map))
        return wrong("\"archMap\" is no list");
    json_array_foreach(map, i, entry)
    {
        json_t *name = json_object_get(entry, "architecture"), *subs = json_object_get(entry, "subArchitectures");
        if (!json_is_string(name) || strcmp(json_string_value(name), seccomp_architecture()) != 0)
            continue;
        json_array_append(list, name);
        if (subs && !json_is_null(subs))
            TRY(strings_check("subArchitectures", subs));
        if (json_is_array(subs))
            json_array_extend(list, subs);
        return NULL;
    }
    return NULL;
}

static struct error *architectures_check(const json_t *list)
{
    const json_t *value;
    size_t i;

    json_array_foreach(list, i, value)
    {
        if (strncmp(json_string_value(value), "SCMP_ARCH_", 10) != 0)
            return error_new(ERROR_INVALID_ARGUMENT, "\"%.100s\" is no architecture", json_string_value(value));
    }
    return NULL;
}

static struct error *architectures_add(const json_t *profile, json_t *to)
{
    json_t *own = json_object_get(profile, "architectures"), *map = json_object_get(profile, "archMap");
    bool has_own = own && !json_is_null(own);

    if (has_own)
        TRY(strings_check("architectures", own));
    if (json_array_size(own) > 0 && json_array_size(map) > 0)
        return wrong("\"architectures\" and \"archMap\" are both there");
    json_t *list = has_own ? json_copy(own) : json_array();
    struct error *failure = map && !json_is_null(map) ? architectures_map(map, list) : NULL;
    if (!failure)
        failure = architectures_check(list);
    if (!failure && json_array_size(list) > 0)
        json_object_set(to, "architectures", list);
    json_decref(list);
    return failure;
}

static struct error *profile_copy(const json_t *profile, const struct target *target, json_t *to)
{
    json_t *rules = json_array();

    json_object_set_new(to, "syscalls", rules);
    if (!json_is_object(profile))
        return wrong("is no JSON object");
    TRY(action_check("defaultAction", json_object_get(profile, "defaultAction")));
    TRY(member_copy(profile, "defaultAction", JSON_STRING, to));
    TRY(member_copy(profile, "defaultErrnoRet", JSON_INTEGER, to));
    TRY(member_copy(profile, "listenerPath", JSON_STRING, to));
    TRY(member_copy(profile, "listenerMetadata", JSON_STRING, to));
    TRY(member_copy(profile, "flags", JSON_ARRAY, to));
    if (json_object_get(to, "flags"))
        TRY(strings_check("flags", json_object_get(to, "flags")));
    TRY(architectures_add(profile, to));
    return rules_add(json_object_get(profile, "syscalls"), target, rules);
}

struct error *seccomp_profile_translate(const char *text, size_t size, uint64_t bounding, unsigned kernel_version,
                                        json_t **ret)
{
    struct target target = {.bounding = bounding, .kernel_version = kernel_version};
    json_error_t where;
    json_t *profile = json_loadb(text, size, 0, &where);

    if (!profile)
        return error_new(ERROR_INVALID_ARGUMENT, "line %d: %s", where.line, where.text);
    json_t *copy = json_object();
    struct error *failure = profile_copy(profile, &target, copy);
    json_decref(profile);
    if (failure)
        json_decref(copy);
    else
        *ret = copy;
    return failure;
}
