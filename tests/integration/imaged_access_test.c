/* Registries that prove who they are, and want proof of who asks: TLS, certificates, passwords, tokens. */
#include "tests/integration/imaged/registry_bench.h"

#include <crypt.h>
#include <stdio.h>
#include <sys/mount.h>

#include "common/memory.h"
#include "tests/integration/imaged/token_server.h"

static const char certificates_script[] = "s() { printf '%s' \"$2\" > ext; openssl x509 -req -in $1.csr -CA ca.pem "
                                          "-CAkey ca.key -CAcreateserial -days 2 -extfile ext "
                                          "-out $1.pem 2>/dev/null; }\n"
                                          "for c in ca token stranger; do openssl req -x509 -newkey rsa:2048 -nodes "
                                          "-keyout $c.key -out $c.pem -days 2 -subj /CN=$c "
                                          "2>/dev/null; done\n"
                                          "for c in server client; do openssl req -newkey rsa:2048 -nodes -keyout "
                                          "$c.key -out $c.csr -subj /CN=$c 2>/dev/null; done\n"
                                          "s server subjectAltName=IP:127.0.0.1; s client extendedKeyUsage=clientAuth; "
                                          "cat client.pem client.key > both.pem\n";

static char *file_at(const char *file)
{
    return xasprintf("%s/%s", registry.directory, file);
}

static void a_certificate_counts_only_by_the_authority_it_is_from(void **state)
{
    autofree char *tls =
        xasprintf("{certificate: %s/server.pem, key: %s/server.key}", registry.directory, registry.directory);
    autofree char *name = name_of("test/base:1"), *host = name_of(""),
                  *other = xasprintf("localhost:%u", registry.port);
    autofree char *other_name = xasprintf("%s/test/base:1", other);

    (void)state;
    host[strlen(host) - 1] = '\0';
    fine(registry_server_reconfigure(&registry, tls, NULL));
    hosts_write(&bench, host, "{\"server\": \"%s\"}", registry.url);
    refused(pull(&bench, name, NULL), ERROR_UNAVAILABLE, "certificate");
    hosts_write(&bench, host, "{\"server\": \"%s\", \"ca\": \"%s/stranger.pem\"}", registry.url, registry.directory);
    refused(pull(&bench, name, NULL), ERROR_UNAVAILABLE, "certificate");
    hosts_write(&bench, other, "{\"server\": \"https://%s\", \"ca\": \"%s/ca.pem\"}", other, registry.directory);
    refused(pull(&bench, other_name, NULL), ERROR_UNAVAILABLE, "subject"); /* it is for 127.0.0.1 */
    nothing_is_left(&bench);
    hosts_write(&bench, host, "{\"server\": \"%s\", \"ca\": \"%s/ca.pem\"}", registry.url, registry.directory);
    free(pull_get(name));
    removed(name);
    hosts_write(&bench, host, "{\"server\": \"%s\", \"skip_verify\": true}", registry.url);
    free(pull_get(name));
    removed(name);
    nothing_is_left(&bench);
}

/* The machine's authorities are hidden behind a directory that has the test's alone. As in containerd a named one is
 * one more. */
static void the_machines_authorities_count_beside_those_that_are_named(void **state)
{
    autofree char *tls =
        xasprintf("{certificate: %s/server.pem, key: %s/server.key}", registry.directory, registry.directory);
    autofree char *name = name_of("test/base:1"), *host = name_of("");
    autofree char *copy = xasprintf(
        "cd /etc/ssl/certs; cp %s/ca.pem .; cp ca.pem ca-certificates.crt; openssl rehash . 2>&1", registry.directory);

    (void)state;
    host[strlen(host) - 1] = '\0';
    fine(registry_server_reconfigure(&registry, tls, NULL));
    hosts_write(&bench, host, "{\"server\": \"%s\"}", registry.url);
    refused(pull(&bench, name, NULL), ERROR_UNAVAILABLE, "certificate");
    assert_int_equal(mount("none", "/etc/ssl/certs", "tmpfs", 0, "mode=755"), 0);
    assert_int_equal(system(copy), 0);
    free(pull_get(name));
    removed(name);
    hosts_write(&bench, host, "{\"server\": \"%s\", \"ca\": \"%s/stranger.pem\"}", registry.url, registry.directory);
    free(pull_get(name));
    removed(name);
    nothing_is_left(&bench);
}

static void a_certificate_of_the_client_is_shown_where_the_registry_wants_one(void **state)
{
    const char *directory = registry.directory;
    autofree char *tls = xasprintf("{certificate: %s/server.pem, key: %s/server.key, clientcas: [%s/ca.pem]}",
                                   directory, directory, directory);
    autofree char *name = name_of("test/base:1"), *host = name_of("");

    (void)state;
    host[strlen(host) - 1] = '\0';
    fine(registry_server_reconfigure(&registry, tls, NULL));
    hosts_write(&bench, host, "{\"server\": \"%s\", \"ca\": \"%s/ca.pem\"}", registry.url, directory);
    refused(pull(&bench, name, NULL), ERROR_UNAVAILABLE, "alert");
    hosts_write(&bench, host,
                "{\"server\": \"%s\", \"ca\": \"%s/ca.pem\", \"client\": [\"%s/stranger.pem\", \"%s/stranger.key\"]}",
                registry.url, directory, directory, directory);
    refused(pull(&bench, name, NULL), ERROR_UNAVAILABLE, "alert");
    hosts_write(&bench, host,
                "{\"server\": \"%s\", \"ca\": \"%s/ca.pem\", \"client\": [\"%s/client.pem\", \"%s/client.key\"]}",
                registry.url, directory, directory, directory);
    free(pull_get(name));
    removed(name);
    hosts_write(&bench, host, "{\"server\": \"%s\", \"ca\": \"%s/ca.pem\", \"client\": \"%s/both.pem\"}", registry.url,
                directory, directory);
    free(pull_get(name));
    removed(name);
    nothing_is_left(&bench);
}

