/* What lists, statuses and the node's own answers say: each filter, short ids, and the fields that clients read. */
#include "tests/integration/node_fixture.h"

enum { CALL_TIMEOUT_MS = 30000, PODS = 3, ID_SIZE = 64 };

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

/* Three pods with labels; each has a running and a created container. */
struct cast {
    struct fixture *fixture;
    struct pod_request requests[PODS];
    char *pods[PODS];
    char *running[PODS];
    char *created[PODS];
};

static Runtime__V1__PodSandboxConfig__LabelsEntry labels[] = {
    {PROTOBUF_C_MESSAGE_INIT(&runtime__v1__pod_sandbox_config__labels_entry__descriptor), (char *)"app", (char *)"web"},
    {PROTOBUF_C_MESSAGE_INIT(&runtime__v1__pod_sandbox_config__labels_entry__descriptor), (char *)"tier",
     (char *)"front"},
    {PROTOBUF_C_MESSAGE_INIT(&runtime__v1__pod_sandbox_config__labels_entry__descriptor), (char *)"app", (char *)"db"},
};

/* Pod 0: app=web, tier=front. Pod 1: app=web. Pod 2: app=db. */
static Runtime__V1__PodSandboxConfig__LabelsEntry *label_sets[PODS][2] = {
    {&labels[0], &labels[1]}, {&labels[0]}, {&labels[2]}};
static const size_t label_counts[PODS] = {2, 1, 1};

static void container_make(struct cast *cast, size_t pod, const char *name, char **ret_id)
{
    struct container_request request;

    container_request_init(&request, &cast->requests[pod], cast->pods[pod], name, busybox, sleeping);
    request.config.labels = (void *)label_sets[pod];
    request.config.n_labels = label_counts[pod];
    check(container_request_send(&request, cast->fixture->node.client, ret_id));
    container_request_fini(&request);
}

static void cast_open(struct cast *cast, struct fixture *fixture)
{
    static const char *const names[PODS] = {"first", "second", "third"};

    *cast = (struct cast){.fixture = fixture};
    for (size_t i = 0; i < PODS; i++) {
        pod_request_init(&cast->requests[i], &fixture->node, names[i], true);
        cast->requests[i].config.labels = label_sets[i];
        cast->requests[i].config.n_labels = label_counts[i];
        cast->pods[i] = pod_begin(fixture, &cast->requests[i]);
        container_make(cast, i, "running", &cast->running[i]);
        check(workload_start(&fixture->work, cast->running[i]));
        container_make(cast, i, "created", &cast->created[i]);
    }
}

static void cast_close(struct cast *cast)
{
    for (size_t i = 0; i < PODS; i++) {
        check(workload_pod_remove(&cast->fixture->work, cast->pods[i]));
        free(cast->pods[i]);
        free(cast->running[i]);
        free(cast->created[i]);
        pod_request_fini(&cast->requests[i]);
    }
    check(node_wait_census(&cast->fixture->node, cast->fixture->census));
}

/* Which of the ids a list has, as bits; an id that is none of them fails. */
static unsigned bit_of(char *const *ids, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(ids[i], id) == 0)
            return 1u << i;
    fail_msg("%s is none of this test's", id);
    return 0;
}

static unsigned pods_listed(struct cast *cast, Runtime__V1__PodSandboxFilter *filter)
{
    Runtime__V1__ListPodSandboxRequest request = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__ListPodSandboxResponse *reply = NULL;
    unsigned bits = 0;

    request.filter = filter;
    check(CRI_CALL(cast->fixture->node.client, "RuntimeService", "ListPodSandbox", &request.base, CALL_TIMEOUT_MS,
                   list_pod_sandbox_response, &reply));
    for (size_t i = 0; i < reply->n_items; i++)
        bits |= bit_of(cast->pods, PODS, reply->items[i]->id);
    runtime__v1__list_pod_sandbox_response__free_unpacked(reply, NULL);
    return bits;
}

/* Bits 0 to 2: the running ones, 3 to 5: the created ones. */
static unsigned container_bit(struct cast *cast, const char *id)
{
    char *all[2 * PODS];

    memcpy(all, cast->running, sizeof(cast->running));
    memcpy(all + PODS, cast->created, sizeof(cast->created));
    return bit_of(all, 2 * PODS, id);
}

