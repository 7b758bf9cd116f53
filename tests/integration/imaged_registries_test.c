/* Real registries: every kind of manifest and layer, names and what they share, TLS, proof of who asks, mirrors. */
#include "tests/integration/imaged/bench.h"

#include <crypt.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/memory.h"
#include "tests/integration/imaged/token_server.h"
#include "tests/support/registry.h"

static struct bench bench;
static struct registry_server registry;

/* NAME.id: the configuration's digest, NAME.digest: the manifest's, NAME.layers: its layers' digests, one a line. */
static const char images_script[] =
    "mkdir -p root/bin root/etc root/extra; cp /bin/busybox root/bin/; ln -s busybox root/bin/sh\n"
    "echo 'root:x:0:0::/:/bin/sh' > root/etc/passwd; echo more > root/extra/more\n"
    "umoci init --layout l; umoci new --image l:base\n"
    "umoci insert --image l:base root/bin /bin; umoci insert --image l:base root/etc /etc\n"
    "umoci config --image l:base --config.cmd /bin/sh --config.user 1000:7 --architecture $A --os linux\n"
    "umoci tag --image l:base derived; umoci insert --image l:derived root/extra /extra\n"
    "umoci config --image l:derived --config.user nobody:nogroup\n"
    "umoci tag --image l:base other; umoci config --image l:other --architecture s390x\n"
    "C='skopeo --insecure-policy copy -q --dest-tls-verify=false'\n"
    "for t in base derived other; do $C oci:l:$t docker://$R/test/$t:1; done\n"
    "$C --format v2s2 oci:l:base docker://$R/test/docker:1\n"
    "$C --dest-decompress oci:l:base dir:plain; $C --preserve-digests dir:plain docker://$R/test/plain:1\n"
    "$C --dest-compress --dest-compress-format zstd dir:plain dir:zstd; $C --preserve-digests dir:zstd "
    "docker://$R/test/zstd:1\n"
    "raw() { skopeo inspect --raw --tls-verify=false docker://$R/test/$1:1; }\n"
    "sum() { sha256sum | cut -c1-64; }\n"
    "entry() { printf "
    "'{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:%s\",\"size\":%s,"
    "\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}' $(raw $1 | sum) $(raw $1 | wc -c) $2; }\n"
    "index() { n=$1; shift; printf '{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
    "\"manifests\":[' > index; sep=; for e in \"$@\"; do printf %s \"$sep$e\" >> index; sep=,; done; printf ']}' >> "
    "index\n"
    " d=$(sum < index); cp -r l $n.l; cp index $n.l/blobs/sha256/$d\n"
    " printf "
    "'{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"digest\":"
    "\"sha256:%s\",\"size\":%s,\"annotations\":{\"org.opencontainers.image.ref.name\":\"x\"}}]}' $d $(wc -c < index) > "
    "$n.l/index.json; }\n"
    "index multi \"$(entry other s390x)\" \"$(entry base $A)\"\n"
    "$C --all oci:multi.l:x docker://$R/test/multi:1; $C --all --format v2s2 oci:multi.l:x docker://$R/test/list:1\n"
    "index foreign \"$(entry other s390x)\"; $C --all oci:foreign.l:x docker://$R/test/foreign:1\n"
    "for t in base derived other docker plain zstd multi list; do raw $t > $t.raw; printf 'sha256:%s' $(sum < $t.raw) "
    "> $t.digest\n"
    " tr ',{}' '\\n\\n\\n' < $t.raw | sed -n 's/.*\"digest\":\"\\(.*\\)\".*/\\1/p' > $t.all; head -1 $t.all | tr -d "
    "'\\n' > $t.id; tail -n +2 "
    "$t.all > $t.layers; done\n"
    "grep -q diff.tar.gzip docker.raw; grep -q manifest.list list.raw; grep -q tar+zstd zstd.raw; ! grep -q gzip "
    "plain.raw\n";

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

static int bench_open(void **state)
{
    (void)state;
    bench_isolate();
    bench_prepare(&bench);
    fine(registry_server_start(&registry));
    fine(registry_server_script(&registry, images_script));
    fine(registry_server_script(&registry, certificates_script));
    bench_start(&bench);
    return 0;
}

static int bench_close(void **state)
{
    (void)state;
    registry_server_stop(&registry);
    return bench_stop(&bench);
}

/* What the script wrote; the caller frees it. */
static char *noted(const char *file)
{
    autofree char *path = xasprintf("%s/%s", registry.directory, file);
    char *text;
    size_t size;

    fine(file_read_all(path, 65536, &text, &size));
    return text;
}

