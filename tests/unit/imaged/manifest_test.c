/* Manifests and indexes, OCI's and docker's: what is read, what is chosen, what is refused. */
#include "tests/unit/imaged/check.h"

#include <stdio.h>

#include "common/memory.h"
#include "services/imaged/manifest.h"

#define D(c) "sha256:" c c c c c c c c c c c c c c c c
#define ONE D("1111")
#define TWO D("2222")
#define THREE D("3333")

#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define OCI_CONFIG "{\"mediaType\": \"application/vnd.oci.image.config.v1+json\", \"digest\": \"" ONE "\", \"size\": 5}"
#define OCI_LAYER(end, digest)                                                                                         \
    "{\"mediaType\": \"application/vnd.oci.image.layer.v1.tar" end "\", \"digest\": \"" digest "\", \"size\": 7}"

static const struct platform amd64 = {"linux", "amd64", ""}, arm64 = {"linux", "arm64", "v8"},
                             arm7 = {"linux", "arm", "v7"};

/* The caller frees whichever is set. */
static struct error *parse(const char *text, const char *type, const struct platform *platform,
                           struct manifest **manifest, char **chosen)
{
    *manifest = NULL;
    *chosen = NULL;
    return manifest_parse(text, strlen(text), type, platform, manifest, chosen);
}

static void text_refused(const char *text, const char *type, enum error_code code, const char *word)
{
    struct manifest *manifest;
    char *chosen;

    refused(parse(text, type, &amd64, &manifest, &chosen), code, word);
    assert_null(manifest);
    assert_null(chosen);
}

static void chooses(const char *text, const char *type, const struct platform *platform, const char *digest)
{
    struct manifest *manifest;
    autofree char *chosen = NULL;

    fine(parse(text, type, platform, &manifest, &chosen));
    assert_null(manifest);
    assert_string_equal(chosen, digest);
}

/* An index with one entry of each platform, as "os/architecture[/variant]", whose digests are 1111..., 2222... in
 * order. */
static char *index_of(const char *const *platforms)
{
    char *text = xstrdup("{\"schemaVersion\": 2, \"mediaType\": \"" OCI_INDEX "\", \"manifests\": [");

    for (int i = 0; platforms[i]; i++) {
        char os[32], architecture[32], variant[32] = "", digest[80] = "sha256:";
        sscanf(platforms[i], "%31[^/]/%31[^/]/%31s", os, architecture, variant);
        memset(digest + 7, '1' + i, 64);
        autofree char *before = text;
        text = xasprintf("%s%s{\"mediaType\": \"" OCI_MANIFEST "\", \"digest\": \"%s\", \"size\": 3, \"platform\": "
                         "{\"os\": \"%s\", \"architecture\": \"%s\", \"variant\": \"%s\"}}",
                         before, i ? ", " : "", digest, os, architecture, variant);
    }
    autofree char *before = text;
    return xasprintf("%s]}", before);
}

static void chooses_of(const char *const *platforms, const struct platform *platform, const char *digest)
{
    autofree char *text = index_of(platforms);

    chooses(text, OCI_INDEX, platform, digest);
}

static void a_manifest_of_oci_is_read(void **state)
{
    autoptr(manifest) manifest = NULL;
    char *chosen;

    (void)state;
    fine(parse("{\"schemaVersion\": 2, \"mediaType\": \"" OCI_MANIFEST "\", \"config\": " OCI_CONFIG
               ", \"layers\": [" OCI_LAYER("", TWO) ", " OCI_LAYER("+gzip", THREE) ", " OCI_LAYER("+zstd", TWO) "]}",
               "", &amd64, &manifest, &chosen));
    assert_null(chosen);
    assert_string_equal(manifest->config.digest, ONE);
    assert_int_equal(manifest->config.size, 5);
    assert_int_equal(manifest->layer_count, 3);
    assert_string_equal(manifest->layers[0].digest, TWO);
    assert_string_equal(manifest->layers[1].digest, THREE);
    assert_int_equal(manifest->layers[2].size, 7);
}

