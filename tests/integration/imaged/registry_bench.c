/* How the images of a registry are made, by umoci, skopeo and a few lines of shell. */
#include "tests/integration/imaged/registry_bench.h"

#include "common/fd.h"
#include "common/memory.h"

struct bench bench;
struct registry_server registry;

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

int registry_bench_open(void **state)
{
    (void)state;
    bench_isolate();
    bench_prepare(&bench);
    fine(registry_server_start(&registry));
    fine(registry_server_script(&registry, images_script));
    bench_start(&bench);
    return 0;
}

int registry_bench_close(void **state)
{
    (void)state;
    registry_server_stop(&registry);
    return bench_stop(&bench);
}

char *noted(const char *file)
{
    autofree char *path = xasprintf("%s/%s", registry.directory, file);
    char *text;
    size_t size;

    fine(file_read_all(path, 65536, &text, &size));
    return text;
}

char *name_of(const char *rest)
{
    return xasprintf("127.0.0.1:%u/%s", registry.port, rest);
}

char *digested_of(const char *repository, const char *noted_name)
{
    autofree char *file = xasprintf("%s.digest", noted_name), *digest = noted(file);

    return xasprintf("127.0.0.1:%u/test/%s@%s", registry.port, repository, digest);
}

char *pull_get(const char *name)
{
    char *id = NULL;

    fine(pull(&bench, name, &id));
    return id;
}

void removed(const char *name)
{
    fine(remove_image(&bench, name));
    assert_false(is_known(&bench, name));
}
