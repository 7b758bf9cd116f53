/* What each confined process may do, and what is refused to it: its own privileges table, taken by a child of the test. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/memory.h"
#include "services/criapi/criapi.h"
#include "services/criapi/stream/privileges.h"
#include "services/imaged/fetch/privileges.h"
#include "services/imaged/imaged.h"
#include "services/imaged/unpack/privileges.h"
#include "services/logd/privileges.h"
#include "services/sandboxd/sandboxd.h"
#include "services/supervisor/supervisor.h"
#include "tests/support/check.h"

enum { REFUSED = 7 };

struct scene {
    char directory[32];
    struct config *config;
    char *own; /* "r/NAME": the program's directory below it */
    int port;  /* of a listener on loopback */
};

static const struct scene *scene; /* acts take no argument */

/* Each act does one thing: 0, or the errno that refused it. */

static int failure_of(long result)
{
    return result < 0 ? errno : 0;
}

static int file_open(const char *place, const char *name, int flags)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s/%s", scene->directory, place, name);
    return failure_of(open(path, flags | O_CLOEXEC, 0644));
}

static int shadow_read(void)
{
    return failure_of(open("/etc/shadow", O_RDONLY | O_CLOEXEC));
}

static int program_read(void)
{
    return failure_of(open("/bin/true", O_RDONLY | O_CLOEXEC));
}

static int own_write(void)
{
    return file_open(scene->own, "made", O_CREAT | O_WRONLY);
}

static int root_others_read(void)
{
    return file_open("r/other", "file", O_RDONLY);
}

static int state_others_write(void)
{
    return file_open("s/other", "made", O_CREAT | O_WRONLY);
}

static int internet_connect(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)scene->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? errno : failure_of(connect(fd, (struct sockaddr *)&address, sizeof(address)));
}