static char *file_at(const char *file)
{
    return xasprintf("%s/%s", registry.directory, file);
}

/* "127.0.0.1:PORT/REST", and the same at the digest that the script noted. The caller frees them. */
static char *name_of(const char *rest)
{
    return xasprintf("127.0.0.1:%u/%s", registry.port, rest);
}

static char *digested_of(const char *repository, const char *noted_name)
{
    autofree char *file = xasprintf("%s.digest", noted_name), *digest = noted(file);

    return xasprintf("127.0.0.1:%u/test/%s@%s", registry.port, repository, digest);
}

static char *pull_get(const char *name)
{
    char *id = NULL;

    fine(pull(&bench, name, &id));
    return id;
}

static void removed(const char *name)
{
    fine(remove_image(&bench, name));
    assert_false(is_known(&bench, name));
}

/* tag and digested: what its only tag and digest are; NULL: there is none. */
static void has_names(const char *name, const char *tag, const char *digested)
{
    Runtime__V1__ImageStatusResponse *status = status_get(&bench, name);

    assert_non_null(status->image);
    assert_int_equal(status->image->n_repo_tags, tag ? 1 : 0);
    if (tag)
        assert_string_equal(status->image->repo_tags[0], tag);
    assert_int_equal(status->image->n_repo_digests, digested ? 1 : 0);
    if (digested)
        assert_string_equal(status->image->repo_digests[0], digested);
    runtime__v1__image_status_response__free_unpacked(status, NULL);
}

static void busybox_is_unpacked(void)
{
    autofree char *command = xasprintf("cmp /bin/busybox %s/imaged/layers/*/bin/busybox", bench.root);

    assert_int_equal(system(command), 0);
}

static void every_kind_of_manifest_and_layer_gives_the_same_image(void **state)
{
    static const char *const kinds[] = {"base", "docker", "plain", "zstd"};
    autofree char *expected = noted("base.id");

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        autofree char *rest = xasprintf("test/%s:1", kinds[i]), *name = name_of(rest);
        autofree char *id = pull_get(name), *digested = digested_of(kinds[i], kinds[i]);
        assert_string_equal(id, expected);
        has_names(id, name, digested);
        busybox_is_unpacked();
        removed(name);
        nothing_is_left(&bench);
    }
}

static void an_index_gives_the_image_of_this_platform_under_its_own_digest(void **state)
{
    static const char *const kinds[] = {"multi", "list"};
    autofree char *expected = noted("base.id");

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        autofree char *rest = xasprintf("test/%s:1", kinds[i]), *name = name_of(rest),
                      *digested = digested_of(kinds[i], kinds[i]);
        autofree char *id = pull_get(name), *again = pull_get(digested);
        assert_string_equal(id, expected);
        assert_string_equal(again, expected);
        has_names(digested, name, digested);
        removed(digested);
        nothing_is_left(&bench);
    }
}

static void an_image_for_another_platform_is_refused(void **state)
{
    autofree char *foreign = name_of("test/foreign:1"), *other = name_of("test/other:1");

    (void)state;
    refused(pull(&bench, foreign, NULL), ERROR_NOT_FOUND, "only for: linux/s390x");
    refused(pull(&bench, other, NULL), ERROR_INVALID_ARGUMENT, "the image is for linux/s390x");
    nothing_is_left(&bench);
}

static void a_pull_by_digest_gives_no_tag_and_one_by_tag_adds_it(void **state)
{
    autofree char *name = name_of("test/base:1"), *digested = digested_of("base", "base"), *id = pull_get(digested);
    autofree char *both =
        xasprintf("%.*s:other@%s", (int)(strchr(digested, '@') - digested), digested, strchr(digested, '@') + 1);

    (void)state;
    has_names(id, NULL, digested);
    assert_false(is_known(&bench, name));
    free(pull_get(both)); /* the digest counts, the tag is not looked at */
    has_names(id, NULL, digested);
    free(pull_get(name));
    has_names(name, name, digested);
    removed(digested);
    assert_false(is_known(&bench, name));
    assert_false(is_known(&bench, id));
    nothing_is_left(&bench);
}

static const Runtime__V1__Image *image_in(const Runtime__V1__ListImagesResponse *list, const char *id)
{
    for (size_t i = 0; i < list->n_images; i++) {
        if (strcmp(list->images[i]->id, id) == 0)
            return list->images[i];
    }
    fail_msg("%s is not in the list", id);
    return NULL;
}

