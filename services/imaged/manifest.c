/* How a manifest is read, and how an index's entry is chosen. */
#include "services/imaged/manifest.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "services/imaged/digest.h"

enum { INDEX_ENTRIES_MAX = 10000 };

#define LAYER_SIZE_MAX (UINT64_C(1) << 40)

#if defined(__x86_64__)
const struct platform platform_here = {"linux", "amd64", ""};
#elif defined(__aarch64__)
const struct platform platform_here = {"linux", "arm64", "v8"};
#else
#error "name this architecture as OCI does"
#endif

void manifest_free(struct manifest *manifest)
{
    if (!manifest)
        return;
    free(manifest->config.digest);
    for (size_t i = 0; i < manifest->layer_count; i++)
        free(manifest->layers[i].digest);
    free(manifest->layers);
    free(manifest);
}

static const char *text_get(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static struct error *descriptor_parse(json_t *object, struct descriptor *ret)
{
    json_t *size = json_object_get(object, "size");
    const char *digest = text_get(object, "digest");

    if (!digest_is_valid(digest))
        return error_new(ERROR_INVALID_ARGUMENT, "digest \"%.100s\" is not sha256: and 64 hex digits", digest);
    if (!json_is_integer(size) || json_integer_value(size) < 0 || (uint64_t)json_integer_value(size) > LAYER_SIZE_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "%s has no proper size", digest);
    ret->digest = xstrdup(digest);
    ret->size = (uint64_t)json_integer_value(size);
    return NULL;
}

/* The compression is seen by the bytes themselves; here only what is no tar at all is refused. */
static bool layer_type_is_known(const char *type)
{
    static const char *const known[] = {
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(type, known[i]) == 0)
            return true;
    }
    return false;
}

static struct error *layers_parse(json_t *list, struct manifest *manifest)
{
    json_t *layer;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) > MANIFEST_LAYERS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "the manifest has no proper list of at most %d layers", MANIFEST_LAYERS_MAX);
    manifest->layers = xcalloc(json_array_size(list) + 1, sizeof(manifest->layers[0]));
    json_array_foreach(list, i, layer) {
        const char *type = text_get(layer, "mediaType");
        if (!layer_type_is_known(type))
            return error_new(ERROR_UNIMPLEMENTED, "layer %zu is of type \"%.100s\", which can't be unpacked", i + 1, type);
        TRY_TO(descriptor_parse(layer, &manifest->layers[manifest->layer_count]), "layer %zu", i + 1);
        manifest->layer_count++;
    }
    return NULL;
}

static struct error *single_parse(json_t *root, struct manifest **ret)
{
    autoptr(manifest) manifest = xcalloc(1, sizeof(*manifest));
    const char *type = text_get(json_object_get(root, "config"), "mediaType");

    if (strcmp(type, "application/vnd.oci.image.config.v1+json") != 0 &&
        strcmp(type, "application/vnd.docker.container.image.v1+json") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "it is an artifact of type \"%.100s\", not a container image", type);
    TRY_TO(descriptor_parse(json_object_get(root, "config"), &manifest->config), "configuration");
    TRY(layers_parse(json_object_get(root, "layers"), manifest));
    *ret = TAKE(manifest);
    return NULL;
}

static bool is_one_of(const char *text, const char *one, const char *other)
{
    return strcmp(text, one) == 0 || strcmp(text, other) == 0;
}

static const char *architecture_normal(const char *name)
{
    if (is_one_of(name, "x86_64", "x86-64"))
        return "amd64";
    return strcmp(name, "aarch64") == 0 ? "arm64" : name;
}

/* The level of an architecture's variant: "v2" of amd64 needs more of the processor than "v1", which is the same as none; arm64's none is
 * v8. 0: not of this form. */
static unsigned variant_level(const char *architecture, const char *variant)
{
    unsigned level;
    char rest;

    if (variant[0] == '\0')
        return strcmp(architecture, "arm64") == 0 ? 8 : 1;
    return sscanf(variant, "v%u%c", &level, &rest) == 1 ? level : 0;
}

