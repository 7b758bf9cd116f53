/* How a key's line is found again in a text that jansson has read without keeping lines. */
#include "common/config_line.h"

#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/memory.h"

struct scan {
    const char *at;
    unsigned line;
    const char *wanted;
    unsigned found; /* 0: not yet */
};

static void skip_space(struct scan *scan)
{
    for (; *scan->at && strchr(" \t\r\n", *scan->at); scan->at++)
        scan->line += *scan->at == '\n';
}

/* Steps over a string and gives its raw text. */
static char *scan_string(struct scan *scan)
{
    const char *start = ++scan->at;

    while (*scan->at && *scan->at != '"')
        scan->at += scan->at[0] == '\\' && scan->at[1] ? 2 : 1;
    char *text = xstrndup(start, (size_t)(scan->at - start));
    if (*scan->at)
        scan->at++;
    return text;
}

static void scan_value(struct scan *scan, const char *path);

static void scan_member(struct scan *scan, const char *path)
{
    unsigned line = scan->line;

    if (*scan->at != '"') { /* cannot be in valid JSON; never stand still */
        scan->at += *scan->at != '\0';
        return;
    }
    autofree char *key = scan_string(scan);
    autofree char *own = xasprintf("%s%s%s", path, *path ? "." : "", key);
    if (!scan->found && strcmp(own, scan->wanted) == 0)
        scan->found = line;
    skip_space(scan);
    if (*scan->at == ':')
        scan->at++;
    scan_value(scan, own);
}

static void scan_container(struct scan *scan, const char *path, char end)
{
    scan->at++;
    for (;;) {
        skip_space(scan);
        if (*scan->at == ',') {
            scan->at++;
            continue;
        }
        if (*scan->at == '\0' || *scan->at == end)
            break;
        if (end == '}')
            scan_member(scan, path);
        else
            scan_value(scan, path);
    }
    if (*scan->at)
        scan->at++;
}

static void scan_value(struct scan *scan, const char *path)
{
    skip_space(scan);
    if (*scan->at == '{')
        scan_container(scan, path, '}');
    else if (*scan->at == '[')
        scan_container(scan, path, ']');
    else if (*scan->at == '"')
        free(scan_string(scan));
    else if (*scan->at && strchr(",]}", *scan->at) == NULL)
        scan->at += strcspn(scan->at, ",]} \t\r\n");
}

unsigned config_line(const char *text, const char *path)
{
    struct scan scan = {.at = text, .line = 1, .wanted = path};

    scan_value(&scan, "");
    return scan.found ? scan.found : 1;
}
