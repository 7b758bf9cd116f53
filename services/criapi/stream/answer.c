/* How an HTTP answer looks. */
#include "services/criapi/stream/answer.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } known[] = {{400, "Bad Request"},           {403, "Forbidden"},          {404, "Not Found"},
                 {405, "Method Not Allowed"},    {408, "Request Timeout"},    {431, "Request Header Fields Too Large"},
                 {500, "Internal Server Error"}, {503, "Service Unavailable"}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].status == status)
            return known[i].reason;
    return "Error";
}

char *answer_error(int status, const char *fields, const char *text)
{
    return xasprintf("HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
                     "Connection: close\r\n%sContent-Length: %zu\r\n\r\n%s\n",
                     status, reason(status), fields, strlen(text) + 1, text);
}

char *answer_upgrade(const char *fields)
{
    return xasprintf("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n%s\r\n", fields);
}
