#!/usr/bin/env bash
# `bulkhead chaos` on a node of its own, with a registry of the script's own: every promise is kept while anything dies.
# Usage: chaos.sh BIN [flags of `bulkhead chaos`]; without flags, a minute of it. The report's files go to the working directory, or
# where BULKHEAD_CHAOS_REPORTS says.
set -euo pipefail
bin=$1
shift
repository=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=scripts/node.sh
. "$repository/scripts/node.sh"
node_enter bhx "$0" "$bin" "$@"

reports=${BULKHEAD_CHAOS_REPORTS:-$PWD}
node_image
node_configure
# A second image, with a layer of random data, to be pulled and removed again and again.
head -c 8000000 /dev/urandom > "$node_dir/filler"
cp -r "$node_dir/oci" "$node_dir/oci2"
umoci insert --image "$node_dir/oci2:latest" "$node_dir/filler" /filler > "$node_dir/umoci.log" 2>&1 || {
  cat "$node_dir/umoci.log" >&2
  exit 1
}
node_push "$node_dir/oci2:latest" library/filler:demo
[ $# -gt 0 ] || set -- --duration 60s --rate 10
"$bin/bulkhead" chaos --config "$node_dir/config.json" --node --keep-network --image "$node_reference" \
  --pull docker.io/library/filler:demo --html "$reports/bulkhead-chaos.html" --json "$reports/bulkhead-chaos.json" "$@"
