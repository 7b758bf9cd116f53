/* The frame around every record on disk, in the byte order of this machine. */
#include "common/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <zlib.h>

#include "common/fd.h"
#include "common/memory.h"

enum { PAGE_SIZE = 4096 };

static const char magic[8] = "bulkhead";

struct header {
    char magic[8];
    char kind[16];
    uint32_t version;
    uint32_t checksum; /* crc32 of the header with 0 here, then of the data */
    uint64_t size;     /* of the data */
};

static uint32_t checksum(struct header header, const void *data)
{
    header.checksum = 0;
    uLong sum = crc32(0, (const Bytef *)&header, sizeof(header));
    return (uint32_t)crc32_z(sum, data, header.size);
}

static struct error *record_write(int fd, const struct header *header, const void *data, size_t size)
{
    struct iovec parts[] = {{(void *)header, sizeof(*header)}, {(void *)data, size}};
    ssize_t count = writev(fd, parts, 2); /* a regular file takes all, or there is no space */

    if (count < 0)
        return error_errno(errno, "write");
    if ((size_t)count != sizeof(*header) + size)
        return error_errno(ENOSPC, "write");
    return NULL;
}

static struct error *record_write_beside(int dir_fd, const char *beside, const struct header *header, const void *data,
                                         size_t size)
{
    autoclose int fd = openat(dir_fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0)
        return error_errno(errno, "create");
    return record_write(fd, header, data, size);
}

/* Where there is no space beside it: over the old record, if that has the room. One page is written whole or not at all, whatever kills
 * this process; only a power failure may tear it, which record_load() says. */
static bool record_write_over(int dir_fd, const char *name, const struct header *header, const void *data, size_t size)
{
    autoclose int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat old;

    if (fd < 0 || fstat(fd, &old) < 0 || sizeof(*header) + size > PAGE_SIZE || (size_t)old.st_size > sizeof(*header) + size)
        return false;
    struct error *failure = record_write(fd, header, data, size);
    error_free(failure);
    return !failure;
}

struct error *record_save(int dir_fd, const char *name, const char *kind, uint32_t version, const void *data, size_t size)
{
    struct header header = {.version = version, .size = size};

    if (size > RECORD_SIZE_MAX || strlen(kind) >= sizeof(header.kind))
        return error_new(ERROR_RESOURCE_EXHAUSTED, "save record %s: %zu bytes of kind %s are too many", name, size, kind);
    memcpy(header.magic, magic, sizeof(magic));
    strcpy(header.kind, kind);
    header.checksum = checksum(header, data ? data : "");
    autofree char *beside = xasprintf(".%s.new", name);
    struct error *failure = record_write_beside(dir_fd, beside, &header, data, size);
    if (!failure && renameat(dir_fd, beside, dir_fd, name) < 0)
        failure = error_errno(errno, "rename");
    if (!failure)
        return NULL;
    unlinkat(dir_fd, beside, 0);
    if (failure->code == ERROR_RESOURCE_EXHAUSTED && record_write_over(dir_fd, name, &header, data, size)) {
        error_free(failure);
        return NULL;
    }
    return error_wrap(failure, "save record %s", name);
}

static struct error *damaged(const char *name, const char *how)
{
    return error_new(ERROR_DATA_LOSS, "record %s %s", name, how);
}

static struct error *record_check(const char *name, const char *kind, uint32_t newest_version, const char *bytes,
                                  size_t size, struct header *ret)
{
    if (size == 0)
        return damaged(name, "is empty");
    if (size < sizeof(*ret))
        return damaged(name, "is torn");
    memcpy(ret, bytes, sizeof(*ret));
    if (memcmp(ret->magic, magic, sizeof(magic)) != 0)
        return damaged(name, "is no record");
    if (ret->size != size - sizeof(*ret))
        return damaged(name, "is torn");
    if (checksum(*ret, bytes + sizeof(*ret)) != ret->checksum)
        return damaged(name, "has a wrong checksum");
    if (strncmp(ret->kind, kind, sizeof(ret->kind)) != 0)
        return damaged(name, "is of another kind");
    if (ret->version > newest_version)
        return error_new(ERROR_FAILED_PRECONDITION, "record %s has version %u, newer than %u", name, ret->version,
                         newest_version);
    return NULL;
}

struct error *record_load(int dir_fd, const char *name, const char *kind, uint32_t newest_version, uint32_t *ret_version,
                          void **ret_data, size_t *ret_size)
{
    autofree char *bytes = NULL;
    struct header header;
    size_t size;

    autoclose int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_errno(errno, "open record %s", name);
    TRY_TO(fd_read_all(fd, RECORD_SIZE_MAX + sizeof(header), &bytes, &size), "read record %s", name);
    TRY(record_check(name, kind, newest_version, bytes, size, &header));
    memmove(bytes, bytes + sizeof(header), header.size + 1); /* with the NUL behind it */
    *ret_version = header.version;
    *ret_size = header.size;
    *ret_data = TAKE(bytes);
    return NULL;
}

struct error *record_remove(int dir_fd, const char *name)
{
    if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
        return error_errno(errno, "remove record %s", name);
    return NULL;
}
