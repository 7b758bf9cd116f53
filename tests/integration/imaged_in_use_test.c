/* Images as containers see them: their layers as one tree, and there for as long as a container has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/memory.h"
#include "proto/cri.pb-c.h"
#include "tests/support/check.h"
#include "cli/clients/cri_client.h"
#include "tests/support/node.h"
#include "tests/support/registry.h"
#include "tests/support/workload.h"

enum { SETTLE_TRIES = 300 };

static const char *const image = "docker.io/test/layered:1";

struct fixture {
    struct node node;
    struct registry_server registry;
    struct workload work;
};

/* Four layers above the first: a file in directories that only the first names, a whiteout, an opaque directory, a file
 * for a directory. */
static const char image_script[] =
    "mkdir -p root/bin root/tmp root/etc root/opt/old root/home/user root/var/run.d; cp /bin/busybox root/bin/\n"
    "for a in sh ls cat stat test sleep echo; do ln -s busybox root/bin/$a; done\n"
    "chmod 1777 root/tmp; chown 1000:1000 root/home/user; chmod 700 root/home/user; echo a > root/etc/gone; echo b > "
    "root/etc/kept\n"
    "echo c > root/opt/old/file; echo d > root/var/run.d/x; echo late > late; mkdir new; echo e > new/file; touch -d "
    "@1000000000 root/tmp\n"
    "umoci init --layout l; umoci new --image l:x; umoci insert --image l:x root /\n"
    "umoci insert --image l:x late /tmp/late; umoci insert --image l:x late /home/user/deep/late\n"
    "umoci insert --image l:x --whiteout /etc/gone; umoci insert --image l:x --opaque new /opt\n"
    "umoci insert --image l:x late /var/run.d\n"
    "umoci config --image l:x --config.cmd /bin/sh --config.env PATH=/bin --architecture $A --os linux\n"
    "skopeo --insecure-policy copy -q --dest-tls-verify=false oci:l:x docker://$R/test/layered:1\n"
    "umoci new --image l:none; umoci config --image l:none --config.cmd /none --architecture $A --os linux\n"
    "skopeo --insecure-policy copy -q --dest-tls-verify=false oci:l:none docker://$R/test/none:1\n";

static char *exec_output(struct fixture *fixture, const char *container, const char *script)
{
    const char *const command[] = {"/bin/sh", "-c", script, NULL};
    char *output = NULL;
    int code = -1;

    check(workload_exec(&fixture->work, container, command, &code, &output));
    if (code != 0)
        fail_msg("%s ended with %d: %s", script, code, output);
    return output;
}

static void prints(struct fixture *fixture, const char *container, const char *script, const char *expected)
{
    autofree char *output = exec_output(fixture, container, script);

    assert_string_equal(output, expected);
}

static char *container_run(struct fixture *fixture, const char *pod, const char *name)
{
    static const char *const command[] = {"/bin/sh", "-c", "exec sleep 1000", NULL};
    char *id = NULL;

    check(workload_create(&fixture->work, pod, true,
                          &(struct workload_container){.name = name, .image = image, .command = command}, &id));
    check(workload_start(&fixture->work, id));
    return id;
}

static size_t layers_count(struct fixture *fixture)
{
    autofree char *command = xasprintf("ls %s/imaged/layers | wc -l", fixture->node.root);
    FILE *pipe = popen(command, "r");
    size_t count = 0;

    assert_int_equal(fscanf(pipe, "%zu", &count), 1);
    pclose(pipe);
    return count;
}

static void layers_settle_at(struct fixture *fixture, size_t count)
{
    for (int i = 0; i < SETTLE_TRIES && layers_count(fixture) != count; i++)
        usleep(100000);
    assert_int_equal(layers_count(fixture), count);
}

static void pod_end(struct fixture *fixture, char *pod)
{
    check(workload_pod_stop(&fixture->work, pod));
    check(workload_pod_remove(&fixture->work, pod));
    free(pod);
}

