/* unpack makes one layer's directory from its blob, or empties it, jailed in that directory. */
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
#include "services/imaged/unpack/report.h"
#include "services/imaged/unpack/tree.h"

#define CAPABILITY(name) (UINT64_C(1) << CAP_##name)

/* FSETID: without it set-id bits are lost, and nothing says so. */
#define KEPT                                                                                                           \
    (CAPABILITY(CHOWN) | CAPABILITY(DAC_OVERRIDE) | CAPABILITY(FOWNER) | CAPABILITY(FSETID) | CAPABILITY(MKNOD) |       \
     CAPABILITY(SETFCAP))

/* SYS_ADMIN only until the jail stands, which comes second because there is no /proc in it. */
static const struct service_privileges privileges = {
    .user = CONFIG_USER_ROOT,
    .capabilities = KEPT | CAPABILITY(SYS_ADMIN),
    .nofile = 256,
};

/* The bounding set is empty by now, so what is given up here does not come back. */
static struct error *jail_close(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)KEPT, .permitted = (uint32_t)KEPT},
        {.effective = (uint32_t)(KEPT >> 32), .permitted = (uint32_t)(KEPT >> 32)},
    };

    return syscall(SYS_capset, &header, data) < 0 ? error_errno(errno, "give SYS_ADMIN up") : NULL;
}

static struct error *confine(int argc, char **argv)
{
    autoptr(config) config = NULL;
    char warm[DIGEST_TEXT_SIZE];

    TRY(config_from_arguments(&argc, argv, &config));
    if (argc != 2)
        return error_new(ERROR_INVALID_ARGUMENT, "usage: bulkhead-unpack [flags] LAYER");
    digest_of("", 0, warm); /* OpenSSL reads its configuration while there are files to read */
    setlocale(LC_CTYPE, "C.UTF-8");
    TRY(service_confine(config, &privileges));
    TRY(jail_enter(config->root, argv[1]));
    return jail_close();
}

static struct error *work(struct unpack_report *report)
{
    int blob = inherited_fd("blob"), watermark = inherited_fd("watermark");
    autoclose int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        return error_errno(errno, "open the layer");
    TRY_TO(tree_empty(root), "empty the layer");
    if (blob < 0)
        return NULL;
    if (watermark < 0)
        return error_new(ERROR_INVALID_ARGUMENT, "a blob without its watermark");
    return extract(root, blob, watermark, report);
}

int main(int argc, char **argv)
{
    struct unpack_report report = {.version = UNPACK_VERSION};
    int out = inherited_fd("report");

    signal(SIGPIPE, SIG_IGN);
    log_open("unpack", LOG_LEVEL_INFO);
    struct error *failure = confine(argc, argv);
    if (!failure)
        failure = work(&report);
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