/* Back to plain HTTP, which loopback has by default, and to the machine's own authorities. */
static int plain_again(void **state)
{
    autofree char *remove = xasprintf("rm -rf %s/*", bench.certs);

    (void)state;
    umount2("/etc/ssl/certs", MNT_DETACH); /* most tests have nothing there */
    assert_int_equal(system(remove), 0);
    fine(registry_server_reconfigure(&registry, NULL, NULL));
    return 0;
}

static void htpasswd_write(const char *user, const char *password)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    autofree char *path = file_at("htpasswd");
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_non_null(crypt_gensalt_rn("$2y$", 4, NULL, 0, setting, sizeof(setting)));
    fprintf(file, "%s:%s\n", user, crypt(password, setting));
    fclose(file);
}

static void pull_refused_with(Runtime__V1__AuthConfig *auth, const char *word)
{
    autofree char *name = name_of("test/base:1");

    refused(pull_with(&bench, name, auth, NULL), ERROR_UNAUTHENTICATED, word);
    nothing_is_left(&bench);
}

static void pull_fine_with(Runtime__V1__AuthConfig *auth)
{
    autofree char *name = name_of("test/base:1");

    fine(pull_with(&bench, name, auth, NULL));
    removed(name);
    nothing_is_left(&bench);
}

#define AUTH(...)                                                                                                      \
    (&(Runtime__V1__AuthConfig){.base = PROTOBUF_C_MESSAGE_INIT(&runtime__v1__auth_config__descriptor), __VA_ARGS__})

static void a_registry_with_users_wants_the_right_password(void **state)
{
    autofree char *auth = xasprintf("{htpasswd: {realm: r, path: %s/htpasswd}}", registry.directory),
                  *host = name_of("");

    (void)state;
    host[strlen(host) - 1] = '\0';
    htpasswd_write("user", "pass");
    fine(registry_server_reconfigure(&registry, NULL, auth));
    pull_refused_with(NULL, "none were given");
    pull_refused_with(AUTH(.username = "user", .password = "wrong"), "answers 401");
    pull_refused_with(AUTH(.username = "user", .password = "pass", .server_address = "elsewhere.org"),
                      "none were given");
    pull_fine_with(AUTH(.username = "user", .password = "pass"));
    pull_fine_with(AUTH(.auth = "dXNlcjpwYXNz", .server_address = host));
    pull_refused_with(NULL, "none were given"); /* nothing is kept of a pull before */
}

static void a_registry_with_tokens_sends_to_the_token_server(void **state)
{
    autofree char *key = file_at("token.key"), *certificate = file_at("token.pem");
    struct token_server server = {.basic = "Basic dXNlcjpwYXNz", .refresh = "identity-1"};

    (void)state;
    token_server_open(&server, key, certificate);
    autofree char *auth =
        xasprintf("{token: {realm: 'http://127.0.0.1:%u/token', service: test-registry, issuer: test-issuer, "
                  "rootcertbundle: %s}}",
                  web_port(server.web), certificate);
    fine(registry_server_reconfigure(&registry, NULL, auth));
    pull_refused_with(NULL, "answers 401"); /* an anonymous token allows nothing */
    pull_refused_with(AUTH(.username = "user", .password = "wrong"), "token server");
    pull_refused_with(AUTH(.identity_token = "identity-2"), "token server");
    pull_refused_with(AUTH(.registry_token = "not-a-token"), "");
    pull_fine_with(AUTH(.username = "user", .password = "pass"));
    pull_fine_with(AUTH(.identity_token = "identity-1"));
    unsigned asked = server.asked;
    autofree char *token = token_sign(&server, "test/base");
    pull_fine_with(AUTH(.registry_token = token));
    assert_int_equal(server.asked, asked); /* it was good as it was */
    token_server_close(&server);
}

static void a_token_servers_signature_is_what_the_registry_believes(void **state)
{
    autofree char *key = file_at("stranger.key"), *certificate = file_at("stranger.pem");
    struct token_server server = {.basic = "Basic dXNlcjpwYXNz", .refresh = "identity-1"};

    (void)state;
    token_server_open(&server, key, certificate);
    autofree char *auth =
        xasprintf("{token: {realm: 'http://127.0.0.1:%u/token', service: test-registry, issuer: test-issuer, "
                  "rootcertbundle: %s/token.pem}}",
                  web_port(server.web), registry.directory);
    fine(registry_server_reconfigure(&registry, NULL, auth));
    pull_refused_with(AUTH(.username = "user", .password = "pass"), "answers 401");
    token_server_close(&server);
}

static int certificates_make(void **state)
{
    registry_bench_open(state);
    fine(registry_server_script(&registry, certificates_script));
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, plain_again)
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_counts_only_by_the_authority_it_is_from),
        TEST(the_machines_authorities_count_beside_those_that_are_named),
        TEST(a_certificate_of_the_client_is_shown_where_the_registry_wants_one),
        TEST(a_registry_with_users_wants_the_right_password),
        TEST(a_registry_with_tokens_sends_to_the_token_server),
        TEST(a_token_servers_signature_is_what_the_registry_believes),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests(tests, certificates_make, registry_bench_close);
}
