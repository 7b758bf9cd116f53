/* unpack makes one layer's directory from its blob, mends or empties it, jailed in that directory. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/service.h"
#include "services/imaged/digest.h"
#include "services/imaged/inherited.h"
#include "services/imaged/unpack/extract.h"
#include "services/imaged/unpack/jail.h"
#include "services/imaged/unpack/parents.h"
#include "services/imaged/unpack/privileges.h"
#include "services/imaged/unpack/report.h"
#include "services/imaged/unpack/tree.h"

enum { LAYERS_MAX = 500, NAMES_SIZE_MAX = 64 << 10 };

struct unpack {
    int blob, watermark, parents, below; /* -1: not given */
    int layers[LAYERS_MAX];              /* below, the topmost first */
    size_t layer_count;
};

/* The bounding set is empty by now, so what is given up here does not come back. */
static struct error *jail_close(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)UNPACK_CAPABILITIES, .permitted = (uint32_t)UNPACK_CAPABILITIES},
        {.effective = (uint32_t)(UNPACK_CAPABILITIES >> 32), .permitted = (uint32_t)(UNPACK_CAPABILITIES >> 32)},
    };

    return syscall(SYS_capset, &header, data) < 0 ? error_errno(errno, "give SYS_ADMIN up") : NULL;
}

/* Opens the layers that are named in the file, while their paths can still be walked. */
static struct error *below_open(const char *root, struct unpack *unpack)
{
    autofree char *names = NULL;
    size_t size;

    if (unpack->below < 0)
        return NULL;
    if (lseek(unpack->below, 0, SEEK_SET) < 0)
        return error_errno(errno, "read the layers below");
    TRY(fd_read_all(unpack->below, NAMES_SIZE_MAX, &names, &size));
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        if (unpack->layer_count == LAYERS_MAX)
            return error_new(ERROR_INVALID_ARGUMENT, "more than %d layers below", LAYERS_MAX);
        TRY(jail_layer_open(root, name, &unpack->layers[unpack->layer_count]));
        unpack->layer_count++;
    }
    return NULL;
}

static struct error *confine(int argc, char **argv, struct unpack *unpack)
{
    autoptr(config) config = NULL;
    char warm[DIGEST_TEXT_SIZE];

    TRY(config_from_arguments(&argc, argv, &config));
    if (argc != 2)
        return error_new(ERROR_INVALID_ARGUMENT, "usage: bulkhead-unpack [flags] LAYER");
    digest_of("", 0, warm); /* OpenSSL reads its configuration while there are files to read */
    setlocale(LC_CTYPE, "C.UTF-8");
    TRY(service_confine(config, &unpack_privileges));
    TRY(below_open(config->root, unpack));
    TRY(jail_enter(config->root, argv[1]));
    TRY(jail_close());
    return service_restrict(config, &unpack_privileges);
}

static struct error *mend(const struct unpack *unpack, int root)
{
    autofree char *list = NULL;
    size_t size;

    if (lseek(unpack->parents, 0, SEEK_SET) < 0)
        return error_errno(errno, "read the list of directories");
    TRY(fd_read_all(unpack->parents, UNPACK_PARENTS_MAX, &list, &size));
    return parents_mend(root, unpack->layers, unpack->layer_count, list, size);
}

static struct error *work(const struct unpack *unpack, struct unpack_report *report)
{
    autoclose int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        return error_errno(errno, "open the layer");
    if (unpack->below >= 0)
        return mend(unpack, root);
    TRY_TO(tree_empty(root), "empty the layer");
    if (unpack->blob < 0)
        return NULL;
    if (unpack->watermark < 0 || lseek(unpack->parents, 0, SEEK_SET) < 0)
        return error_new(ERROR_INVALID_ARGUMENT, "a blob without its watermark, or a list to fill");
    return extract(root, unpack->blob, unpack->watermark, unpack->parents, report);
}

int main(int argc, char **argv)
{
    struct unpack_report report = {.version = UNPACK_VERSION};
    struct unpack unpack = {
        .blob = inherited_fd("blob"),
        .watermark = inherited_fd("watermark"),
        .parents = inherited_fd("parents"),
        .below = inherited_fd("below"),
    };
    int out = inherited_fd("report");

    signal(SIGPIPE, SIG_IGN);
    log_open("unpack", LOG_LEVEL_INFO);
    struct error *failure = confine(argc, argv, &unpack);
    if (!failure)
        failure = work(&unpack, &report);
    if (failure) {
        report.code = (int32_t)failure->code;
        snprintf(report.text, sizeof(report.text), "%s", failure->text);
        if (out < 0)
            log_error("unpack failed", "error=%s", log_quote(failure->text));
    }
    error_free(failure);
    if (out >= 0)
        error_free(fd_write_all(out, &report, sizeof(report))); /* nobody reads it: imaged has died, and begins again */
    return report.code ? 1 : 0;
}