static unsigned containers_listed(struct cast *cast, Runtime__V1__ContainerFilter *filter)
{
    Runtime__V1__ListContainersRequest request = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;
    Runtime__V1__ListContainersResponse *reply = NULL;
    unsigned bits = 0;

    request.filter = filter;
    check(CRI_CALL(cast->fixture->node.client, "RuntimeService", "ListContainers", &request.base, CALL_TIMEOUT_MS,
                   list_containers_response, &reply));
    for (size_t i = 0; i < reply->n_containers; i++)
        bits |= container_bit(cast, reply->containers[i]->id);
    runtime__v1__list_containers_response__free_unpacked(reply, NULL);
    return bits;
}

static unsigned stats_listed(struct cast *cast, Runtime__V1__ContainerStatsFilter *filter)
{
    Runtime__V1__ListContainerStatsRequest request = RUNTIME__V1__LIST_CONTAINER_STATS_REQUEST__INIT;
    Runtime__V1__ListContainerStatsResponse *reply = NULL;
    unsigned bits = 0;

    request.filter = filter;
    check(CRI_CALL(cast->fixture->node.client, "RuntimeService", "ListContainerStats", &request.base, CALL_TIMEOUT_MS,
                   list_container_stats_response, &reply));
    for (size_t i = 0; i < reply->n_stats; i++)
        bits |= container_bit(cast, reply->stats[i]->attributes->id);
    runtime__v1__list_container_stats_response__free_unpacked(reply, NULL);
    return bits;
}

static void pods_are_filtered_by_id_state_and_labels(struct cast *cast)
{
    Runtime__V1__PodSandboxFilter filter = RUNTIME__V1__POD_SANDBOX_FILTER__INIT;
    Runtime__V1__PodSandboxStateValue value = RUNTIME__V1__POD_SANDBOX_STATE_VALUE__INIT;

    assert_int_equal(pods_listed(cast, NULL), 7);
    assert_int_equal(pods_listed(cast, &filter), 7);
    filter.id = cast->pods[1];
    assert_int_equal(pods_listed(cast, &filter), 2);
    autofree char *prefix = xstrndup(cast->pods[1], 32);
    filter.id = prefix;
    assert_int_equal(pods_listed(cast, &filter), 2);
    filter.id = (char *)"feedfeedfeedfeedfeed";
    assert_int_equal(pods_listed(cast, &filter), 0);
    filter = (Runtime__V1__PodSandboxFilter)RUNTIME__V1__POD_SANDBOX_FILTER__INIT;
    filter.state = &value;
    value.state = RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY;
    assert_int_equal(pods_listed(cast, &filter), 7);
    value.state = RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
    assert_int_equal(pods_listed(cast, &filter), 0);
    check(workload_pod_stop(&cast->fixture->work, cast->pods[2]));
    assert_int_equal(pods_listed(cast, &filter), 4);
    value.state = RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY;
    assert_int_equal(pods_listed(cast, &filter), 3);
}

#define SELECT(filter, ...)                                                                                            \
    do {                                                                                                               \
        static Runtime__V1__PodSandboxConfig__LabelsEntry *pairs_[] = {__VA_ARGS__};                                   \
        (filter)->label_selector = (void *)pairs_;                                                                     \
        (filter)->n_label_selector = sizeof(pairs_) / sizeof(*pairs_);                                                 \
    } while (0)

static void label_selectors_need_every_pair(struct cast *cast)
{
    Runtime__V1__PodSandboxFilter pods = RUNTIME__V1__POD_SANDBOX_FILTER__INIT;
    Runtime__V1__ContainerFilter containers = RUNTIME__V1__CONTAINER_FILTER__INIT;
    Runtime__V1__ContainerStatsFilter stats = RUNTIME__V1__CONTAINER_STATS_FILTER__INIT;

    SELECT(&pods, &labels[0]);
    SELECT(&containers, &labels[0]);
    SELECT(&stats, &labels[0]);
    assert_int_equal(pods_listed(cast, &pods), 3);
    assert_int_equal(containers_listed(cast, &containers), 033);
    assert_int_equal(stats_listed(cast, &stats), 003);
    SELECT(&pods, &labels[0], &labels[1]);
    SELECT(&containers, &labels[1], &labels[0]);
    SELECT(&stats, &labels[0], &labels[1]);
    assert_int_equal(pods_listed(cast, &pods), 1);
    assert_int_equal(containers_listed(cast, &containers), 011);
    assert_int_equal(stats_listed(cast, &stats), 001);
    SELECT(&pods, &labels[1], &labels[2]);
    SELECT(&containers, &labels[1], &labels[2]);
    SELECT(&stats, &labels[1], &labels[2]);
    assert_int_equal(pods_listed(cast, &pods) + containers_listed(cast, &containers) + stats_listed(cast, &stats), 0);
}

