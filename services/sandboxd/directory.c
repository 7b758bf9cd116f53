/* The system calls of an object's directory. */
#include "services/sandboxd/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/memory.h"

struct error *directory_make(int parent_fd, const char *name)
{
    if (mkdirat(parent_fd, name, 0711) < 0 && errno != EEXIST)
        return error_errno(errno, "make directory %s", name);
    return NULL;
}

struct error *directory_open(int parent_fd, const char *name, int *ret_fd)
{
    *ret_fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *ret_fd < 0 ? error_errno(errno, "open directory %s", name) : NULL;
}

void directory_remove(int parent_fd, const char *name)
{
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    while (directory && (entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            unlinkat(fd, entry->d_name, 0);
    if (directory)
        closedir(directory);
    else if (fd >= 0)
        close(fd);
    unlinkat(parent_fd, name, AT_REMOVEDIR);
}

static struct error *file_write(int directory_fd, const char *file, const char *text)
{
    autoclose int fd = openat(directory_fd, file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

    if (fd < 0)
        return error_errno(errno, "create %s", file);
    if (fchmod(fd, 0644) < 0)
        return error_errno(errno, "mode of %s", file);
    return fd_write_all(fd, text, strlen(text));
}

struct error *directory_write(int parent_fd, const char *name, const char *file, const char *text)
{
    autoclose int fd = -1;
    autofree char *beside = xasprintf("%s.new", file);

    TRY(directory_open(parent_fd, name, &fd));
    TRY_TO(file_write(fd, beside, text), "write %s", file);
    if (renameat(fd, beside, fd, file) < 0)
        return error_errno(errno, "rename %s", file);
    return NULL;
}