static void is_listed(const char *filter, size_t count, const char *id)
{
    Runtime__V1__ListImagesResponse *list = list_get(&bench, filter);

    assert_int_equal(list->n_images, count);
    if (id)
        image_in(list, id);
    runtime__v1__list_images_response__free_unpacked(list, NULL);
}

static void images_are_listed_with_their_users_and_sizes(void **state)
{
    autofree char *base = name_of("test/base:1"), *derived = name_of("test/derived:1"), *none = name_of("test/none");
    autofree char *base_id = pull_get(base), *derived_id = pull_get(derived), *digested = digested_of("base", "base");
    struct stat busybox;

    (void)state;
    Runtime__V1__ListImagesResponse *list = list_get(&bench, NULL);
    assert_int_equal(list->n_images, 2);
    const Runtime__V1__Image *one = image_in(list, base_id), *other = image_in(list, derived_id);
    assert_non_null(one->uid);
    assert_int_equal(one->uid->value, 1000);
    assert_string_equal(one->username, "");
    assert_null(other->uid);
    assert_string_equal(other->username, "nobody");
    assert_string_equal(other->repo_tags[0], derived);
    assert_int_equal(stat("/bin/busybox", &busybox), 0);
    assert_true(one->size > (uint64_t)busybox.st_size);
    assert_true(one->size < (uint64_t)busybox.st_size + 4096);
    assert_true(other->size > one->size);
    runtime__v1__list_images_response__free_unpacked(list, NULL);
    is_listed(base, 1, base_id);
    is_listed(digested, 1, base_id);
    is_listed(base_id, 1, base_id);
    is_listed(none, 0, NULL);
    removed(base_id);
    removed(derived);
    nothing_is_left(&bench);
}

/* How often bulkhead asked for the blobs that the script noted as the image's layers. */
static size_t layer_requests(const char *file)
{
    autofree char *digests = noted(file);
    size_t count = 0;
    char *rest = NULL;

    for (char *digest = strtok_r(digests, "\n", &rest); digest; digest = strtok_r(NULL, "\n", &rest)) {
        autofree char *path = xasprintf("blobs/%s ", digest);
        count += registry_server_requests(&registry, path);
    }
    return count;
}

/* A line comes when its answer has gone: what was asked before this has its line after it. */
static void log_settle(void)
{
    autofree char *name = name_of("test/marker:1");
    size_t before = registry_server_requests(&registry, "test/marker");

    refused(pull(&bench, name, NULL), ERROR_NOT_FOUND, "test/marker");
    while (registry_server_requests(&registry, "test/marker") == before) /* ctest's limit ends it */
        pause_ms(10);
}

static void a_second_pull_fetches_no_layer(void **state)
{
    autofree char *name = name_of("test/base:1"), *id = noted("base.id"), *config = xasprintf("blobs/%s ", id);

    (void)state;
    free(pull_get(name));
    log_settle();
    size_t layers = layer_requests("base.layers"), configs = registry_server_requests(&registry, config);
    assert_true(layers >= 2);
    free(pull_get(name));
    log_settle();
    assert_int_equal(registry_server_requests(&registry, config), configs + 1);
    assert_int_equal(layer_requests("base.layers"), layers);
    removed(name);
    nothing_is_left(&bench);
}

static void shared_layers_are_fetched_once_and_stay_as_long_as_an_image_has_them(void **state)
{
    autofree char *base = name_of("test/base:1"), *derived = name_of("test/derived:1");

    (void)state;
    log_settle();
    size_t before = layer_requests("derived.layers");
    free(pull_get(base));
    free(pull_get(derived));
    log_settle();
    assert_int_equal(layer_requests("derived.layers"), before + 3);
    assert_int_equal(files_count(&bench, "layers"), 3);
    removed(base);
    pause_ms(300); /* for a sweep that would take too much */
    assert_int_equal(files_count(&bench, "layers"), 3);
    busybox_is_unpacked();
    free(pull_get(base));
    removed(derived);
    settles_at(&bench, "layers", 2);
    busybox_is_unpacked();
    removed(base);
    nothing_is_left(&bench);
}