static void containers_are_filtered_by_id_state_and_pod(struct cast *cast)
{
    Runtime__V1__ContainerFilter filter = RUNTIME__V1__CONTAINER_FILTER__INIT;
    Runtime__V1__ContainerStateValue value = RUNTIME__V1__CONTAINER_STATE_VALUE__INIT;

    assert_int_equal(containers_listed(cast, NULL), 077);
    filter.id = cast->created[0];
    assert_int_equal(containers_listed(cast, &filter), 010);
    filter.pod_sandbox_id = cast->pods[1];
    assert_int_equal(containers_listed(cast, &filter), 0);
    filter.id = (char *)"";
    assert_int_equal(containers_listed(cast, &filter), 022);
    autofree char *prefix = xstrndup(cast->pods[1], 20);
    filter.pod_sandbox_id = prefix;
    assert_int_equal(containers_listed(cast, &filter), 022);
    filter.state = &value;
    value.state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
    assert_int_equal(containers_listed(cast, &filter), 002);
    filter.pod_sandbox_id = (char *)"";
    assert_int_equal(containers_listed(cast, &filter), 007);
    value.state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_CREATED;
    assert_int_equal(containers_listed(cast, &filter), 070);
    value.state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED;
    assert_int_equal(containers_listed(cast, &filter), 0);
    check(workload_stop(&cast->fixture->work, cast->running[2], 0));
    assert_int_equal(containers_listed(cast, &filter), 004);
}

static void statistics_are_filtered_by_id_and_pod(struct cast *cast)
{
    Runtime__V1__ContainerStatsFilter filter = RUNTIME__V1__CONTAINER_STATS_FILTER__INIT;

    filter.id = cast->running[1];
    assert_int_equal(stats_listed(cast, &filter), 002);
    filter.pod_sandbox_id = cast->pods[0];
    assert_int_equal(stats_listed(cast, &filter), 0);
    filter.id = (char *)"";
    assert_int_equal(stats_listed(cast, &filter), 001);
    assert_int_equal(stats_listed(cast, NULL), 007); /* those that run */
}

static void lists_let_through_what_their_filters_say(void **state)
{
    struct cast cast;

    cast_open(&cast, *state);
    label_selectors_need_every_pair(&cast);
    statistics_are_filtered_by_id_and_pod(&cast);
    containers_are_filtered_by_id_state_and_pod(&cast);
    pods_are_filtered_by_id_state_and_labels(&cast);
    cast_close(&cast);
}

/* Creates containers until two ids begin alike; returns how many. */
static size_t containers_until_two_alike(struct fixture *fixture, struct pod_request *pod, const char *pod_id,
                                         char **ids, char *ret_digit)
{
    bool has_digit[256] = {false};

    for (size_t i = 0; i < 17; i++) {
        struct container_request request;
        autofree char *name = xasprintf("c%zu", i);
        container_request_init(&request, pod, pod_id, name, busybox, sleeping);
        check(container_request_send(&request, fixture->node.client, &ids[i]));
        container_request_fini(&request);
        assert_int_equal(strlen(ids[i]), ID_SIZE);
        *ret_digit = ids[i][0];
        if (has_digit[(unsigned char)ids[i][0]])
            return i + 1;
        has_digit[(unsigned char)ids[i][0]] = true;
    }
    fail_msg("17 ids, and no two begin with the same hexadecimal digit");
    return 0;
}

static void a_short_id_serves_while_it_is_one_objects_alone(void **state)
{
    struct fixture *fixture = *state;
    struct pod_request pod;
    struct workload_state now;
    char *ids[17] = {0}, digit[2] = "";
    char *pod_id = pod_begin_plain(fixture, &pod, "short", true);
    size_t count = containers_until_two_alike(fixture, &pod, pod_id, ids, digit);
    autofree char *prefix = xstrndup(ids[0], 12), *pod_prefix = xstrndup(pod_id, 12), *ip = NULL;

    check(workload_start(&fixture->work, prefix));
    check(workload_status(&fixture->work, prefix, &now));
    assert_int_equal(now.state, RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING);
    check(workload_stop(&fixture->work, prefix, 0));
    check(workload_pod_ip(&fixture->work, pod_prefix, &ip));
    check_refused(workload_status(&fixture->work, digit, &now), ERROR_INVALID_ARGUMENT, "that begins with");
    check_refused(workload_remove(&fixture->work, digit), ERROR_INVALID_ARGUMENT, "that begins with");
    check_refused(workload_stop(&fixture->work, digit, 0), ERROR_INVALID_ARGUMENT, "that begins with");
    check(workload_pod_stop(&fixture->work, pod_prefix));
    check(workload_pod_remove(&fixture->work, pod_prefix));
    for (size_t i = 0; i < count; i++)
        free(ids[i]);
    pod_end(fixture, pod_id);
    pod_request_fini(&pod);
}

