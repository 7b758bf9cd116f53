/* Objects in memory: what a record makes of them, and how ids and keys find them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "services/sandboxd/container.h"
#include "services/sandboxd/table.h"

static int tables_open(void **state)
{
    struct sandboxd *d = xcalloc(1, sizeof(*d));

    pthread_mutex_init(&d->lock, NULL);
    *state = d;
    return 0;
}

static int tables_close(void **state)
{
    struct sandboxd *d = *state;

    while (d->containers)
        table_remove_container(d->containers);
    while (d->pods)
        table_remove_pod(d->pods);
    pthread_mutex_destroy(&d->lock);
    free(d);
    return 0;
}

static void bytes_pack(ProtobufCBinaryData *ret, const ProtobufCMessage *message)
{
    ret->len = protobuf_c_message_get_packed_size(message);
    ret->data = xmalloc(ret->len + 1);
    protobuf_c_message_pack(message, ret->data);
}

static Bulkhead__PodRecord *pod_record(const char *id, const char *name, uint32_t attempt)
{
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__PodSandboxMetadata metadata = RUNTIME__V1__POD_SANDBOX_METADATA__INIT;
    Bulkhead__PodRecord *record = xmalloc(sizeof(*record));

    bulkhead__pod_record__init(record);
    metadata.name = metadata.uid = (char *)name;
    metadata.namespace_ = (char *)"ns";
    metadata.attempt = attempt;
    config.metadata = &metadata;
    bytes_pack(&record->config, &config.base);
    record->id = xstrdup(id);
    record->state = POD_READY;
    return record;
}

/* The table's; borrowed here. */
static struct pod *pod_put(struct sandboxd *d, const char *id, const char *name, uint32_t attempt)
{
    struct pod *pod = NULL;

    assert_null(pod_new(d, pod_record(id, name, attempt), &pod));
    table_add_pod(d, pod);
    return pod;
}

static struct container *container_put(struct pod *pod, const char *id, const char *name)
{
    Runtime__V1__ContainerConfig config = RUNTIME__V1__CONTAINER_CONFIG__INIT;
    Runtime__V1__ContainerMetadata metadata = RUNTIME__V1__CONTAINER_METADATA__INIT;
    Bulkhead__ContainerRecord *record = xmalloc(sizeof(*record));
    struct container *container = NULL;

    bulkhead__container_record__init(record);
    metadata.name = (char *)name;
    config.metadata = &metadata;
    bytes_pack(&record->config, &config.base);
    record->id = xstrdup(id);
    record->state = CONTAINER_CREATED;
    assert_null(container_new(pod, record, &container));
    table_add_container(pod->d, container);
    return container;
}

static void pod_is_found(struct sandboxd *d, const char *asked, const char *id)
{
    auto_pod pod = NULL;

    assert_null(table_find_pod(d, asked, &pod));
    assert_string_equal(pod->record->id, id);
}

static void pod_is_refused(struct sandboxd *d, const char *asked, enum error_code code)
{
    struct pod *pod = NULL;
    autoptr(error) error = table_find_pod(d, asked, &pod);

    assert_non_null(error);
    assert_int_equal(error->code, code);
    assert_null(pod);
}

static void an_id_or_its_only_beginning_finds_the_pod(void **state)
{
    struct sandboxd *d = *state;

    pod_put(d, "abc", "a", 0);
    pod_put(d, "abcd", "b", 0);
    pod_put(d, "abce", "c", 0);
    pod_is_found(d, "abc", "abc"); /* the whole id, though it begins two others */
    pod_is_found(d, "abcd", "abcd");
    pod_is_found(d, "abce", "abce");
    pod_is_refused(d, "ab", ERROR_INVALID_ARGUMENT);
    pod_is_refused(d, "b", ERROR_NOT_FOUND);
    pod_is_refused(d, "abcdef", ERROR_NOT_FOUND);
    pod_is_refused(d, "", ERROR_INVALID_ARGUMENT);
}

static void what_is_in_no_list_is_found_by_no_id(void **state)
{
    struct sandboxd *d = *state;
    struct pod *made = pod_put(d, "abcd", "a", 0), *making = pod_put(d, "abce", "b", 0);
    struct container *container = container_put(made, "cdef", "main"), *found = NULL;

    making->record->state = POD_CREATING;
    container->record->state = CONTAINER_UNDOING;
    pod_is_found(d, "abc", "abcd");
    pod_is_refused(d, "abce", ERROR_NOT_FOUND);
    autoptr(error) error = table_find_container(d, "cdef", &found);
    assert_int_equal(error->code, ERROR_NOT_FOUND);
    container->record->state = CONTAINER_CREATED;
    assert_null(table_find_container(d, "cd", &found));
    assert_ptr_equal(found, container);
    container_release(found);
}

static void a_pods_key_is_all_four_parts_until_it_is_given_free(void **state)
{
    struct sandboxd *d = *state;
    struct pod *pod = pod_put(d, "abcd", "web", 2);
    Runtime__V1__PodSandboxMetadata key = *pod->config->metadata;

    auto_pod same = table_pod_of_key(d, &key);
    assert_ptr_equal(same, pod);
    key.attempt = 3;
    assert_null(table_pod_of_key(d, &key));
    key.attempt = 2;
    key.uid = (char *)"another";
    assert_null(table_pod_of_key(d, &key));
    key.uid = pod->config->metadata->uid;
    pod->is_key_free = true;
    assert_null(table_pod_of_key(d, &key));
}

static void a_containers_key_is_its_pods(void **state)
{
    struct sandboxd *d = *state;
    struct pod *one = pod_put(d, "a", "one", 0), *two = pod_put(d, "b", "two", 0);
    struct container *first = container_put(one, "c", "main"), *second = container_put(two, "d", "main");
    Runtime__V1__ContainerMetadata key = *first->config->metadata;
    size_t count = 0;

    auto_container of_one = table_container_of_key(one, &key);
    auto_container of_two = table_container_of_key(two, &key);
    assert_ptr_equal(of_one, first);
    assert_ptr_equal(of_two, second);
    key.attempt = 1;
    assert_null(table_container_of_key(one, &key));
    struct container **containers = table_containers_of(two, &count);
    assert_int_equal(count, 1);
    assert_ptr_equal(containers[0], second);
    containers_release(containers, count);
}

static void a_record_whose_configuration_is_none_is_data_lost(void **state)
{
    struct pod *pod = NULL;

    for (size_t i = 0; i < 2; i++) {
        Bulkhead__PodRecord *record = pod_record("abcd", "web", 0);
        memset(record->config.data, 0xff, record->config.len);
        if (i == 1)
            record->config.len = 0; /* parses, but has no metadata */
        autoptr(error) error = pod_new(*state, record, &pod);
        assert_int_equal(error->code, ERROR_DATA_LOSS);
        assert_non_null(strstr(error->text, "abcd"));
        bulkhead__pod_record__free_unpacked(record, NULL);
    }
}

#define TABLE_TEST(name) cmocka_unit_test_setup_teardown(name, tables_open, tables_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TABLE_TEST(an_id_or_its_only_beginning_finds_the_pod),
        TABLE_TEST(what_is_in_no_list_is_found_by_no_id),
        TABLE_TEST(a_pods_key_is_all_four_parts_until_it_is_given_free),
        TABLE_TEST(a_containers_key_is_its_pods),
        TABLE_TEST(a_record_whose_configuration_is_none_is_data_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
