#!/usr/bin/env bash
# `bulkhead check` and `bulkhead status` as an operator meets them, in a node of their own: `cli.sh BIN`. Needs root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../scripts/node.sh"
. "$here/../support/expect.sh"

if [ $# != 1 ] || [ ! -x "$1/bulkhead" ]; then
  echo "usage: cli.sh BIN (the directory of bulkhead's programs)" >&2
  exit 2
fi
bin=$(cd "$1" && pwd)
node_enter bhcli "$here/cli.sh" "$bin"
cd "$node_dir"
expect_open "$bin/bulkhead"
node_port=1 # no registry is asked
node_configure

wrong_usage_is_told() {
  local fails_with=2
  fails 'usage: bulkhead [flags] VERB'
  fails 'no verb "stat"' stat
  fails 'unknown argument "now"' check now
  fails 'usage: bulkhead status [--rights] [--json]' status --yaml
  fails '--root needs a value' check --root
  fails "'sometimes' is none of: error|warn|info|debug" --log-level sometimes check
  ok help
  has 'usage: bulkhead [flags] VERB'
  ok --version
  matches '^bulkhead [0-9]+\.[0-9]+\.[0-9]+$'
}

configuration_is_checked_by_line() {
  local fails_with=2
  printf '{"root": "/var/lib/x",\n "grpc": {"adress": "/run/x.sock"}}\n' > bad.json
  fails 'bad.json:2: grpc.adress: unknown key' check --config bad.json
  printf '{"root": "/var/lib/x",\n "state": 5}\n' > bad.json
  fails 'bad.json:2: state: ' check --config bad.json
  echo '{"root": ' > bad.json
  fails 'bad.json:' check --config bad.json
  echo '{"runtimes": {"crun": {"path": "/usr/bin/crun"}}, "default_runtime_name": "kata"}' > bad.json
  fails "no runtime 'kata'" check --config bad.json
  fails 'No such file' check --config nothere.json
}

what_would_be_used_is_shown() {
  ok check "${node_flags[@]}"
  matches '^runtime: crun \(/usr/bin/crun\), the default$'
  matches '^runtime: runc \('
  has "network: bulkhead-node ($node_dir/net.d/10-node.conflist)"
  has 'registry: docker.io, 2 to ask'
  has "configuration is good: $node_dir/config.json"
}

what_the_host_can_do_of_cgroups_is_shown() {
  ok check "${node_flags[@]}"
  has 'cgroup driver: cgroupfs'
  jq '.cgroup_driver = "systemd"' config.json > bad.json
  if [ -d /run/systemd/system ] && [ -S /run/dbus/system_bus_socket ]; then
    ok check --config bad.json
    has 'cgroup driver: systemd'
  else
    fails 'cgroup_driver: this host cannot do "systemd": /run/' check --config bad.json
  fi
}

what_is_missing_is_named() {
  mkdir empty
  fails "program: $node_dir/empty/bulkhead-keeper is missing" check "${node_flags[@]}" --programs "$node_dir/empty"
  has_error 'bulkhead-unpack is missing'
  jq '.runtimes = {crun: {path: "/usr/bin/nothere"}}' config.json > bad.json
  fails 'runtime: /usr/bin/nothere is missing' check --config bad.json
  jq '.cni.bin_dirs = ["'"$node_dir"'/empty"]' config.json > bad.json
  fails 'network "bulkhead-node"' check --config bad.json
  has_error bridge
  jq '.cni.conf_dir = "'"$node_dir"'/empty"' config.json > bad.json
  ok check --config bad.json # pods on the host's network run
  has_error "warning: no network configuration"
  echo '{"cniVersion": "1.0.0"' > empty/10-x.conflist
  fails '10-x.conflist' check --config bad.json
  echo '{"server": 5}' > certs.d/docker.io/hosts.json
  fails 'docker.io: ' check "${node_flags[@]}"
  mkdir certs.d/quay.io && touch certs.d/quay.io/hosts.toml
  fails docker.io check "${node_flags[@]}"
  has_error 'quay.io/hosts.toml is not read'
  rm -r certs.d/docker.io
  ok check "${node_flags[@]}"
}

installation_is_whole() {
  cmake --install "$(dirname "$bin")" --prefix "$node_dir/usr" > install.log 2>&1 || wrong "cmake --install: $(tail -n 5 install.log)"
  program=("$node_dir/usr/bin/bulkhead")
  ok check "${node_flags[@]}"
  program=("$bin/bulkhead")
  grep -qx "ExecStart=$node_dir/usr/bin/bulkhead run" usr/lib/systemd/system/bulkhead.service || wrong 'the unit starts another program'
  [ -e usr/share/man/man8/bulkhead.8 ] || wrong 'the manual page that the unit names is not there'
}

manual_page_has_every_flag_and_verb() {
  local word
  ok help
  sed 's/\\-/-/g; s/^\.B[IR]* //' "$here/../../packaging/bulkhead.8" > page
  for word in $(grep -oE -- '^  (--)?[a-z-]+' "$out"); do
    grep -qE -- "^$word( |\$)" page || wrong "the manual page does not have $word"
  done
}

what_does_not_run_is_told() {
  local fails_with=3
  fails "bulkhead does not run with the state directory $node_dir/s" status "${node_flags[@]}"
  is ''
  run status --json "${node_flags[@]}"
  [ "$status" = 3 ] || wrong 'it should end with 3'
  json .running false
}

processes_are_shown() {
  node_start "$bin"
  until_true 'all daemons are ready' all_are_ready
  ok status "${node_flags[@]}"
  matches '^PROCESS +PID +USER +GENERATION +UPTIME +RESTARTS +LAST REASON +MEMORY$'
  matches '^backstop +'"$node_pid"' +0 +1 +[0-9]+s +0 +- +[0-9.]+ MB$'
  local name
  for name in supervisor logd imaged sandboxd criapi; do
    matches "^$name +[0-9]+ +[1-9][0-9]+ +1 +[0-9]+s +0 +- +[0-9.]+ MB\$"
  done
  matches '^stream [0-9a-f]+ +[0-9]+ +[1-9][0-9]+ +1 +[0-9]+s +0 +- +[0-9.]+ MB( |$)'
}

rights_are_shown() {
  ok status --rights "${node_flags[@]}"
  matches '^PROCESS +PID +USER +SYSTEM CALLS +NO NEW +BOUNDING +CAPABILITIES$'
  local name
  for name in supervisor logd imaged sandboxd criapi; do
    matches "^$name +[0-9]+ +[1-9][0-9]+ +filter +yes +none +none\$"
  done
  matches '^backstop +'"$node_pid"' +0 +none +no +[0-9]+ +[0-9]+$'
  matches '^stream [0-9a-f]+ +[0-9]+ +[1-9][0-9]+ +filter +yes +none +none$'
  ok status --rights --json "${node_flags[@]}"
  json '[.[] | select(.uid != 0) | .seccomp == "filter" and .noNewPrivileges and .capabilities == [] and .boundingSet == []] | length == 6 and all' true
}

# With the `stream` process that waits for the next session.
all_are_ready() {
  ok status --json "${node_flags[@]}"
  [ "$(jq '.running and (.degraded | not) and ([.processes[].ready] | all) and (.processes | length == 8)' "$out")" = true ]
}

death_is_shown_with_its_reason() {
  ok status --json "${node_flags[@]}"
  kill -9 "$(jq '.processes[] | select(.process == "imaged").pid' "$out")"
  until_true 'imaged is there again' imaged_is_back
  ok status "${node_flags[@]}"
  matches '^imaged +[0-9]+ +[0-9]+ +2 +[0-9]+s +1 +killed +[0-9.]+ MB$'
}

imaged_is_back() {
  all_are_ready
  json '.processes[] | select(.process == "imaged").restarts' 1
}

# As a user without rights.
who_may_not_look_is_told() {
  program=(setpriv --reuid 65534 --regid 65534 --clear-groups "$node_dir/usr/bin/bulkhead")
  fails 'Permission denied' status "${node_flags[@]}"
  fails 'must be root' run "${node_flags[@]}"
  program=("$bin/bulkhead")
}

before=$(node_census)
step wrong_usage_is_told
step configuration_is_checked_by_line
step what_would_be_used_is_shown
step what_the_host_can_do_of_cgroups_is_shown
step what_is_missing_is_named
step installation_is_whole
step manual_page_has_every_flag_and_verb
step what_does_not_run_is_told
step processes_are_shown
step rights_are_shown
step death_is_shown_with_its_reason
step who_may_not_look_is_told
node_stop
step what_does_not_run_is_told
node_census_wait "$before" || wrong 'it left something behind'
passed=1