static void a_manifest_of_docker_is_read(void **state)
{
    autoptr(manifest) manifest = NULL;
    char *chosen;

    (void)state;
    fine(parse("{\"schemaVersion\": 2, \"mediaType\": \"" DOCKER_MANIFEST "\", \"config\": {\"mediaType\": "
               "\"application/vnd.docker.container.image.v1+json\", \"digest\": \"" ONE
               "\", \"size\": 5}, \"layers\": ["
               "{\"mediaType\": \"application/vnd.docker.image.rootfs.diff.tar.gzip\", \"digest\": \"" TWO
               "\", \"size\": 9}]}",
               DOCKER_MANIFEST, &amd64, &manifest, &chosen));
    assert_int_equal(manifest->layer_count, 1);
    assert_int_equal(manifest->layers[0].size, 9);
}

static void an_image_without_layers_is_read(void **state)
{
    autoptr(manifest) manifest = NULL;
    char *chosen;

    (void)state;
    fine(parse("{\"schemaVersion\": 2, \"config\": " OCI_CONFIG ", \"layers\": []}", OCI_MANIFEST, &amd64, &manifest,
               &chosen));
    assert_int_equal(manifest->layer_count, 0);
}

static void an_index_gives_the_entry_of_this_platform(void **state)
{
    const char *const platforms[] = {"linux/arm64/v8", "windows/amd64", "linux/amd64", "linux/s390x", NULL};

    (void)state;
    chooses_of(platforms, &amd64, THREE);
    chooses_of(platforms, &arm64, ONE);
}

static void a_list_of_docker_is_chosen_from_alike(void **state)
{
    (void)state;
    chooses("{\"schemaVersion\": 2, \"mediaType\": \"" DOCKER_LIST "\", \"manifests\": ["
            "{\"digest\": \"" ONE "\", \"size\": 1, \"platform\": {\"os\": \"linux\", \"architecture\": \"386\"}}, "
            "{\"digest\": \"" TWO "\", \"size\": 1, \"platform\": {\"os\": \"linux\", \"architecture\": \"amd64\"}}]}",
            DOCKER_LIST, &amd64, TWO);
}

static void of_equal_entries_the_first_is_chosen(void **state)
{
    (void)state;
    chooses_of((const char *const[]){"linux/386", "linux/amd64", "linux/amd64", NULL}, &amd64, TWO);
}

static void a_variant_that_this_processor_may_not_have_is_passed_over(void **state)
{
    (void)state;
    chooses_of((const char *const[]){"linux/amd64/v3", "linux/amd64/v1", NULL}, &amd64, TWO);
    chooses_of((const char *const[]){"linux/arm64/v9", "linux/arm64", NULL}, &arm64, TWO);
    chooses_of((const char *const[]){"linux/arm64", NULL}, &arm64, ONE);
    chooses_of((const char *const[]){"linux/amd64/strange", "linux/amd64", NULL}, &amd64, TWO);
}

static void the_highest_variant_that_runs_is_chosen(void **state)
{
    (void)state;
    chooses_of((const char *const[]){"linux/arm/v5", "linux/arm/v7", "linux/arm/v6", "linux/arm/v8", NULL}, &arm7, TWO);
}

static void other_names_of_an_architecture_are_known(void **state)
{
    (void)state;
    chooses_of((const char *const[]){"linux/x86_64", NULL}, &amd64, ONE);
    chooses_of((const char *const[]){"linux/amd64", "linux/aarch64", NULL}, &arm64, TWO);
}

static void an_attestation_is_no_image(void **state)
{
    const char *const attested[] = {"unknown/unknown", "linux/amd64", "unknown/unknown", NULL};
    const char *const alone[] = {"unknown/unknown", NULL};
    autofree char *text = index_of(alone);

    (void)state;
    chooses_of(attested, &amd64, TWO);
    text_refused(text, OCI_INDEX, ERROR_NOT_FOUND, "unknown/unknown");
}