static void a_tag_that_moves_leaves_the_old_image_its_digest(void **state)
{
    autofree char *name = name_of("test/moving:1"), *old_digested = digested_of("moving", "base");
    autofree char *new_digested = digested_of("moving", "derived"), *old_expected = noted("base.id");

    (void)state;
    fine(registry_server_script(
        &registry, "skopeo --insecure-policy copy -q --dest-tls-verify=false oci:l:base docker://$R/test/moving:1"));
    autofree char *old_id = pull_get(name);
    assert_string_equal(old_id, old_expected);
    fine(registry_server_script(
        &registry, "skopeo --insecure-policy copy -q --dest-tls-verify=false oci:l:derived docker://$R/test/moving:1"));
    autofree char *new_id = pull_get(name);
    assert_string_not_equal(new_id, old_id);
    has_names(name, name, new_digested);
    has_names(old_id, NULL, old_digested);
    has_names(old_digested, NULL, old_digested);
    removed(name); /* the new one alone */
    assert_true(is_known(&bench, old_digested));
    busybox_is_unpacked();
    removed(old_digested);
    nothing_is_left(&bench);
}

static void an_image_is_removed_by_tag_digest_id_and_short_id(void **state)
{
    autofree char *name = name_of("test/base:1"), *digested = digested_of("base", "base"), *id = noted("base.id");
    autofree char *short_id = xstrndup(id + 7, 12);
    const char *const names[] = {name, digested, id, short_id};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        free(pull_get(name));
        removed(names[i]);
        nothing_is_left(&bench);
        fine(remove_image(&bench, names[i]));
    }
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

static void mirrors_are_asked_in_their_order_until_one_has_it(void **state)
{
    autofree char *digested = noted("base.digest"), *by_digest = xasprintf("up.example/test/base@%s", digested);

    (void)state;
    log_settle();
    size_t before = registry_server_requests(&registry, "?ns=up.example ");
    hosts_write(&bench, "up.example",
                "{\"server\": \"http://127.0.0.1:1\", \"host\": {\"http://127.0.0.1:2\": {}, \"%s\": {}}}",
                registry.url);
    free(pull_get("up.example/test/base:1"));
    has_names("up.example/test/base:1", "up.example/test/base:1", by_digest);
    log_settle();
    assert_true(registry_server_requests(&registry, "?ns=up.example ") > before);
    removed("up.example/test/base:1");
    hosts_write(&bench, "up.example",
                "{\"server\": \"http://127.0.0.1:1\", \"host\": {\"%s\": {\"capabilities\": [\"pull\"]}}}",
                registry.url);
    refused(pull(&bench, "up.example/test/base:1", NULL), ERROR_UNAVAILABLE,
            "127.0.0.1:1"); /* it may not say what a tag is */
    free(pull_get(by_digest));
    removed(by_digest);
    hosts_write(&bench, "up.example", "{\"server\": \"%s\", \"host\": {\"http://127.0.0.1:1\": {}}}", registry.url);
    free(pull_get("up.example/test/base:1"));
    refused(pull(&bench, "up.example/test/none:1", NULL), ERROR_NOT_FOUND, "127.0.0.1:1");
    removed("up.example/test/base:1");
    nothing_is_left(&bench);
}

int main(void)
{
#define TEST_PLAIN(name) cmocka_unit_test_teardown(name, plain_again)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_manifest_and_layer_gives_the_same_image),
        cmocka_unit_test(an_index_gives_the_image_of_this_platform_under_its_own_digest),
        cmocka_unit_test(an_image_for_another_platform_is_refused),
        cmocka_unit_test(a_pull_by_digest_gives_no_tag_and_one_by_tag_adds_it),
        cmocka_unit_test(images_are_listed_with_their_users_and_sizes),
        cmocka_unit_test(a_second_pull_fetches_no_layer),
        cmocka_unit_test(shared_layers_are_fetched_once_and_stay_as_long_as_an_image_has_them),
        cmocka_unit_test(a_tag_that_moves_leaves_the_old_image_its_digest),
        cmocka_unit_test(an_image_is_removed_by_tag_digest_id_and_short_id),
        TEST_PLAIN(a_certificate_counts_only_by_the_authority_it_is_from),
        TEST_PLAIN(the_machines_authorities_count_beside_those_that_are_named),
        TEST_PLAIN(a_certificate_of_the_client_is_shown_where_the_registry_wants_one),
        TEST_PLAIN(a_registry_with_users_wants_the_right_password),
        TEST_PLAIN(a_registry_with_tokens_sends_to_the_token_server),
        TEST_PLAIN(a_token_servers_signature_is_what_the_registry_believes),
        TEST_PLAIN(mirrors_are_asked_in_their_order_until_one_has_it),
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests(tests, bench_open, bench_close);
}
