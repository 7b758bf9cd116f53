/* The fields of metav1.Status that clients of exec and attach look at (k8s.io/apimachinery,
 * k8s.io/client-go/tools/remotecommand). */
#include "services/criapi/stream/status_json.h"

#include <jansson.h>
#include <sys/wait.h>

#include "common/memory.h"

static char *json_take(json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return text ? text
                : xstrdup("{\"metadata\":{},\"status\":\"Failure\",\"code\":500}"); /* a text that is not UTF-8 */
}

char *status_success(bool as_json)
{
    if (!as_json)
        return xstrdup("");
    return json_take(json_pack("{s{} ss}", "metadata", "status", "Success"));
}

static int exit_code(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

char *status_exit(bool as_json, int wait_status)
{
    int code = exit_code(wait_status);

    if (code == 0)
        return status_success(as_json);
    autofree char *message = xasprintf("command terminated with non-zero exit code: exit status %d", code);
    if (!as_json)
        return TAKE(message);
    autofree char *number = xasprintf("%d", code);
    return json_take(json_pack("{s{} ss ss ss s{s[{ss ss}]}}", "metadata", "status", "Failure", "message", message,
                               "reason", "NonZeroExitCode", "details", "causes", "reason", "ExitCode", "message",
                               number));
}

char *status_failure(bool as_json, const char *what, const struct error *why)
{
    autofree char *cause = xasprintf("%s: %s", what, why->text);

    if (!as_json)
        return TAKE(cause);
    autofree char *message = xasprintf("Internal error occurred: %s", cause);
    return json_take(json_pack("{s{} ss ss ss s{s[{ss}]} si}", "metadata", "status", "Failure", "message", message,
                               "reason", "InternalError", "details", "causes", "message", cause, "code", 500));
}
