/* SHIM_READ_FILES: files of the host that sandboxd parses and may not open. They are copied by a child: the file system may hang. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/task_step.h"

enum { FILE_SIZE_MAX = 1 << 20, ALL_SIZE_MAX = 16 << 20 };

/* A device or a FIFO is never opened for reading: that alone may do something. */
static struct error *regular_open(const char *path, bool may_be_directory, int *ret_fd, bool *ret_is_directory)
{
    struct stat about;
    autoclose int found = open(path, O_PATH | O_CLOEXEC);

    if (found < 0 || fstat(found, &about) < 0)
        return error_errno(errno, "%s", path);
    *ret_is_directory = S_ISDIR(about.st_mode);
    if (!S_ISREG(about.st_mode) && !(may_be_directory && *ret_is_directory))
        return error_new(ERROR_INVALID_ARGUMENT, "%s is no regular file", path);
    autofree char *again = xasprintf("/proc/self/fd/%d", found);
    int fd = open(again, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(errno, "%s", path);
    *ret_fd = fd;
    return NULL;
}

static void failure_put(struct wire_writer *fields, struct error *failure)
{
    wire_put_u64(fields, SHIM_TAG_CODE, (uint64_t)failure->code);
    wire_put_string(fields, SHIM_TAG_TEXT, failure->text);
    error_free(failure);
}

static struct error *data_put(struct wire_writer *fields, const char *path, int fd)
{
    autofree char *data = NULL;
    size_t size = 0;

    TRY_TO(fd_read_all(fd, FILE_SIZE_MAX, &data, &size), "%s", path);
    if (fields->size + size > ALL_SIZE_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%s: the files before it are too many bytes already", path);
    wire_put(fields, SHIM_TAG_DATA, data, size);
    return NULL;
}

static void file_put(struct wire_writer *fields, const char *path)
{
    bool is_directory;
    autoclose int fd = -1;

    wire_put_string(fields, SHIM_TAG_PATH, path);
    struct error *failure = regular_open(path, false, &fd, &is_directory);
    if (!failure)
        failure = data_put(fields, path, fd);
    if (failure)
        failure_put(fields, failure);
}

static void directory_put(struct wire_writer *fields, const char *path, int fd)
{
    DIR *directory = fdopendir(fd);

    for (const struct dirent *entry; directory && (entry = readdir(directory));) {
        autofree char *inner = xasprintf("%s/%s", path, entry->d_name);
        struct stat about;
        if (entry->d_name[0] != '.' && stat(inner, &about) == 0 && S_ISREG(about.st_mode))
            file_put(fields, inner);
    }
    if (directory)
        closedir(directory);
    else
        close(fd);
}

static void path_put(struct wire_writer *fields, const char *path)
{
    bool is_directory = false;
    autoclose int fd = -1;
    struct error *failure = regular_open(path, true, &fd, &is_directory);

    if (!failure && is_directory) {
        directory_put(fields, path, TAKE_FD(fd));
        return;
    }
    wire_put_string(fields, SHIM_TAG_PATH, path);
    if (!failure)
        failure = data_put(fields, path, fd);
    if (failure)
        failure_put(fields, failure);
}

static struct error *files_put(const struct shim *shim, void *input, struct task_output *output)
{
    struct wire_writer fields = {0};
    size_t count;
    autofree char **paths = step_strings(input, SHIM_TAG_PATH, &count);

    (void)shim;
    for (char *const *path = paths; *path; path++)
        path_put(&fields, *path);
    struct error *failure = task_output_put_fields(output, &fields);
    wire_writer_fini(&fields);
    return failure;
}

void files_read(struct shim *shim, struct step *step)
{
    task_step_run(shim, step, files_put, "read files of the host");
}