static Runtime__V1__PodSandboxStatusResponse *pod_status(struct fixture *fixture, const char *id)
{
    Runtime__V1__PodSandboxStatusRequest request = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;
    Runtime__V1__PodSandboxStatusResponse *reply = NULL;

    request.pod_sandbox_id = (char *)id;
    request.verbose = true;
    check(CRI_CALL(fixture->node.client, "RuntimeService", "PodSandboxStatus", &request.base, CALL_TIMEOUT_MS,
                   pod_sandbox_status_response, &reply));
    return reply;
}

static void a_pods_status_repeats_its_configuration(void **state)
{
    static Runtime__V1__PodSandboxConfig__AnnotationsEntry note =
        RUNTIME__V1__POD_SANDBOX_CONFIG__ANNOTATIONS_ENTRY__INIT;
    static Runtime__V1__PodSandboxConfig__AnnotationsEntry *notes[] = {&note};
    struct fixture *fixture = *state;
    struct pod_request pod;

    note.key = (char *)"example.org/note", note.value = (char *)"any text: \"quoted\", \xc3\xa4";
    pod_request_init(&pod, &fixture->node, "told", false);
    pod.metadata.attempt = 3;
    pod.config.labels = label_sets[0], pod.config.n_labels = 2;
    pod.config.annotations = notes, pod.config.n_annotations = 1;
    int64_t before_ns = clock_realtime_ns();
    fixture->handler = "runc";
    char *id = pod_begin(fixture, &pod);
    fixture->handler = NULL;
    Runtime__V1__PodSandboxStatusResponse *reply = pod_status(fixture, id);
    const Runtime__V1__PodSandboxStatus *status = reply->status;
    assert_string_equal(status->id, id);
    assert_string_equal(status->metadata->name, "told");
    assert_string_equal(status->metadata->namespace_, "test");
    assert_int_equal(status->metadata->attempt, 3);
    assert_int_equal(status->state, RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY);
    assert_true(status->created_at >= before_ns && status->created_at <= clock_realtime_ns());
    assert_memory_equal(status->network->ip, "10.198.0.", 9);
    assert_int_equal(status->linux->namespaces->options->pid, RUNTIME__V1__NAMESPACE_MODE__CONTAINER);
    assert_int_equal(status->n_labels, 2);
    assert_int_equal(status->n_annotations, 1);
    assert_string_equal(status->annotations[0]->value, note.value);
    assert_string_equal(status->runtime_handler, "runc");
    assert_true(reply->n_info > 0);
    runtime__v1__pod_sandbox_status_response__free_unpacked(reply, NULL);
    pod_end(fixture, id);
    pod_request_fini(&pod);
}

static Runtime__V1__ContainerStatusResponse *container_status(struct fixture *fixture, const char *id)
{
    Runtime__V1__ContainerStatusRequest request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
    Runtime__V1__ContainerStatusResponse *reply = NULL;

    request.container_id = (char *)id;
    request.verbose = true;
    check(CRI_CALL(fixture->node.client, "RuntimeService", "ContainerStatus", &request.base, CALL_TIMEOUT_MS,
                   container_status_response, &reply));
    return reply;
}

