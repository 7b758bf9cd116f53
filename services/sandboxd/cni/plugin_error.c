/* What a plugin's failure means: its own words where it has any. */
#include <ctype.h>
#include <jansson.h>
#include <string.h>
#include <sys/wait.h>

#include "common/memory.h"
#include "services/sandboxd/cni/cni.h"

enum { CODE_TRY_AGAIN_LATER = 11, TEXT_MAX = 1024 };

/* One line of printable ASCII, cut at TEXT_MAX. */
static char *line_clean(const char *data, size_t size)
{
    while (size > 0 && isspace((unsigned char)data[size - 1]))
        size--;
    char *line = size ? xstrndup(data, size < TEXT_MAX ? size : TEXT_MAX) : xstrdup("");
    for (char *c = line; *c; c++) {
        if (!isprint((unsigned char)*c))
            *c = isspace((unsigned char)*c) ? ' ' : '?';
    }
    return line;
}

static char *status_text(int wait_status)
{
    if (WIFSIGNALED(wait_status))
        return xasprintf("killed by signal %d", WTERMSIG(wait_status));
    return xasprintf("exit status %d", WEXITSTATUS(wait_status));
}

/* The error object's code and "msg; details". NULL when there is none. */
static char *object_text(const char *out, size_t size, json_int_t *ret_code)
{
    json_t *root = size && size <= CNI_RESULT_MAX ? json_loadb(out, size, 0, NULL) : NULL;
    const char *msg = json_string_value(json_object_get(root, "msg"));
    const char *details = json_string_value(json_object_get(root, "details"));
    char *text = NULL;

    if (msg && msg[0]) {
        *ret_code = json_integer_value(json_object_get(root, "code"));
        autofree char *joined = details && details[0] ? xasprintf("%s; %s", msg, details) : xstrdup(msg);
        text = line_clean(joined, strlen(joined));
    }
    json_decref(root);
    return text;
}

struct error *cni_plugin_error(const char *type, enum cni_command command, int wait_status, const char *out,
                               size_t out_size, const char *err, size_t err_size)
{
    json_int_t code = 0;
    autofree char *text = object_text(out, out_size, &code);
    autofree char *status = status_text(wait_status);

    if (!text)
        text = line_clean(err, err_size);
    return error_new(code == CODE_TRY_AGAIN_LATER ? ERROR_UNAVAILABLE : ERROR_INTERNAL,
                     "CNI plugin type=\"%s\" failed (%s): %s%s%s", type, command == CNI_ADD ? "add" : "delete",
                     text[0] && code ? text : status, text[0] && !code ? ": " : "", text[0] && !code ? text : "");
}
