/* What bulkhead says it is. */
#include "services/criapi/version.h"

#include "common/memory.h"
#include "proto/cri.pb-c.h"

struct error *version_answer(enum api_version version, const uint8_t *request, size_t size, uint8_t **ret_reply,
                             size_t *ret_size)
{
    Runtime__V1__VersionRequest *asked = runtime__v1__version_request__unpack(NULL, size, request);
    Runtime__V1__VersionResponse answer = RUNTIME__V1__VERSION_RESPONSE__INIT;

    if (!asked)
        return error_new(ERROR_INVALID_ARGUMENT, "the VersionRequest does not parse");
    runtime__v1__version_request__free_unpacked(asked, NULL);
    answer.version = "0.1.0"; /* of the kubelet's runtime API: any other value, and it does not start */
    answer.runtime_name = "bulkhead";
    answer.runtime_version = BULKHEAD_VERSION;
    answer.runtime_api_version = version == API_V1 ? "v1" : "v1alpha2";
    *ret_size = runtime__v1__version_response__get_packed_size(&answer);
    *ret_reply = xmalloc(*ret_size);
    runtime__v1__version_response__pack(&answer, *ret_reply);
    return NULL;
}