static void a_containers_status_repeats_its_configuration_and_tells_its_times(void **state)
{
    struct fixture *fixture = *state;
    struct pod_request pod;
    struct container_request request;
    struct workload_state now;
    static const char *const command[] = {"/bin/sh", "-c", "exit 7", NULL};
    char *pod_id = pod_begin_plain(fixture, &pod, "timed", true);

    container_request_init(&request, &pod, pod_id, "seven", busybox, command);
    request.resources.cpu_shares = 300;
    int64_t before_ns = clock_realtime_ns();
    autofree char *id = container_begin(fixture, &request);
    check(workload_wait_exit(&fixture->work, id, &now));
    Runtime__V1__ContainerStatusResponse *reply = container_status(fixture, id);
    const Runtime__V1__ContainerStatus *status = reply->status;
    autofree char *log = xasprintf("%s/%s", pod.logs, "seven.log");
    assert_string_equal(status->metadata->name, "seven");
    assert_string_equal(status->image->image, busybox);
    assert_non_null(strstr(status->image_ref, "sha256:"));
    assert_int_equal(status->exit_code, 7);
    assert_string_equal(status->reason, "Error");
    assert_string_equal(status->log_path, log);
    assert_true(before_ns <= status->created_at && status->created_at <= status->started_at);
    assert_true(status->started_at <= status->finished_at && status->finished_at <= clock_realtime_ns());
    assert_int_equal(status->resources->linux->cpu_shares, 300);
    runtime__v1__container_status_response__free_unpacked(reply, NULL);
    pod_end(fixture, pod_id);
    container_request_fini(&request);
    pod_request_fini(&pod);
}

static void the_node_tells_version_conditions_and_configuration(void **state)
{
    struct cri_client *client = ((struct fixture *)*state)->node.client;
    Runtime__V1__VersionRequest version_request = RUNTIME__V1__VERSION_REQUEST__INIT;
    Runtime__V1__StatusRequest status_request = RUNTIME__V1__STATUS_REQUEST__INIT;
    Runtime__V1__RuntimeConfigRequest config_request = RUNTIME__V1__RUNTIME_CONFIG_REQUEST__INIT;
    Runtime__V1__UpdateRuntimeConfigRequest update_request = RUNTIME__V1__UPDATE_RUNTIME_CONFIG_REQUEST__INIT;
    Runtime__V1__VersionResponse *version = NULL;
    Runtime__V1__StatusResponse *status = NULL;
    Runtime__V1__RuntimeConfigResponse *config = NULL;
    Runtime__V1__UpdateRuntimeConfigResponse *update = NULL;

    check(CRI_CALL(client, "RuntimeService", "Version", &version_request.base, CALL_TIMEOUT_MS, version_response,
                   &version));
    assert_string_equal(version->version, "0.1.0");
    assert_string_equal(version->runtime_name, "bulkhead");
    assert_true(*version->runtime_version && *version->runtime_api_version);
    status_request.verbose = true;
    check(
        CRI_CALL(client, "RuntimeService", "Status", &status_request.base, CALL_TIMEOUT_MS, status_response, &status));
    assert_string_equal(status->status->conditions[0]->type, "RuntimeReady");
    assert_string_equal(status->status->conditions[1]->type, "NetworkReady");
    assert_true(status->n_info > 0 && status->n_runtime_handlers >= 3); /* "", crun, runc */
    check(CRI_CALL(client, "RuntimeService", "RuntimeConfig", &config_request.base, CALL_TIMEOUT_MS,
                   runtime_config_response, &config));
    assert_int_equal(config->linux->cgroup_driver, ((struct fixture *)*state)->node.has_systemd_driver ? RUNTIME__V1__CGROUP_DRIVER__SYSTEMD
                                                                                                     : RUNTIME__V1__CGROUP_DRIVER__CGROUPFS);
    check(CRI_CALL(client, "RuntimeService", "UpdateRuntimeConfig", &update_request.base, CALL_TIMEOUT_MS,
                   update_runtime_config_response, &update));
    runtime__v1__version_response__free_unpacked(version, NULL);
    runtime__v1__status_response__free_unpacked(status, NULL);
    runtime__v1__runtime_config_response__free_unpacked(config, NULL);
    runtime__v1__update_runtime_config_response__free_unpacked(update, NULL);
}

