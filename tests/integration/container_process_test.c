/* What a container's process is run as, seen from inside: arguments, environment, user, rights, system calls, terminal,
 * limits. */
#include <sys/prctl.h>

#include <linux/capability.h>

#include "tests/integration/container_scene.h"

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

/* A pod with one container, on the host's network: what is tested is the container. */
static void scene_open(struct scene *scene, struct fixture *fixture, const char *name)
{
    *scene = (struct scene){.fixture = fixture};
    scene->pod_id = pod_begin_plain(fixture, &scene->pod, name, true);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, "main", busybox, sleeping);
}

static void scene_start(struct scene *scene)
{
    scene->id = container_begin(scene->fixture, &scene->container);
}

static void prints(struct scene *scene, const char *script, const char *expected)
{
    script_prints(scene->fixture, scene->id, script, expected);
}

/* The number behind a word in a /proc file of the container's first process. */
static uint64_t status_number(struct scene *scene, const char *word, int base)
{
    autofree char *script = xasprintf("grep '^%s:' /proc/1/status", word);
    autofree char *line = script_output(scene->fixture, scene->id, script, 0);

    return strtoull(line + strlen(word) + 1, NULL, base);
}

static void arguments_environment_and_directory_are_as_configured(void **state)
{
    static Runtime__V1__KeyValue empty = RUNTIME__V1__KEY_VALUE__INIT, text = RUNTIME__V1__KEY_VALUE__INIT;
    static Runtime__V1__KeyValue *envs[] = {&empty, &text};
    static char *args[] = {(char *)"a b", (char *)"", (char *)"$HOME"};
    static const char *const command[] = {"/bin/sh", "-c", "sleep 1000; :", NULL};
    struct scene scene;

    scene_open(&scene, *state, "words");
    empty.key = (char *)"EMPTY";
    text.key = (char *)"TEXT";
    text.value = (ProtobufCBinaryData){9, (uint8_t *)"x=y \"z\" \xc3\xa4"};
    scene.container.config.command = (char **)command, scene.container.config.n_command = 3;
    scene.container.config.args = args, scene.container.config.n_args = 3;
    scene.container.config.envs = envs, scene.container.config.n_envs = 2;
    scene.container.config.working_dir = (char *)"/srv/made/for/it";
    text.value.len = strlen((char *)text.value.data);
    scene_start(&scene);
    prints(&scene, "tr '\\0' '|' < /proc/1/cmdline", "/bin/sh|-c|sleep 1000; :|a b||$HOME|");
    prints(&scene, "readlink /proc/1/cwd; pwd", "/srv/made/for/it\n/srv/made/for/it\n");
    prints(&scene, "tr '\\0' '\\n' < /proc/1/environ | grep -e EMPTY -e TEXT -e PATH",
           "PATH=/bin\nEMPTY=\nTEXT=x=y \"z\" \xc3\xa4\n");
    prints(&scene, "echo \"$EMPTY|$TEXT|$PATH\"", "|x=y \"z\" \xc3\xa4|/bin\n");
    prints(&scene, "grep -c . /proc/1/environ && test \"$HOSTNAME\" = \"$(hostname)\" && echo host", "1\nhost\n");
    scene_close(&scene);
}

static void args_alone_are_run_in_place_of_the_images_command(void **state)
{
    static char *args[] = {(char *)"sleep", (char *)"1001"};
    struct scene scene;

    scene_open(&scene, *state, "args");
    scene.container.config.command = NULL, scene.container.config.n_command = 0;
    scene.container.config.args = args, scene.container.config.n_args = 2;
    scene_start(&scene);
    prints(&scene, "tr '\\0' ' ' < /proc/1/cmdline", "sleep 1001 ");
    scene_close(&scene);
}

static Runtime__V1__Int64Value *number(int64_t value)
{
    Runtime__V1__Int64Value *number = xmalloc(sizeof(*number));

    *number = (Runtime__V1__Int64Value)RUNTIME__V1__INT64_VALUE__INIT;
    number->value = value;
    return number;
}

