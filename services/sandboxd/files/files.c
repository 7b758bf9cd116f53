/* How /etc/resolv.conf, /etc/hosts and /etc/hostname of a pod read. */
#include "services/sandboxd/files/files.h"

#include <string.h>

#include "common/memory.h"

/* Text that grows. */
struct text {
    char *data;
    size_t size;
};

static void text_add(struct text *text, const char *part)
{
    size_t length = strlen(part);

    text->data = xrealloc(text->data, text->size + length + 1);
    memcpy(text->data + text->size, part, length + 1);
    text->size += length;
}

/* "KEYWORD a b c\n", nothing for no values. */
static void text_add_line(struct text *text, const char *keyword, char *const *values, size_t count)
{
    if (count == 0)
        return;
    text_add(text, keyword);
    for (size_t i = 0; i < count; i++) {
        text_add(text, " ");
        text_add(text, values[i]);
    }
    text_add(text, "\n");
}

char *files_resolv_conf(const Runtime__V1__DNSConfig *dns, const char *host_text)
{
    struct text text = {0};

    if (dns) {
        text_add_line(&text, "search", dns->searches, dns->n_searches);
        for (size_t i = 0; i < dns->n_servers; i++)
            text_add_line(&text, "nameserver", &dns->servers[i], 1);
        text_add_line(&text, "options", dns->options, dns->n_options);
    }
    if (text.size > 0)
        return text.data;
    return xstrdup(host_text ? host_text : "");
}

char *files_hosts(const char *hostname, const char *const *ips, size_t ip_count)
{
    struct text text = {0};

    text_add(&text, "127.0.0.1\tlocalhost\n"
                    "::1\tlocalhost ip6-localhost ip6-loopback\n"
                    "fe00::0\tip6-localnet\n"
                    "fe00::0\tip6-mcastprefix\n"
                    "fe00::1\tip6-allnodes\n"
                    "fe00::2\tip6-allrouters\n");
    for (size_t i = 0; hostname && hostname[0] && i < ip_count; i++) {
        text_add(&text, ips[i]);
        text_add(&text, "\t");
        text_add(&text, hostname);
        text_add(&text, "\n");
    }
    return text.data;
}

char *files_hostname(const char *hostname)
{
    return xasprintf("%s\n", hostname ? hostname : "");
}
