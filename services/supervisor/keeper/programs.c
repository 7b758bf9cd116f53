/* Which programs exist, who may ask for them, and which directories are theirs. */
#include "services/supervisor/keeper/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/memory.h"

static const struct program programs[KEEPER_PROGRAM_COUNT] = {
    [KEEPER_SUPERVISOR] = {.name = "supervisor", .spawner = CONFIG_USER_ROOT, .owner = CONFIG_USER_SUPERVISOR,
                           .has_directories = true},
    [KEEPER_CRIAPI] = {.name = "criapi", .spawner = CONFIG_USER_SUPERVISOR, .owner = CONFIG_USER_CRIAPI,
                       .has_directories = true, .has_notify = true},
    [KEEPER_SANDBOXD] = {.name = "sandboxd", .spawner = CONFIG_USER_SUPERVISOR, .owner = CONFIG_USER_SANDBOXD,
                         .has_directories = true, .has_notify = true},
    [KEEPER_IMAGED] = {.name = "imaged", .spawner = CONFIG_USER_SUPERVISOR, .owner = CONFIG_USER_IMAGED,
                       .has_directories = true, .has_notify = true},
    [KEEPER_LOGD] = {.name = "logd", .spawner = CONFIG_USER_SUPERVISOR, .owner = CONFIG_USER_LOGD,
                     .has_directories = true, .has_notify = true},
    [KEEPER_STREAM] = {.name = "stream", .spawner = CONFIG_USER_SUPERVISOR, .has_instance = true,
                       .has_notify = true},
    [KEEPER_SHIM] = {.name = "shim", .spawner = CONFIG_USER_SANDBOXD, .owner = CONFIG_USER_ROOT,
                     .has_directories = true, .has_instance = true, .outlives_keeper = true},
    [KEEPER_FETCH] = {.name = "fetch", .spawner = CONFIG_USER_IMAGED, .has_instance = true},
    [KEEPER_UNPACK] = {.name = "unpack", .spawner = CONFIG_USER_IMAGED, .has_instance = true},
};

const struct program *program_get(enum keeper_program program)
{
    return &programs[program];
}

bool program_is_valid(int32_t program)
{
    return program >= 0 && program < KEEPER_PROGRAM_COUNT;
}

uid_t keeper_uid(const struct keeper *keeper, enum config_user user)
{
    return user == CONFIG_USER_ROOT ? 0 : keeper->options->uid_first + (uid_t)user;
}

bool program_is_allowed(const struct keeper *keeper, enum keeper_program program, uid_t uid)
{
    return uid == 0 || (programs[program].spawner != CONFIG_USER_ROOT &&
                        uid == keeper_uid(keeper, programs[program].spawner));
}

struct error *program_open(struct keeper *keeper, enum keeper_program program)
{
    if (keeper->program_fds[program] >= 0)
        return NULL;
    autofree char *path = xasprintf("%s/bulkhead-%s", keeper->options->programs, programs[program].name);
    keeper->program_fds[program] = open(path, O_PATH | O_CLOEXEC);
    if (keeper->program_fds[program] < 0)
        return error_errno(errno, "program %s", path);
    return NULL;
}

void programs_open(struct keeper *keeper)
{
    for (int program = 0; program < KEEPER_PROGRAM_COUNT; program++) {
        keeper->program_fds[program] = -1;
        autoptr(error) missing = program_open(keeper, (enum keeper_program)program);
        if (missing)
            log_warn("a program is missing", "error=%s", log_quote(missing->text));
    }
}

static struct error *directory_make(const char *path, mode_t mode, uid_t owner)
{
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return error_errno(errno, "mkdir %s", path);
    autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(errno, "open %s", path);
    if (fchown(fd, owner, owner) < 0 || fchmod(fd, mode) < 0)
        return error_errno(errno, "owner of %s", path);
    return NULL;
}

struct error *program_directories_make(struct keeper *keeper)
{
    const char *const parents[] = {keeper->options->root, keeper->options->state};

    for (size_t i = 0; i < 2; i++) {
        TRY(directory_make(parents[i], 0711, 0));
        for (int program = 0; program < KEEPER_PROGRAM_COUNT; program++) {
            if (!programs[program].has_directories)
                continue;
            autofree char *path = xasprintf("%s/%s", parents[i], programs[program].name);
            TRY(directory_make(path, program == KEEPER_SHIM ? 0755 : 0711, keeper_uid(keeper, programs[program].owner)));
        }
    }
    return NULL;
}

struct error *shim_directories_make(struct keeper *keeper, const char *pod)
{
    autofree char *root = xasprintf("%s/shim/%s", keeper->options->root, pod);
    autofree char *state = xasprintf("%s/shim/%s", keeper->options->state, pod);

    TRY(directory_make(root, 0755, 0));
    return directory_make(state, 0755, 0);
}