static void a_number_a_name_or_the_image_says_who_runs(void **state)
{
    static int64_t groups[] = {4713, 4714};
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, "users");
    autofree Runtime__V1__Int64Value *user = number(4711), *group = number(4712);
    scene.container.context.run_as_user = user;
    scene.container.context.run_as_group = group;
    scene.container.context.supplemental_groups = groups, scene.container.context.n_supplemental_groups = 2;
    scene_start(&scene);
    prints(&scene, "id -u; id -g; id -G", "4711\n4712\n4712 4713 4714\n");
    prints(&scene, "grep -e ^Uid -e ^Groups /proc/1/status | tr '\\t' ' '",
           "Uid: 4711 4711 4711 4711\nGroups: 4712 4713 4714 \n");
    scene.container.metadata.name = (char *)"named";
    scene.container.context.run_as_user = scene.container.context.run_as_group = NULL;
    scene.container.context.n_supplemental_groups = 0;
    scene.container.context.run_as_username = (char *)"user";
    autofree char *named = container_begin(fixture, &scene.container);
    script_prints(fixture, named, "id -u; id -g; id -un", "1000\n1000\nuser\n");
    scene.container.metadata.name = (char *)"imaged";
    scene.container.context.run_as_username = (char *)"";
    autofree char *imaged = container_begin(fixture, &scene.container);
    script_prints(fixture, imaged, "id -u; id -g", "0\n0\n");
    scene_close(&scene);
}

/* containerd's fourteen. */
static const uint64_t default_capabilities =
    1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FSETID | 1u << CAP_FOWNER | 1u << CAP_MKNOD |
    1u << CAP_NET_RAW | 1u << CAP_SETGID | 1u << CAP_SETUID | 1u << CAP_SETPCAP | 1u << CAP_NET_BIND_SERVICE |
    1u << CAP_SYS_CHROOT | 1u << CAP_KILL | 1u << CAP_AUDIT_WRITE | UINT64_C(1) << CAP_SETFCAP;

static uint64_t own_bounding_set(void)
{
    uint64_t set = 0;

    for (unsigned i = 0; i < 64; i++)
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            set |= UINT64_C(1) << i;
    return set;
}

static void has_capabilities(struct scene *scene, uint64_t expected)
{
    static const char *const sets[] = {"CapPrm", "CapEff", "CapBnd"};

    for (size_t i = 0; i < 3; i++)
        assert_int_equal(status_number(scene, sets[i], 16), expected);
    assert_int_equal(status_number(scene, "CapAmb", 16), 0);
    autofree char *line = script_output(scene->fixture, scene->id, "grep ^CapEff: /proc/self/status", 0);
    assert_int_equal(strtoull(line + 7, NULL, 16), expected);
}

static void capabilities_case(struct fixture *fixture, const char *name, char **add, size_t add_count, char **drop,
                              size_t drop_count, uint64_t expected)
{
    struct scene scene;

    scene_open(&scene, fixture, name);
    scene.container.capabilities.add_capabilities = add;
    scene.container.capabilities.n_add_capabilities = add_count;
    scene.container.capabilities.drop_capabilities = drop;
    scene.container.capabilities.n_drop_capabilities = drop_count;
    scene_start(&scene);
    has_capabilities(&scene, expected);
    scene_close(&scene);
}

static void capabilities_are_the_default_and_what_is_added_and_dropped(void **state)
{
    static char *net_admin[] = {(char *)"NET_ADMIN"}, *kill[] = {(char *)"CAP_KILL"}, *all[] = {(char *)"ALL"};

    capabilities_case(*state, "plain", NULL, 0, NULL, 0, default_capabilities);
    capabilities_case(*state, "changed", net_admin, 1, kill, 1,
                      (default_capabilities | 1u << CAP_NET_ADMIN) & ~(uint64_t)(1u << CAP_KILL));
    capabilities_case(*state, "none", NULL, 0, all, 1, 0);
    capabilities_case(*state, "one", net_admin, 1, all, 1, 1u << CAP_NET_ADMIN);
    capabilities_case(*state, "all", all, 1, NULL, 0, own_bounding_set());
}