static void an_index_without_this_platform_names_those_it_has(void **state)
{
    autofree char *text = index_of((const char *const[]){"linux/s390x", "windows/amd64", NULL});

    (void)state;
    text_refused(text, OCI_INDEX, ERROR_NOT_FOUND, "no image for linux/amd64, only for: linux/s390x, windows/amd64");
}

static void a_single_entry_that_names_no_platform_is_taken(void **state)
{
    (void)state;
    chooses("{\"schemaVersion\": 2, \"manifests\": [{\"digest\": \"" TWO "\", \"size\": 1}]}", OCI_INDEX, &amd64, TWO);
    text_refused("{\"schemaVersion\": 2, \"manifests\": [{\"digest\": \"" TWO "\"}, {\"digest\": \"" ONE "\"}]}",
                 OCI_INDEX, ERROR_NOT_FOUND, "no image for");
}

/* skopeo and umoci write OCI documents without mediaType; the registry's Content-Type says it then. */
static void the_content_type_helps_where_the_text_is_silent(void **state)
{
    const char *const bare = "{\"schemaVersion\": 2, \"manifests\": [{\"digest\": \"" TWO "\", \"size\": 1}]}";

    (void)state;
    chooses(bare, OCI_INDEX "; charset=utf-8", &amd64, TWO);
    chooses(bare, "text/plain", &amd64, TWO);
    chooses(bare, "", &amd64, TWO);
}

static void what_is_no_manifest_is_refused(void **state)
{
    (void)state;
    text_refused("", OCI_MANIFEST, ERROR_INVALID_ARGUMENT, "no JSON object");
    text_refused("<html>no</html>", "text/html", ERROR_INVALID_ARGUMENT, "no JSON object");
    text_refused("[]", OCI_MANIFEST, ERROR_INVALID_ARGUMENT, "no JSON object");
    text_refused("{\"schemaVersion\": 2", OCI_MANIFEST, ERROR_INVALID_ARGUMENT, "no JSON object");
    text_refused("{\"schemaVersion\": 2, \"layers\": [], \"layers\": []}", OCI_MANIFEST, ERROR_INVALID_ARGUMENT,
                 "duplicate");
    text_refused("{\"schemaVersion\": 2}", OCI_MANIFEST, ERROR_INVALID_ARGUMENT, "artifact");
    text_refused("{\"schemaVersion\": 2}", OCI_INDEX, ERROR_INVALID_ARGUMENT, "no proper list");
    text_refused("{\"schemaVersion\": 2, \"manifests\": {}}", OCI_INDEX, ERROR_INVALID_ARGUMENT, "no proper list");
    text_refused("{\"schemaVersion\": 2, \"manifests\": []}", OCI_INDEX, ERROR_NOT_FOUND, "no image for");
    text_refused("{\"schemaVersion\": 2, \"manifests\": [7]}", OCI_INDEX, ERROR_INVALID_ARGUMENT, "digest");
    text_refused("{\"schemaVersion\": 2, \"manifests\": [{\"digest\": \"sha256:1\"}]}", OCI_INDEX,
                 ERROR_INVALID_ARGUMENT, "digest");
}

static void a_document_that_is_both_is_refused(void **state)
{
    (void)state;
    text_refused("{\"schemaVersion\": 2, \"mediaType\": \"" OCI_MANIFEST "\", \"config\": " OCI_CONFIG
                 ", \"layers\": [], \"manifests\": []}",
                 OCI_MANIFEST, ERROR_INVALID_ARGUMENT, "both");
}

static void the_first_schema_is_refused_by_name(void **state)
{
    (void)state;
    text_refused("{\"schemaVersion\": 1, \"name\": \"a\", \"fsLayers\": []}",
                 "application/vnd.docker.distribution.manifest.v1+prettyjws", ERROR_UNIMPLEMENTED, "schema 1");
}

static void an_artifact_is_no_image(void **state)
{
    (void)state;
    text_refused("{\"schemaVersion\": 2, \"config\": {\"mediaType\": \"application/vnd.cncf.helm.config.v1+json\", "
                 "\"digest\": \"" ONE "\", \"size\": 2}, \"layers\": []}",
                 OCI_MANIFEST, ERROR_INVALID_ARGUMENT, "helm");
}