/* How well the entry fits: 0 not at all, else the higher the better. A variant of a higher level than ours does not run here. */
static unsigned entry_fit(json_t *entry, const struct platform *platform)
{
    json_t *their = json_object_get(entry, "platform");
    const char *architecture = architecture_normal(text_get(their, "architecture"));
    unsigned level = variant_level(architecture, text_get(their, "variant"));

    if (!json_is_object(their) || strcmp(text_get(their, "os"), platform->os) != 0 ||
        strcmp(architecture, platform->architecture) != 0)
        return 0;
    return level <= variant_level(platform->architecture, platform->variant) ? level : 0;
}

static char *platforms_list(json_t *entries)
{
    char *list = xstrdup("");
    json_t *entry;
    size_t i;

    json_array_foreach(entries, i, entry) {
        json_t *their = json_object_get(entry, "platform");
        autofree char *before = list;
        list = xasprintf("%s%s%.20s/%.20s", before, before[0] ? ", " : "", text_get(their, "os"),
                         text_get(their, "architecture"));
        if (i == 20)
            break;
    }
    return list;
}

static struct error *index_choose(json_t *entries, const struct platform *platform, char **ret)
{
    json_t *entry, *best = NULL;
    unsigned best_fit = 0;
    size_t i;

    if (!json_is_array(entries) || json_array_size(entries) > INDEX_ENTRIES_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "the index has no proper list of manifests");
    json_array_foreach(entries, i, entry) {
        unsigned fit = entry_fit(entry, platform);
        if (fit > best_fit) { /* of equals the first */
            best = entry;
            best_fit = fit;
        }
    }
    if (!best && json_array_size(entries) == 1 && !json_object_get(json_array_get(entries, 0), "platform"))
        best = json_array_get(entries, 0); /* it says nothing; its configuration will */
    if (!best) {
        autofree char *list = platforms_list(entries);
        return error_new(ERROR_NOT_FOUND, "no image for %s/%s, only for: %s", platform->os, platform->architecture, list);
    }
    if (!digest_is_valid(text_get(best, "digest")))
        return error_new(ERROR_INVALID_ARGUMENT, "the chosen manifest has no valid digest");
    *ret = xstrdup(text_get(best, "digest"));
    return NULL;
}

static void json_put(json_t **json)
{
    json_decref(*json);
}

static bool is_index(json_t *root, const char *type)
{
    if (is_one_of(type, "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"))
        return true;
    return json_object_get(root, "manifests") && !json_object_get(root, "layers");
}

struct error *manifest_parse(const char *text, size_t size, const char *content_type, const struct platform *platform,
                             struct manifest **ret_manifest, char **ret_chosen)
{
    json_error_t wrong;
    __attribute__((cleanup(json_put))) json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &wrong);

    if (!json_is_object(root))
        return error_new(ERROR_INVALID_ARGUMENT, "the manifest is no JSON object: %s", root ? "" : wrong.text);
    const char *type = text_get(root, "mediaType");
    autofree char *outer = xstrndup(content_type, strcspn(content_type, "; "));
    if (type[0] == '\0')
        type = outer;
    if (json_integer_value(json_object_get(root, "schemaVersion")) != 2)
        return error_new(ERROR_UNIMPLEMENTED, "the manifest is of schema %lld; only 2 is understood",
                         (long long)json_integer_value(json_object_get(root, "schemaVersion")));
    if (json_object_get(root, "manifests") && json_object_get(root, "layers"))
        return error_new(ERROR_INVALID_ARGUMENT, "the manifest has both layers and manifests"); /* CVE-2021-41190 */
    if (is_index(root, type))
        return index_choose(json_object_get(root, "manifests"), platform, ret_chosen);
    return single_parse(root, ret_manifest);
}