static int unix_socket(void)
{
    return failure_of(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int packet_socket(void)
{
    return failure_of(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static void *nothing(void *argument)
{
    return argument;
}

static int thread_start(void)
{
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, nothing, NULL);

    if (!failed)
        pthread_join(thread, NULL);
    return failed;
}

static int process_start(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(0);
    return failure_of(child);
}

static int program_start(void)
{
    execl("/bin/true", "true", (char *)NULL);
    return errno;
}

static int mount_make(void)
{
    return failure_of(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static int process_trace(void)
{
    return failure_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int parent_kill(void)
{
    return failure_of(kill(getppid(), 0));
}

static int namespace_make(void)
{
    return failure_of(unshare(CLONE_NEWUSER));
}

static int owner_change(void)
{
    return failure_of(fchown(STDIN_FILENO, (uid_t)-1, (gid_t)-1));
}

static int module_load(void)
{
    return failure_of(syscall(SYS_finit_module, -1, "", 0));
}

static int keys_add(void)
{
    return failure_of(syscall(SYS_add_key, "user", "name", "x", 1, -3));
}

static int ring_make(void)
{
    return failure_of(syscall(SYS_io_uring_setup, 1, NULL));
}

static int terminal_type(void)
{
    return failure_of(syscall(SYS_ioctl, STDIN_FILENO, 0x5412 /* TIOCSTI */, "x"));
}

/* --- a child with a program's rights ------------------------------------------------------------------------------- */

static int try(const struct service_privileges *privileges, int (*act)(void))
{
    struct error *failure = service_confine(scene->config, privileges);

    if (!failure && privileges->is_jailed)
        failure = service_restrict(scene->config, privileges);
    if (failure) {
        fprintf(stderr, "%s\n", failure->text);
        return 100;
    }
    int refusal = act();
    if (refusal == EPERM || refusal == EACCES)
        return REFUSED;
    if (refusal)
        fprintf(stderr, "%s\n", strerror(refusal));
    return refusal ? 101 : 0;
}

/* SIGSYS: a build for tests makes that of a system call that is refused. */
static bool is_allowed(const struct service_privileges *privileges, int (*act)(void), const char *name)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(try(privileges, act));
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        return false;
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != REFUSED))
        fail_msg("%s: wait status %x", name, status);
    return WEXITSTATUS(status) == 0;
}

struct program {
    const char *name;
    const struct service_privileges *privileges;
    const char *allowed; /* names of acts, each between spaces */
};

static const struct program programs[] = {
    {"supervisor", &supervisor_privileges, " thread unix own "},
    {"criapi", &criapi_privileges, " thread unix "},
    {"sandboxd", &sandboxd_privileges, " thread unix own "},
    {"imaged", &imaged_privileges, " thread unix own "},
    {"logd", &logd_privileges, " thread unix "},
    {"stream", &stream_privileges, " unix "},
    {"fetch", &fetch_privileges, " thread unix internet program "},
    {"unpack", &unpack_privileges, " own shadow program others-root others-state owner "}, /* in its jail, which is not here */
};

static const struct {
    const char *name;
    int (*act)(void);
} acts[] = {
    {"thread", thread_start},
    {"unix", unix_socket},
    {"own", own_write},
    {"internet", internet_connect},
    {"program", program_read},
    {"owner", owner_change},
    {"shadow", shadow_read},
    {"others-root", root_others_read},
    {"others-state", state_others_write},
    {"packet", packet_socket},
    {"process", process_start},
    {"exec", program_start},
    {"mount", mount_make},
    {"trace", process_trace},
    {"kill", parent_kill},
    {"namespace", namespace_make},
    {"module", module_load},
    {"keys", keys_add},
    {"ring", ring_make},
    {"terminal", terminal_type},
};

static void each_has_its_rights_and_no_others(struct scene *stage, const struct program *program)
{
    autofree char *own = xasprintf("r/%s", program->name), *path = xasprintf("%s/%s", stage->directory, own);
    uid_t uid = config_uid(stage->config, program->privileges->user);

    stage->own = own;
    assert_int_equal(mkdir(path, 0711), 0);
    assert_int_equal(chown(path, uid, uid), 0);
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        autofree char *word = xasprintf(" %s ", acts[i].name), *name = xasprintf("%s, %s", program->name, acts[i].name);
        bool is_expected = strstr(program->allowed, word) != NULL;
        if (is_allowed(program->privileges, acts[i].act, name) != is_expected)
            fail_msg("%s: %s", name, is_expected ? "refused" : "allowed");
    }
}

static void programs_have_their_rights_and_no_others(void **state)
{
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        each_has_its_rights_and_no_others(*state, &programs[i]);
}

/* --- the stage ---------------------------------------------------------------------------------------------------- */

/* Anybody may read and write here, so that what is refused is refused by more than owners. */
static void directory_make(const struct scene *made, const char *name, mode_t mode)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", made->directory, name);
    assert_int_equal(mkdir(path, mode), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int scene_open(void **state)
{
    struct scene *made = xcalloc(1, sizeof(*made));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    char path[64];

    snprintf(made->directory, sizeof(made->directory), "/tmp/bhrights.XXXXXX");
    assert_non_null(mkdtemp(made->directory));
    assert_int_equal(chmod(made->directory, 0755), 0);
    directory_make(made, "r", 0755);
    directory_make(made, "s", 0755);
    directory_make(made, "r/other", 0777);
    directory_make(made, "s/other", 0777);
    snprintf(path, sizeof(path), "%s/r/other/file", made->directory);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
    assert_true(file >= 0);
    close(file);
    autofree char *root = xasprintf("--root=%s/r", made->directory), *where = xasprintf("--state=%s/s", made->directory);
    char *arguments[] = {(char *)"rights", root, where, NULL};
    int count = 3;
    check(config_from_arguments(&count, arguments, &made->config));
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    made->port = ntohs(address.sin_port);
    scene = *state = made;
    return 0;
}

static int scene_close(void **state)
{
    struct scene *made = *state;
    autofree char *command = xasprintf("rm -rf %s", made->directory);

    config_free(made->config);
    assert_int_equal(system(command), 0);
    free(made);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_have_their_rights_and_no_others),
    };

    return cmocka_run_group_tests(tests, scene_open, scene_close);
}
