/* Which directories an archive's entries only imply: an entry that comes later may name one after all. */
#include "services/imaged/unpack/implied.h"

#include <string.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/imaged/unpack/report.h"

void implied_fini(struct implied *implied)
{
    for (size_t i = 0; i < implied->count; i++)
        free(implied->paths[i]);
    free(implied->paths);
}

struct error *implied_add(struct implied *implied, const char *path)
{
    implied->bytes += strlen(path) + 1;
    if (implied->bytes > UNPACK_PARENTS_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "too many directories have no entry of their own");
    if (implied->count == implied->room) {
        implied->room = implied->room ? implied->room * 2 : 64;
        implied->paths = xreallocarray(implied->paths, implied->room, sizeof(implied->paths[0]));
    }
    implied->paths[implied->count++] = xstrdup(path);
    return NULL;
}

static int path_compare(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

struct error *implied_write(struct implied *implied, const char **named, size_t named_count, int fd, uint64_t *ret_size)
{
    size_t next = 0;

    *ret_size = 0;
    if (implied->count == 0)
        return NULL;
    qsort(implied->paths, implied->count, sizeof(implied->paths[0]), path_compare);
    qsort(named, named_count, sizeof(named[0]), path_compare);
    for (size_t i = 0; i < implied->count; i++) {
        const char *path = implied->paths[i];
        size_t size = strlen(path) + 1;
        while (next < named_count && strcmp(named[next], path) < 0)
            next++;
        if (next < named_count && strcmp(named[next], path) == 0)
            continue;
        TRY(fd_write_all(fd, path, size));
        *ret_size += size;
    }
    return NULL;
}
