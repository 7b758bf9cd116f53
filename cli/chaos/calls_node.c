/* How the calls about many objects, about images and about the runtime itself become messages and answers. */
#include "cli/chaos/calls.h"

#include <string.h>

#include "cli/chaos/call.h"

static char label_key[] = "bulkhead.chaos", pod_key[] = "bulkhead.chaos.pod";

void ids_free(char **ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(ids[i]);
    free(ids);
}

struct error *call_list_pods(struct caller *caller, const char *uid, char ***ret_ids, size_t *ret_count)
{
    Runtime__V1__ListPodSandboxRequest request = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;
    Runtime__V1__PodSandboxFilter filter = RUNTIME__V1__POD_SANDBOX_FILTER__INIT;
    Runtime__V1__PodSandboxFilter__LabelSelectorEntry label = RUNTIME__V1__POD_SANDBOX_FILTER__LABEL_SELECTOR_ENTRY__INIT;
    Runtime__V1__PodSandboxFilter__LabelSelectorEntry *labels[] = {&label};
    Runtime__V1__ListPodSandboxResponse *reply;

    label.key = uid ? pod_key : label_key;
    label.value = (char *)(uid ? uid : caller->chaos->name);
    filter.label_selector = labels;
    filter.n_label_selector = 1;
    request.filter = &filter;
    CALL(caller, RPC_LIST_PODS, &request, list_pod_sandbox_response, &reply);
    *ret_ids = xcalloc(reply->n_items + 1, sizeof(**ret_ids));
    *ret_count = reply->n_items;
    for (size_t i = 0; i < reply->n_items; i++)
        (*ret_ids)[i] = xstrdup(reply->items[i]->id);
    runtime__v1__list_pod_sandbox_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *call_list_containers(struct caller *caller, char ***ret_ids, size_t *ret_count)
{
    Runtime__V1__ListContainersRequest request = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;
    Runtime__V1__ContainerFilter filter = RUNTIME__V1__CONTAINER_FILTER__INIT;
    Runtime__V1__ContainerFilter__LabelSelectorEntry label = RUNTIME__V1__CONTAINER_FILTER__LABEL_SELECTOR_ENTRY__INIT;
    Runtime__V1__ContainerFilter__LabelSelectorEntry *labels[] = {&label};
    Runtime__V1__ListContainersResponse *reply;

    label.key = label_key;
    label.value = caller->chaos->name;
    filter.label_selector = labels;
    filter.n_label_selector = 1;
    request.filter = &filter;
    CALL(caller, RPC_LIST_CONTAINERS, &request, list_containers_response, &reply);
    *ret_ids = xcalloc(reply->n_containers + 1, sizeof(**ret_ids));
    *ret_count = reply->n_containers;
    for (size_t i = 0; i < reply->n_containers; i++)
        (*ret_ids)[i] = xstrdup(reply->containers[i]->id);
    runtime__v1__list_containers_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *call_pull(struct caller *caller, const char *reference, char **ret_image)
{
    Runtime__V1__PullImageRequest request = RUNTIME__V1__PULL_IMAGE_REQUEST__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__PullImageResponse *reply;

    image.image = (char *)reference;
    request.image = &image;
    CALL(caller, RPC_PULL, &request, pull_image_response, &reply);
    *ret_image = xstrdup(reply->image_ref);
    runtime__v1__pull_image_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *call_image_status(struct caller *caller, const char *reference, bool *ret_there)
{
    Runtime__V1__ImageStatusRequest request = RUNTIME__V1__IMAGE_STATUS_REQUEST__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__ImageStatusResponse *reply;

    image.image = (char *)reference;
    request.image = &image;
    CALL(caller, RPC_IMAGE_STATUS, &request, image_status_response, &reply);
    *ret_there = reply->image != NULL;
    runtime__v1__image_status_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *call_remove_image(struct caller *caller, const char *reference)
{
    Runtime__V1__RemoveImageRequest request = RUNTIME__V1__REMOVE_IMAGE_REQUEST__INIT;
    Runtime__V1__ImageSpec image = RUNTIME__V1__IMAGE_SPEC__INIT;
    Runtime__V1__RemoveImageResponse *reply;

    image.image = (char *)reference;
    request.image = &image;
    CALL(caller, RPC_REMOVE_IMAGE, &request, remove_image_response, &reply);
    runtime__v1__remove_image_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *call_list_images(struct caller *caller, size_t *ret_count)
{
    Runtime__V1__ListImagesRequest request = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;
    Runtime__V1__ListImagesResponse *reply;

    CALL(caller, RPC_LIST_IMAGES, &request, list_images_response, &reply);
    *ret_count = reply->n_images;
    runtime__v1__list_images_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *call_version(struct caller *caller)
{
    Runtime__V1__VersionRequest request = RUNTIME__V1__VERSION_REQUEST__INIT;
    Runtime__V1__VersionResponse *reply;

    CALL(caller, RPC_VERSION, &request, version_response, &reply);
    runtime__v1__version_response__free_unpacked(reply, NULL);
    return NULL;
}

struct error *call_status(struct caller *caller, bool *ret_ready)
{
    Runtime__V1__StatusRequest request = RUNTIME__V1__STATUS_REQUEST__INIT;
    Runtime__V1__StatusResponse *reply;

    CALL(caller, RPC_STATUS, &request, status_response, &reply);
    *ret_ready = reply->status && reply->status->n_conditions >= 2;
    for (size_t i = 0; reply->status && i < reply->status->n_conditions; i++)
        *ret_ready = *ret_ready && reply->status->conditions[i]->status;
    runtime__v1__status_response__free_unpacked(reply, NULL);
    return NULL;
}