static void a_privileged_container_has_all_capabilities_and_the_hosts_devices(void **state)
{
    static Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT; /* RuntimeDefault */
    struct fixture *fixture = *state;
    struct scene scene = {.fixture = fixture};

    pod_request_init(&scene.pod, &fixture->node, "privileged", true);
    scene.pod.context.privileged = true;
    scene.pod_id = pod_begin(fixture, &scene.pod);
    container_request_init(&scene.container, &scene.pod, scene.pod_id, "main", busybox, sleeping);
    scene.container.context.privileged = true;
    scene.container.context.seccomp = &profile;
    scene_start(&scene);
    has_capabilities(&scene, own_bounding_set());
    assert_int_equal(status_number(&scene, "Seccomp", 10), 0);
    prints(&scene, "test -c /dev/mem || test -c /dev/kmsg || test -c /dev/fuse && echo devices", "devices\n");
    prints(&scene, "mkdir -p /m && mount -t tmpfs none /m && echo mounted", "mounted\n");
    prints(&scene, "grep ' /sys ' /proc/mounts | grep -c '[ ,]rw'", "1\n");
    scene_close(&scene);
}

static void no_new_privileges_are_set_only_where_asked_for(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "privileges");
    scene_start(&scene);
    assert_int_equal(status_number(&scene, "NoNewPrivs", 10), 0);
    free(scene.id);
    scene.container.metadata.name = (char *)"none";
    scene.container.context.no_new_privs = true;
    scene_start(&scene);
    assert_int_equal(status_number(&scene, "NoNewPrivs", 10), 1);
    prints(&scene, "grep ^NoNewPrivs /proc/self/status | tr '\\t' ' '", "NoNewPrivs: 1\n");
    scene_close(&scene);
}

/* Without a filter anybody may make a user namespace here; RuntimeDefault refuses it to those without CAP_SYS_ADMIN. */
static void seccomp_refuses_system_calls_where_it_is_runtime_default(void **state)
{
    static Runtime__V1__SecurityProfile profile = RUNTIME__V1__SECURITY_PROFILE__INIT;
    struct scene scene;

    scene_open(&scene, *state, "seccomp");
    scene.container.context.seccomp = &profile;
    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__Unconfined;
    scene_start(&scene);
    assert_int_equal(status_number(&scene, "Seccomp", 10), 0);
    prints(&scene, "unshare -U true && echo unshared", "unshared\n");
    free(scene.id);
    scene.container.metadata.name = (char *)"default";
    profile.profile_type = RUNTIME__V1__PROFILE_TYPE__RuntimeDefault;
    scene_start(&scene);
    assert_int_equal(status_number(&scene, "Seccomp", 10), 2);
    prints(&scene, "grep ^Seccomp: /proc/self/status | tr '\\t' ' '", "Seccomp: 2\n");
    script_fails(scene.fixture, scene.id, "unshare -U true");
    free(scene.id);
    scene.container.metadata.name = (char *)"old";
    scene.container.context.seccomp = NULL;
    scene.container.context.seccomp_profile_path = (char *)"runtime/default";
    scene_start(&scene);
    assert_int_equal(status_number(&scene, "Seccomp", 10), 2);
    scene_close(&scene);
}

static void a_terminal_is_there_only_where_asked_for(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "terminal");
    scene_start(&scene);
    prints(&scene, "readlink /proc/1/fd/0; env | grep TERM || echo none", "/dev/null\nnone\n");
    free(scene.id);
    scene.container.metadata.name = (char *)"tty";
    scene.container.config.tty = true;
    scene_start(&scene);
    prints(&scene, "for i in 0 1 2; do readlink /proc/1/fd/$i; done", "/dev/pts/0\n/dev/pts/0\n/dev/pts/0\n");
    prints(&scene, "tr '\\0' '\\n' < /proc/1/environ | grep TERM; test -c /dev/console && echo console",
           "TERM=xterm\nconsole\n");
    scene_close(&scene);
}

