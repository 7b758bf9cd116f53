#!/usr/bin/env bash
# `bulkhead chaos` finds what is wrong: it is told to kill the containers' own processes, of which no runtime could give the
# exit codes and logs that were planned. It must exit with 1, name the seed, and say so in both reports.
# Usage: finds.sh BIN
set -euo pipefail
bin=$1
repository=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=scripts/node.sh
. "$repository/scripts/node.sh"
node_enter bhf "$0" "$bin"

# What a run that did not end well keeps for a look: here nobody looks.
kept_remove() {
  local kept
  kept=$(sed -n "s/^chaos: the runtime's log and files: //p" "$node_dir/chaos.log")
  [ -z "$kept" ] || rm -rf "$kept"
}

fail() {
  printf 'finds: %s\n' "$*" >&2
  cat "$node_dir/chaos.log" >&2
  kept_remove
  exit 1
}

node_image
node_configure
status=0
"$bin/bulkhead" chaos --config "$node_dir/config.json" --node --keep-network --image "$node_reference" \
  --kill '^/bin/sh -c i=0' --cgroup-parent /bhf-pods --duration 8s --rate 5 --seed 7 \
  --html "$node_dir/chaos.html" --json "$node_dir/chaos.json" > "$node_dir/chaos.log" 2>&1 || status=$?
[ "$status" = 1 ] || fail "exit status $status, not 1"
grep -q 'repeat by: bulkhead chaos --seed 7 ' "$node_dir/chaos.log" || fail "no command to repeat it"
[ "$(jq '.violationsByKind["wrong exit codes"]' "$node_dir/chaos.json")" -gt 0 ] || fail "no wrong exit code in the JSON"
[ "$(jq '[.violationsByKind[]] | add' "$node_dir/chaos.json")" = "$(jq .violations "$node_dir/chaos.json")" ] || fail "the sum is wrong"
[ "$(jq '.killList | length' "$node_dir/chaos.json")" = "$(jq .kills "$node_dir/chaos.json")" ] || fail "kills are missing"
grep -q 'ended with 137' "$node_dir/chaos.html" || fail "no wrong exit code in the page"
kept_remove
! grep -qE '(src|href)=|url\(|@import' "$node_dir/chaos.html" || fail "the page has something from elsewhere"
# The same without kills has none.
"$bin/bulkhead" chaos --config "$node_dir/config.json" --node --keep-network --image "$node_reference" --duration 3s --rate 0 \
  --html "$node_dir/calm.html" --json "$node_dir/calm.json" > "$node_dir/chaos.log" 2>&1 || fail "exit status $? without a kill"
[ "$(jq .violations "$node_dir/calm.json")" = 0 ] || fail "a violation without a kill"
# What cannot begin is neither.
for wrong in '--targets nobody' '--node --image docker.io/library/none:none --keep-network'; do
  status=0
  # shellcheck disable=SC2086 # of words
  "$bin/bulkhead" chaos --config "$node_dir/config.json" $wrong > "$node_dir/chaos.log" 2>&1 || status=$?
  [ "$status" = 2 ] || fail "chaos $wrong: exit status $status, not 2"
  kept_remove
done
echo "finds: it tells right from wrong"