static void a_container_sees_the_layers_as_one_tree(void **state)
{
    struct fixture *fixture = *state;
    autofree char *id = NULL, *container = NULL;
    char *pod = NULL;

    check(workload_pull(&fixture->work, image, &id));
    check(workload_pod_run(&fixture->work, "tree", 0, true, NULL, &pod));
    container = container_run(fixture, pod, "main");
    prints(fixture, container, "cat /tmp/late /home/user/deep/late /etc/kept", "late\nlate\nb\n");
    prints(fixture, container, "test ! -e /etc/gone && echo gone", "gone\n");
    prints(fixture, container, "ls /opt", "file\n");
    prints(fixture, container, "cat /var/run.d", "late\n");
    pod_end(fixture, pod);
    check(workload_image_remove(&fixture->work, image));
    layers_settle_at(fixture, 0);
}

static void a_directory_keeps_what_it_was_when_a_layer_only_puts_a_file_into_it(void **state)
{
    struct fixture *fixture = *state;
    autofree char *id = NULL, *container = NULL;
    char *pod = NULL;

    check(workload_pull(&fixture->work, image, &id));
    check(workload_pod_run(&fixture->work, "parents", 0, true, NULL, &pod));
    container = container_run(fixture, pod, "main");
    prints(fixture, container, "stat -c '%a %u:%g' /tmp /home/user /home/user/deep",
           "1777 0:0\n700 1000:1000\n755 0:0\n");
    prints(fixture, container, "stat -c %Y /tmp", "1000000000\n");
    pod_end(fixture, pod);
    check(workload_image_remove(&fixture->work, image));
    layers_settle_at(fixture, 0);
}

static void a_removed_image_goes_when_its_last_container_has_gone(void **state)
{
    struct fixture *fixture = *state;
    autofree char *id = NULL, *first = NULL, *second = NULL, *again = NULL;
    char *pod = NULL;

    check(workload_pull(&fixture->work, image, &id));
    size_t layers = layers_count(fixture);
    check(workload_pod_run(&fixture->work, "used", 0, true, NULL, &pod));
    first = container_run(fixture, pod, "first");
    second = container_run(fixture, pod, "second");
    check(workload_image_remove(&fixture->work, image));
    struct error *failure = workload_create(&fixture->work, pod, true,
                                            &(struct workload_container){.name = "third", .image = image}, &again);
    assert_non_null(failure);
    assert_int_equal(failure->code, ERROR_NOT_FOUND);
    error_free(failure);
    check(node_kill(&fixture->node, "imaged"));
    check(workload_stop(&fixture->work, first, 0));
    check(workload_remove(&fixture->work, first));
    usleep(500000); /* for a sweep that would take too much */
    assert_int_equal(layers_count(fixture), layers);
    prints(fixture, second, "cat /etc/kept", "b\n");
    pod_end(fixture, pod);
    layers_settle_at(fixture, 0);
}

/* The root file system is mounted, and the runtime finds nothing in it. */
static void an_image_without_layers_makes_a_container_without_files(void **state)
{
    static const char *const none = "docker.io/test/none:1";
    struct fixture *fixture = *state;
    autofree char *id = NULL, *container = NULL;
    char *pod = NULL;

    check(workload_pull(&fixture->work, none, &id));
    check(workload_pod_run(&fixture->work, "empty", 0, true, NULL, &pod));
    struct error *failure = workload_create(&fixture->work, pod, true,
                                            &(struct workload_container){.name = "main", .image = none}, &container);
    if (!failure)
        failure = workload_start(&fixture->work, container); /* crun looks at the command at its creation, runc here */
    if (!failure)
        fail_msg("/none was started");
    if (!strstr(failure->text, "/none"))
        fail_msg("%s", failure->text);
    error_free(failure);
    pod_end(fixture, pod);
}

static int fixture_open(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    node_isolate();
    *state = fixture;
    check(registry_server_start(&fixture->registry));
    check(registry_server_script(&fixture->registry, image_script));
    check(node_open(&fixture->node, fixture->registry.url, NULL));
    fixture->work = (struct workload){.node = &fixture->node, .client = fixture->node.client};
    check(node_wait_ready(&fixture->node));
    return 0;
}

static int fixture_close(void **state)
{
    struct fixture *fixture = *state;

    node_close(&fixture->node);
    registry_server_stop(&fixture->registry);
    free(fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_sees_the_layers_as_one_tree),
        cmocka_unit_test(a_directory_keeps_what_it_was_when_a_layer_only_puts_a_file_into_it),
        cmocka_unit_test(an_image_without_layers_makes_a_container_without_files),
        cmocka_unit_test(a_removed_image_goes_when_its_last_container_has_gone),
    };

    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
