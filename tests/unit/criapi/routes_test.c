/* The routing table: every method of the schema is in it, in order, with the right process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "proto/cri.pb-c.h"
#include "services/criapi/routes.h"

static struct error *find(const char *path, const struct route **ret)
{
    enum api_version version;

    return route_find(path, strlen(path), ret, &version);
}

static void expect_refused(const char *path, const char *text)
{
    const struct route *route = NULL;
    autoptr(error) error = find(path, &route);

    assert_non_null(error);
    assert_int_equal(error->code, ERROR_UNIMPLEMENTED);
    assert_string_equal(error->text, text);
    assert_null(route);
}

static void the_table_is_sorted(void **state)
{
    size_t count;
    const struct route *routes = route_table(&count);

    (void)state;
    for (size_t i = 1; i < count; i++)
        assert_true(strcmp(routes[i - 1].path, routes[i].path) < 0);
}

static void expect_all_methods(const ProtobufCServiceDescriptor *service)
{
    size_t count;
    const struct route *routes = route_table(&count);

    for (unsigned i = 0; i < service->n_methods; i++) {
        autofree char *path = xasprintf("%s/%s", service->short_name, service->methods[i].name);
        size_t found = 0;
        for (size_t j = 0; j < count; j++)
            found += strcmp(routes[j].path, path) == 0;
        assert_int_equal(found, 1);
    }
}

static void the_table_has_exactly_the_methods_of_the_schema(void **state)
{
    size_t count;

    (void)state;
    route_table(&count);
    assert_int_equal(count, runtime__v1__runtime_service__descriptor.n_methods +
                                runtime__v1__image_service__descriptor.n_methods);
    expect_all_methods(&runtime__v1__runtime_service__descriptor);
    expect_all_methods(&runtime__v1__image_service__descriptor);
}

static void every_route_is_found_by_its_path(void **state)
{
    size_t count;
    const struct route *routes = route_table(&count), *route;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        autofree char *path = xasprintf("/runtime.v1.%s", routes[i].path);
        struct error *error = find(path, &route);
        if (routes[i].target == ROUTE_UNIMPLEMENTED)
            assert_non_null(error);
        else
            assert_ptr_equal(route, &routes[i]);
        error_free(error);
    }
}

static void the_older_package_has_the_methods_that_it_ever_had(void **state)
{
    const struct route *route = NULL;
    enum api_version version = API_V1;
    const char *path = "/runtime.v1alpha2.RuntimeService/ExecSync";

    (void)state;
    assert_null(route_find(path, strlen(path), &route, &version));
    assert_int_equal(version, API_V1ALPHA2);
    assert_string_equal(route_method(route), "ExecSync");
    assert_null(route_find("/runtime.v1.RuntimeService/ExecSync", strlen(path) - 6, &route, &version));
    assert_int_equal(version, API_V1);
    route = NULL;
    expect_refused("/runtime.v1alpha2.RuntimeService/RuntimeConfig",
                   "unknown method RuntimeConfig for service runtime.v1alpha2.RuntimeService");
    expect_refused("/runtime.v1alpha2.RuntimeService/StreamContainers",
                   "unknown method StreamContainers for service runtime.v1alpha2.RuntimeService");
    expect_refused("/runtime.v1alpha2.RuntimeService/CheckpointPod",
                   "unknown method CheckpointPod for service runtime.v1alpha2.RuntimeService");
}

/* Of the schema: CRI's own words say that a stream has the list's items. */
static void a_streamed_list_is_asked_for_by_its_unary_method(void **state)
{
    size_t count, lists = 0;
    const struct route *routes = route_table(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const char *method = route_method(&routes[i]);
        assert_int_equal(strncmp(method, "Stream", 6) == 0, routes[i].list != NULL);
        assert_string_equal(route_forwarded(&routes[i]), routes[i].list ? routes[i].list : method);
        if (!routes[i].list)
            continue;
        lists++;
        autofree char *unary = xasprintf("/runtime.v1.%.*s/%s", (int)(strchr(routes[i].path, '/') - routes[i].path),
                                         routes[i].path, routes[i].list);
        const struct route *route;
        autoptr(error) error = find(unary, &route);
        if (!error)
            assert_int_equal(route->target, routes[i].target);
    }
    assert_int_equal(lists, 6);
}

static void images_go_to_imaged_and_pods_to_sandboxd(void **state)
{
    const struct route *route;

    (void)state;
    assert_null(find("/runtime.v1.ImageService/ImageFsInfo", &route));
    assert_int_equal(route->target, ROUTE_IMAGED);
    assert_null(find("/runtime.v1.RuntimeService/Status", &route));
    assert_int_equal(route->target, ROUTE_SANDBOXD);
    assert_string_equal(route_method(route), "Status");
    assert_null(find("/runtime.v1.RuntimeService/Version", &route));
    assert_int_equal(route->target, ROUTE_LOCAL);
}

static void an_error_names_what_is_unknown(void **state)
{
    (void)state;
    expect_refused("/runtime.v1.RuntimeService/CheckpointPod", "CheckpointPod is not implemented");
    expect_refused("/runtime.v1.RuntimeService/Fly", "unknown method Fly for service runtime.v1.RuntimeService");
    expect_refused("/runtime.v1.RuntimeService/", "unknown method  for service runtime.v1.RuntimeService");
    expect_refused("/runtime.v1.RuntimeService/StatusX",
                   "unknown method StatusX for service runtime.v1.RuntimeService");
    expect_refused("/runtime.v1.ImageService/Version", "unknown method Version for service runtime.v1.ImageService");
    expect_refused("/runtime.v1alpha1.RuntimeService/Version", "unknown service runtime.v1alpha1.RuntimeService");
    expect_refused("/runtime.v1alpha2.Version/", "unknown service runtime.v1alpha2.Version");
    expect_refused("/runtime.v1.RuntimeServic/Version", "unknown service runtime.v1.RuntimeServic");
    expect_refused("/runtime.v1.", "malformed method name: \"/runtime.v1.\"");
    expect_refused("Version", "malformed method name: \"Version\"");
    expect_refused("", "malformed method name: \"\"");
    expect_refused("/", "malformed method name: \"/\"");
    expect_refused("//", "unknown service ");
}

static void a_long_name_is_cut(void **state)
{
    char path[4000];
    const struct route *route = NULL;
    enum api_version version;

    (void)state;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[2000] = '/';
    autoptr(error) error = route_find(path, sizeof(path), &route, &version);
    assert_int_equal(error->code, ERROR_UNIMPLEMENTED);
    assert_int_equal(strlen(error->text), strlen("unknown service ") + 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sorted),
        cmocka_unit_test(the_table_has_exactly_the_methods_of_the_schema),
        cmocka_unit_test(every_route_is_found_by_its_path),
        cmocka_unit_test(the_older_package_has_the_methods_that_it_ever_had),
        cmocka_unit_test(a_streamed_list_is_asked_for_by_its_unary_method),
        cmocka_unit_test(images_go_to_imaged_and_pods_to_sandboxd),
        cmocka_unit_test(an_error_names_what_is_unknown),
        cmocka_unit_test(a_long_name_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
