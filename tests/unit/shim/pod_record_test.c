/* The pod's record as the release before wrote it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/memory.h"
#include "common/record.h"
#include "services/sandboxd/shim/shim.h"

struct place {
    char path[32];
    struct shim shim;
};

static int place_open(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));

    strcpy(place->path, "/tmp/bhpod.XXXXXX");
    *state = place;
    if (!mkdtemp(place->path))
        return -1;
    place->shim.pod_id = "p1";
    place->shim.directory_fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return place->shim.directory_fd < 0;
}

static int place_close(void **state)
{
    struct place *place = *state;

    unlinkat(place->shim.directory_fd, "pod", 0);
    close(place->shim.directory_fd);
    rmdir(place->path);
    free(place);
    return 0;
}

static void a_record_of_version_1_has_no_user_namespace(void **state)
{
    struct place *place = *state;
    struct pod_record old = {.netns_mode = SHIM_NAMESPACE_OWN, .cgroup = "/pods/p1", .hostname = "web"};

    assert_null(record_save(place->shim.directory_fd, "pod", "pod", 1, &old, offsetof(struct pod_record, user)));
    memset(&place->shim.pod.record, 0, sizeof(place->shim.pod.record));
    assert_null(pod_load(&place->shim));
    assert_string_equal(place->shim.pod.record.cgroup, "/pods/p1");
    assert_string_equal(place->shim.pod.record.hostname, "web");
    assert_false(user_map_is_set(&place->shim.pod.record.user));
}

static void a_record_that_is_too_short_is_refused(void **state)
{
    struct place *place = *state;
    struct pod_record record = {.netns_mode = SHIM_NAMESPACE_OWN};

    assert_null(record_save(place->shim.directory_fd, "pod", "pod", POD_VERSION, &record, offsetof(struct pod_record, user)));
    struct error *error = pod_load(&place->shim);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_DATA_LOSS);
    error_free(error);
}

static void what_is_saved_is_loaded(void **state)
{
    struct place *place = *state;

    place->shim.pod.record = (struct pod_record){.user = {.uid_first = 65536, .uid_count = 65536, .gid_first = 1, .gid_count = 2}};
    assert_null(pod_save(&place->shim));
    memset(&place->shim.pod.record, 0, sizeof(place->shim.pod.record));
    assert_null(pod_load(&place->shim));
    assert_int_equal(place->shim.pod.record.user.uid_first, 65536);
    assert_int_equal(place->shim.pod.record.user.gid_count, 2);
    assert_int_equal(place->shim.pod.user_fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_record_of_version_1_has_no_user_namespace, place_open, place_close),
        cmocka_unit_test_setup_teardown(a_record_that_is_too_short_is_refused, place_open, place_close),
        cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, place_open, place_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