/* `cat` reads on where its input stays open, and ends where there is none. */
static void standard_input_stays_open_only_where_asked_for(void **state)
{
    static const char *const cat[] = {"/bin/cat", NULL};
    struct workload_state now;
    struct scene scene;

    scene_open(&scene, *state, "input");
    scene.container.config.command = (char **)cat, scene.container.config.n_command = 1;
    scene_start(&scene);
    check(workload_wait_exit(&scene.fixture->work, scene.id, &now));
    assert_int_equal(now.exit_code, 0);
    free(scene.id);
    scene.container.metadata.name = (char *)"open";
    scene.container.config.stdin = true;
    scene_start(&scene);
    autofree char *input = script_output(scene.fixture, scene.id, "readlink /proc/1/fd/0", 0);
    assert_memory_equal(input, "pipe:", 5);
    free(scene.id);
    scene.container.metadata.name = (char *)"once";
    scene.container.config.stdin_once = true;
    scene_start(&scene);
    free(script_output(scene.fixture, scene.id, "readlink /proc/1/fd/0", 0));
    check(workload_status(&scene.fixture->work, scene.id, &now));
    assert_int_equal(now.state, RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING);
    scene_close(&scene);
}

static int own_oom_score(void)
{
    autofree char *text = NULL;
    size_t size;

    check(file_read_all("/proc/self/oom_score_adj", 64, &text, &size));
    return atoi(text);
}

static void the_out_of_memory_score_is_as_configured_or_as_near_as_can_be(void **state)
{
    bool may_lower = prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0) == 1;
    autofree char *lowest = xasprintf("%d\n", may_lower || own_oom_score() < -998 ? -998 : own_oom_score());
    struct scene scene;

    scene_open(&scene, *state, "score");
    scene.container.resources.oom_score_adj = 517;
    scene_start(&scene);
    prints(&scene, "cat /proc/1/oom_score_adj", "517\n");
    prints(&scene, "cat /proc/self/oom_score_adj", "517\n"); /* crun 1.8.1 gives an exec none: it is the shim's doing */
    free(scene.id);
    scene.container.metadata.name = (char *)"lower";
    scene.container.resources.oom_score_adj = -998;
    scene_start(&scene);
    prints(&scene, "cat /proc/1/oom_score_adj", lowest);
    scene_close(&scene);
}

static void what_outgrows_its_memory_is_told_as_oomkilled(void **state)
{
    static const char *const growing[] = {"/bin/sh", "-c", "exec tail /dev/zero", NULL};
    struct workload_state now;
    struct scene scene;

    scene_open(&scene, *state, "growing");
    scene.container.config.command = (char **)growing, scene.container.config.n_command = 3;
    scene.container.resources.memory_limit_in_bytes = 24 << 20;
    scene_start(&scene);
    check(workload_wait_exit(&scene.fixture->work, scene.id, &now));
    assert_int_equal(now.exit_code, 137);
    assert_string_equal(now.reason, "OOMKilled");
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(arguments_environment_and_directory_are_as_configured),
        WITH_EACH_RUNTIME(args_alone_are_run_in_place_of_the_images_command),
        WITH_EACH_RUNTIME(a_number_a_name_or_the_image_says_who_runs),
        WITH_EACH_RUNTIME(capabilities_are_the_default_and_what_is_added_and_dropped),
        WITH_EACH_RUNTIME(a_privileged_container_has_all_capabilities_and_the_hosts_devices),
        WITH_EACH_RUNTIME(no_new_privileges_are_set_only_where_asked_for),
        WITH_EACH_RUNTIME(seccomp_refuses_system_calls_where_it_is_runtime_default),
        WITH_EACH_RUNTIME(a_terminal_is_there_only_where_asked_for),
        WITH_EACH_RUNTIME(standard_input_stays_open_only_where_asked_for),
        WITH_EACH_RUNTIME(the_out_of_memory_score_is_as_configured_or_as_near_as_can_be),
        WITH_EACH_RUNTIME(what_outgrows_its_memory_is_told_as_oomkilled),
    };

    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