/* Its runtime says only later that it was started. */
static void a_container_that_ends_while_it_is_started_began_before_its_end(void **state)
{
    static const char *const command[] = {"/bin/sh", "-c", "exit 7", NULL};
    struct fixture *fixture = *state;
    struct container_request request;
    struct workload_state now;
    struct pod_request pod;
    autofree char *late = xasprintf("cat > %s/late <<'E'\n#!/bin/sh\n/usr/bin/crun \"$@\"\nstatus=$?\ncase \" $* \" in *' start '*) sleep 2;; esac\n"
                                    "exit $status\nE\nchmod 755 %s/late", fixture->node.directory, fixture->node.directory);

    assert_int_equal(system(late), 0);
    pod_request_init(&pod, &fixture->node, "late", true);
    pod.request.runtime_handler = (char *)"late";
    char *pod_id = NULL;
    check(pod_request_send(&pod, fixture->node.client, &pod_id));
    container_request_init(&request, &pod, pod_id, "seven", busybox, command);
    autofree char *id = container_begin(fixture, &request);
    check(workload_wait_exit(&fixture->work, id, &now));
    Runtime__V1__ContainerStatusResponse *reply = container_status(fixture, id);
    assert_int_equal(reply->status->exit_code, 7);
    assert_true(reply->status->created_at <= reply->status->started_at && reply->status->started_at <= reply->status->finished_at);
    runtime__v1__container_status_response__free_unpacked(reply, NULL);
    pod_end(fixture, pod_id);
    container_request_fini(&request);
    pod_request_fini(&pod);
}

/* How many images a list has with this filter (NULL: none); each must have this tag. */
static size_t images_listed(struct fixture *fixture, const char *reference)
{
    Runtime__V1__ListImagesRequest request = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;
    Runtime__V1__ImageFilter filter = RUNTIME__V1__IMAGE_FILTER__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__ListImagesResponse *reply = NULL;

    image.image = (char *)reference;
    filter.image = &image;
    request.filter = reference ? &filter : NULL;
    check(CRI_CALL(fixture->node.client, "ImageService", "ListImages", &request.base, CALL_TIMEOUT_MS,
                   list_images_response, &reply));
    size_t count = reply->n_images;
    for (size_t i = 0; i < count; i++)
        assert_string_equal(reply->images[i]->repo_tags[0], busybox);
    runtime__v1__list_images_response__free_unpacked(reply, NULL);
    return count;
}

static void images_are_filtered_by_any_name_that_they_have(void **state)
{
    struct fixture *fixture = *state;
    autofree char *id = NULL;

    check(workload_pull(&fixture->work, busybox, &id));
    assert_int_equal(images_listed(fixture, NULL), 1);
    assert_int_equal(images_listed(fixture, ""), 1);
    assert_int_equal(images_listed(fixture, busybox), 1);
    assert_int_equal(images_listed(fixture, "busybox:test"), 1);
    assert_int_equal(images_listed(fixture, id), 1);
    assert_int_equal(images_listed(fixture, "busybox:other"), 0);
    assert_int_equal(images_listed(fixture, "absent"), 0);
}

static void the_image_file_system_holds_what_was_pulled(void **state)
{
    struct fixture *fixture = *state;
    Runtime__V1__ImageFsInfoRequest request = RUNTIME__V1__IMAGE_FS_INFO_REQUEST__INIT;
    Runtime__V1__ImageFsInfoResponse *reply = NULL;

    check(CRI_CALL(fixture->node.client, "ImageService", "ImageFsInfo", &request.base, CALL_TIMEOUT_MS,
                   image_fs_info_response, &reply));
    assert_true(reply->n_image_filesystems == 1 && reply->n_container_filesystems == 1);
    assert_memory_equal(reply->image_filesystems[0]->fs_id->mountpoint, fixture->node.root, strlen(fixture->node.root));
    assert_true(reply->image_filesystems[0]->used_bytes->value > 500000); /* busybox alone */
    assert_true(reply->image_filesystems[0]->inodes_used->value > 20);    /* and its links */
    runtime__v1__image_fs_info_response__free_unpacked(reply, NULL);
}

static int lists_open(void **state)
{
    return fixture_open_with(state, "\"runtimes\": {\"crun\": {\"path\": \"/usr/bin/crun\"}, \"runc\": {\"path\": \"/usr/sbin/runc\"}, "
                                    "\"late\": {\"path\": \"$DIR/late\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(lists_let_through_what_their_filters_say),
        NODE_TEST(a_short_id_serves_while_it_is_one_objects_alone),
        NODE_TEST(a_pods_status_repeats_its_configuration),
        NODE_TEST(a_containers_status_repeats_its_configuration_and_tells_its_times),
        NODE_TEST(a_container_that_ends_while_it_is_started_began_before_its_end),
        NODE_TEST(the_node_tells_version_conditions_and_configuration),
        NODE_TEST(images_are_filtered_by_any_name_that_they_have),
        NODE_TEST(the_image_file_system_holds_what_was_pulled),
    };

    return cmocka_run_group_tests(tests, lists_open, fixture_close);
}