static void a_layer_of_unknown_type_is_refused_by_name(void **state)
{
    (void)state;
    text_refused("{\"schemaVersion\": 2, \"config\": " OCI_CONFIG
                 ", \"layers\": [" OCI_LAYER("", TWO) ", " OCI_LAYER("+encrypted", TWO) "]}",
                 OCI_MANIFEST, ERROR_UNIMPLEMENTED,
                 "layer 2 is of type \"application/vnd.oci.image.layer.v1.tar+encrypted\"");
}

static void a_bad_descriptor_is_named(void **state)
{
    static const struct {
        const char *layer, *word;
    } wrong[] = {
        {"\"digest\": \"sha256:abc\", \"size\": 1", "layer 1: digest \"sha256:abc\""},
        {"\"size\": 1", "layer 1: digest"},
        {"\"digest\": \"" TWO "\"", "no proper size"},
        {"\"digest\": \"" TWO "\", \"size\": -1", "no proper size"},
        {"\"digest\": \"" TWO "\", \"size\": \"1\"", "no proper size"},
        {"\"digest\": \"" TWO "\", \"size\": 9000000000000", "no proper size"},
        {"\"digest\": 5, \"size\": 1", "digest"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        autofree char *text =
            xasprintf("{\"schemaVersion\": 2, \"config\": " OCI_CONFIG ", \"layers\": [{\"mediaType\": "
                      "\"application/vnd.oci.image.layer.v1.tar\", %s}]}",
                      wrong[i].layer);
        text_refused(text, OCI_MANIFEST, ERROR_INVALID_ARGUMENT, wrong[i].word);
    }
}

static char *layers_of(size_t count)
{
    char *text = xstrdup("{\"schemaVersion\": 2, \"config\": " OCI_CONFIG ", \"layers\": [");

    for (size_t i = 0; i < count; i++) {
        autofree char *before = text;
        text = xasprintf("%s%s" OCI_LAYER("", TWO), before, i ? "," : "");
    }
    autofree char *before = text;
    return xasprintf("%s]}", before);
}

static void layers_have_a_limit(void **state)
{
    autofree char *most = layers_of(MANIFEST_LAYERS_MAX), *more = layers_of(MANIFEST_LAYERS_MAX + 1);
    autoptr(manifest) manifest = NULL;
    char *chosen;

    (void)state;
    fine(parse(most, OCI_MANIFEST, &amd64, &manifest, &chosen));
    assert_int_equal(manifest->layer_count, MANIFEST_LAYERS_MAX);
    text_refused(more, OCI_MANIFEST, ERROR_INVALID_ARGUMENT, "at most 500 layers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_of_oci_is_read),
        cmocka_unit_test(a_manifest_of_docker_is_read),
        cmocka_unit_test(an_image_without_layers_is_read),
        cmocka_unit_test(an_index_gives_the_entry_of_this_platform),
        cmocka_unit_test(a_list_of_docker_is_chosen_from_alike),
        cmocka_unit_test(of_equal_entries_the_first_is_chosen),
        cmocka_unit_test(a_variant_that_this_processor_may_not_have_is_passed_over),
        cmocka_unit_test(the_highest_variant_that_runs_is_chosen),
        cmocka_unit_test(other_names_of_an_architecture_are_known),
        cmocka_unit_test(an_attestation_is_no_image),
        cmocka_unit_test(an_index_without_this_platform_names_those_it_has),
        cmocka_unit_test(a_single_entry_that_names_no_platform_is_taken),
        cmocka_unit_test(the_content_type_helps_where_the_text_is_silent),
        cmocka_unit_test(what_is_no_manifest_is_refused),
        cmocka_unit_test(a_document_that_is_both_is_refused),
        cmocka_unit_test(the_first_schema_is_refused_by_name),
        cmocka_unit_test(an_artifact_is_no_image),
        cmocka_unit_test(a_layer_of_unknown_type_is_refused_by_name),
        cmocka_unit_test(a_bad_descriptor_is_named),
        cmocka_unit_test(layers_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
