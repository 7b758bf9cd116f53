#!/usr/bin/env bash
# crictl as an operator uses it, against bulkhead in a node of its own: what each command prints, not only how it ends.
# `crictl.sh BIN CRICTL`: the directory of bulkhead's programs, and the crictl that build-client made. Needs root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../scripts/node.sh"
. "$here/../support/expect.sh"

if [ $# != 2 ] || [ ! -x "$1/bulkhead" ] || [ ! -x "$2" ]; then
  echo "usage: crictl.sh BIN CRICTL (an executable; tests/conformance/build-client makes it)" >&2
  exit 2
fi
bin=$(cd "$1" && pwd)
crictl=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
node_enter bhc "$here/crictl.sh" "$bin" "$crictl"
cd "$node_dir"
expect_open "$crictl" --config "$node_dir/crictl.yaml"
cat > crictl.yaml << CONFIGURATION
runtime-endpoint: unix://$node_socket
image-endpoint: unix://$node_socket
timeout: 60
CONFIGURATION

# pod_config NAME: writes NAME.pod.json, with the labels, and a process namespace per container, that kubelet gives.
pod_config() {
  cat > "$1.pod.json" << CONFIGURATION
{"metadata": {"name": "$1", "namespace": "shop", "uid": "uid-$1"}, "hostname": "$1", "log_directory": "$node_dir/logs/$1",
 "labels": {"app": "$1", "io.kubernetes.pod.name": "$1", "io.kubernetes.pod.namespace": "shop"},
 "annotations": {"who": "crictl.sh"}, "dns_config": {"servers": ["192.0.2.53"]}, "linux": {"cgroup_parent": "/$node_cgroup", "security_context": {"namespace_options": {"pid": 1}}}}
CONFIGURATION
  mkdir -p "logs/$1/main"
}

# container_config FILE NAME ATTEMPT COMMAND: a shell's command; the log is at NAME/ATTEMPT.log, where kubelet puts it.
container_config() {
  jq -n --arg name "$2" --argjson attempt "$3" --arg command "$4" --arg image "$node_reference" '{
    metadata: {name: $name, attempt: $attempt}, image: {image: $image}, log_path: "\($name)/\($attempt).log",
    labels: {tier: "front", "io.kubernetes.pod.name": "web", "io.kubernetes.pod.namespace": "shop"},
    command: ["/bin/sh", "-c", $command], linux: {resources: {memory_limit_in_bytes: 67108864},
    security_context: {namespace_options: {pid: 1}}}}' > "$1"
}

node_says_why_it_is_not_ready() {
  mv net.d/10-node.conflist conflist
  node_start "$bin"
  until_true "Status is answered" ok info
  json '.status.conditions[] | select(.type == "RuntimeReady").status' true
  json '.status.conditions[] | select(.type == "NetworkReady").status' false
  json '.status.conditions[] | select(.type == "NetworkReady") | .message | contains("net.d")' true
  mv conflist net.d/10-node.conflist
  until_true "the network is ready once net.d has a file" network_is_ready
  json '[.runtimeHandlers[].name] | sort | join(",")' ,crun,runc
  json .config.root "$node_dir/r"
  ok version
  has 'RuntimeName:  bulkhead'
  has "RuntimeVersion:  $("$bin/bulkhead" version | cut -d' ' -f2)"
  has 'RuntimeApiVersion:  v1'
  ok runtime-config
  has CGROUPFS
}

network_is_ready() {
  ok info
  [ "$(jq '[.status.conditions[].status] | all' "$out")" = true ]
}

image_is_pulled_and_listed() {
  ok pull "$node_reference"
  has 'Image is up to date for sha256:'
  image=$(sed 's/.* for //' "$out")
  ok images -q
  is "$image"
  ok images
  matches "^docker.io/library/busybox +demo +${image:7:13} +[0-9.]+MB"
  ok images -o json docker.io/library/busybox
  json '.images[0].repoTags[0]' "$node_reference"
  digest=$(jq -r '.images[0].repoDigests[0]' "$out")
  ok images --digests
  matches " demo +$(cut -d: -f2 <<< "$digest" | cut -c1-13) "
  ok pull "$digest"
  is "Image is up to date for $image"
  ok images -q docker.io/library/nothere
  is ''
  ok inspecti "${image:7:13}"
  json .status.id "$image"
  json '.info.imageSpec.config.Cmd[0]' /bin/sh
  ok imagefsinfo
  json '.status.imageFilesystems[0].usedBytes.value | tonumber > 1000000' true
  json '.status.imageFilesystems[0].fsId.mountpoint' "$node_dir/r/imaged"
  refused NotFound pull registry.test/library/nothere:1
  refused InvalidArgument pull docker.io/Capital/letters:1
  fails 'no such image' inspecti docker.io/library/nothere:1
  fails 'no such image' rmi docker.io/library/nothere:1
}

pod_runs_and_is_found() {
  pod_config web
  pod_config db
  ok runp web.pod.json
  web=$(cat "$out")
  ok runp web.pod.json # a retry joins
  is "$web"
  ok runp --runtime runc db.pod.json
  db=$(cat "$out")
  refused InvalidArgument runp --runtime nothere web.pod.json
  ok pods
  matches "^${web:0:13} .* Ready +web +shop +0 +\(default\)$"
  matches "^${db:0:13} .* Ready +db +shop +0 +runc$"
  local filter
  for filter in '--name ^web$' "--id ${web:0:13}" '--label app=web' '--namespace shop --name we'; do
    ok pods -q $filter
    is "$web"
  done
  ok pods -q --latest
  is "$db"
  ok pods -q --state NotReady
  is ''
  ok inspectp "${web:0:13}"
  json .status.state SANDBOX_READY
  json .status.labels.app web
  json .status.annotations.who crictl.sh
  json '.status.network.ip | startswith("'$node_subnet'.")' true
  json .info.runtime crun
  [ -e "$(jq -r .info.netns "$out")" ] || wrong 'the network namespace is not where inspectp says'
  ok inspectp "$db"
  json .status.runtimeHandler runc
  json .info.runtime runc
}

containers_run_and_are_found() {
  container_config main.json main 0 'trap "exit 7" TERM; echo oops >&2; while ! [ -e /tmp/go ]; do sleep 0.1; done
    for i in $(seq 500); do echo "line $i"; done; while :; do sleep 0.1; done'
  ok create "$web" main.json web.pod.json
  main=$(cat "$out")
  ok create "$web" main.json web.pod.json # a retry joins
  is "$main"
  refused AlreadyExists create "$web" <(jq '.image.image = "'"$image"'" | .command = ["/bin/true"]' main.json) web.pod.json
  refused NotFound create "$web" <(jq '.metadata.name = "other" | .image.image = "docker.io/library/nothere:1"' main.json) web.pod.json
  ok ps -q
  is ''
  ok ps -a
  matches "^${main:0:13} +$node_reference .* Created +main +0 +${web:0:13} +web +shop"
  ok inspect "$main"
  json .status.state CONTAINER_CREATED
  ok start "$main"
  is "$main"
  ok start "$main" # a retry joins
  ok ps
  matches "^${main:0:13} +$node_reference .* Running +main +0 +${web:0:13} +web +shop"
  local filter
  for filter in '--name main' "--pod ${web:0:13}" "--id ${main:0:13}" '--label tier=front' '--state Running' \
    "--image ${image:7:13}" "--image $node_reference" '--latest'; do
    ok ps -q $filter
    is "$main"
  done
  for filter in '--name other' "--pod $db" '--label tier=back' '--state Exited' '--id 0000'; do
    ok ps -q $filter
    is ''
  done
  ok inspect "${main:0:13}"
  json .status.state CONTAINER_RUNNING
  json .status.imageId "$image"
  json .status.logPath "$node_dir/logs/web/main/0.log"
  json .status.resources.linux.memoryLimitInBytes 67108864
  json .status.finishedAt 0001-01-01T00:00:00Z
  kill -0 "$(jq .info.pid "$out")" || wrong 'info.pid is no process'
}

# Over a session, by each protocol that crictl has.
sessions_work() {
  local transport
  for transport in spdy websocket; do
    ok exec --transport $transport "$main" /bin/echo hello there
    is 'hello there'
    fails 'exit code 3' exec --transport $transport "$main" /bin/sh -c 'echo to stderr >&2; exit 3'
    has_error 'to stderr'
    ok exec --transport $transport "$main" /bin/seq 20000
    [ "$(md5sum < "$out")" = "$(seq 20000 | md5sum)" ] || wrong 'not the 20,000 lines of seq'
    # crictl wants a terminal of its own.
    timeout 60 script -qec "$(printf '%q ' "${program[@]}" exec -it --transport $transport "$main" /bin/ls -l /proc/self/fd/1)" /dev/null \
      < /dev/null > "$out" || wrong 'it should end well'
    has /dev/pts/
    refused NotFound exec --transport $transport nothere /bin/true
  done
}

attach_reaches_the_first_process() {
  local container transport attempt=20
  for transport in spdy websocket; do
    container_config reader.json main $((attempt += 1)) 'while read -r line; do echo "got $line"; done; exit 4'
    ok create "$web" <(jq '.stdin = true | .stdin_once = true' reader.json) web.pod.json
    container=$(cat "$out")
    ok start "$container"
    printf 'one\ntwo\n' | timeout 60 "${program[@]}" attach -i --transport $transport "$container" > "$out" 2> "$err" ||
      wrong 'attach should end well'
    is $'got one\ngot two'
    until_true 'it has ended with its input' container_has_ended "$container"
    ok inspect "$container"
    json .status.exitCode 4
    ok rm "$container"
  done
}

port_forward_reaches_the_pod() {
  local container transport port=18000 forward
  container_config server.json main 30 '/bin/busybox mkdir /tmp/www; echo "a page" > /tmp/www/index.html; exec /bin/busybox httpd -f -p 127.0.0.1:8080 -h /tmp/www'
  ok create "$web" server.json web.pod.json
  container=$(cat "$out")
  ok start "$container"
  for transport in spdy websocket; do
    port=$((port + 1))
    "${program[@]}" port-forward --transport $transport "$web" $port:8080 > "$out" 2> "$err" &
    forward=$!
    until_true 'the port leads to the pod' page_is "http://127.0.0.1:$port/" 'a page'
    page_is "http://127.0.0.1:$port/" 'a page' # again
    kill -INT $forward # as an operator does
    wait $forward || true
  done
  ok rm -f "$container"
}

page_is() {
  [ "$(curl -sf "$1")" = "$2" ]
}

exec_answers() {
  ok exec -s "$main" /bin/echo hello there
  is 'hello there'
  ok exec -s "$main" /bin/hostname
  is web
  ok exec -s "$main" /bin/cat /etc/resolv.conf
  has 'nameserver 192.0.2.53'
  ok exec -s --name main /bin/echo by name
  has 'by name'
  fails 'exited with 3: to stderr' exec -s "$main" /bin/sh -c 'echo to stderr >&2; exit 3'
  fails 'exited with 137' exec -s "$main" /bin/sh -c 'kill -9 $$'
  refused Internal exec -s "$main" /bin/nothere
  has_error '/bin/nothere'
  fails 'timed out after 1s' exec -s --timeout 1 "$main" /bin/sleep 3600
  ok exec -s "$main" /bin/sh -c 'seq 1 20000 | tail -n 1' # more than a pipe holds, on the way
  is 20000
  ok exec -s "$main" /bin/seq 20000
  [ "$(sed '/^$/d' "$out" | md5sum)" = "$(seq 20000 | md5sum)" ] || wrong 'not the 20,000 lines of seq'
}

logs_are_whole() {
  until_true 'the log has the first line' log_has 1
  ok exec -s "$main" /bin/sh -c 'echo > /tmp/go' # two streams have no order but this one
  until_true 'the log has all lines' log_has 501
  ok logs "$main"
  diff <(seq 500 | sed 's/^/line /') "$out" > /dev/null || wrong 'not the 500 lines'
  [ "$(cat "$err")" = oops ] || wrong 'stderr is not apart'
  ok logs -s stderr "$main"
  is ''
  ok logs --tail 3 "$main"
  is $'line 498\nline 499\nline 500'
  ok logs -t --tail 1 "$main"
  matches '^20[0-9-]+T[0-9:.]+(Z|[+-][0-9:]+) line 500$'
  ok logs --limit-bytes 12 "$main"
  is 'line 1'
  ok logs --since 1h "$main"
  [ "$(wc -l < "$out")" = 500 ] || wrong 'not the 500 lines'
  mv logs/web/main/0.log logs/web/main/0.log.1
  ok logs -r "$main"
  ok exec -s "$main" /bin/sh -c 'echo after rotation > /proc/1/fd/1'
  until_true 'the new log has the new line' log_has_line_after_rotation
  grep -q ' stdout F line 500$' logs/web/main/0.log.1 || wrong 'the rotated log lost a line'
}

log_has() {
  ok logs "$main"
  [ "$(cat "$out" "$err" | wc -l)" = "$1" ]
}

log_has_line_after_rotation() {
  ok logs "$main"
  [ "$(cat "$out")" = 'after rotation' ]
}

logs_are_followed_to_the_end() {
  container_config ticker.json main 1 'for i in $(seq 30); do echo "tick $i"; sleep 0.05; done; exit 5'
  ok create "$web" ticker.json web.pod.json
  ticker=$(cat "$out")
  ok start "$ticker"
  ok logs -f "$ticker" # ends with the container
  is "$(seq 30 | sed 's/^/tick /')"
  ok logs -p "$ticker" # of the attempt before
  has 'after rotation'
  ok inspect "$ticker"
  json .status.state CONTAINER_EXITED
  json .status.exitCode 5
  json .status.reason Error
  refused FailedPrecondition exec -s "$ticker" /bin/true
  refused FailedPrecondition start "$ticker"
}

stats_count() {
  ok stats -o json
  json '.stats | length' 1 # of what runs
  json '.stats[0].attributes.id' "$main"
  json '.stats[0].memory.workingSetBytes.value | tonumber > 0' true
  json '.stats[0].memory.usageBytes.value | tonumber > 0' true
  json '.stats[0].cpu.usageCoreNanoSeconds.value | tonumber > 0' true
  ok stats --label tier=front --pod "$web" --id "${main:0:13}"
  matches "^${main:0:13} +main +[0-9.]+ +[1-9][0-9.]*(kB|MB) "
  ok stats -o json --pod "$db"
  json '.stats | length' 0
}

statistics_of_pods() {
  ok statsp -o json
  json '.stats | length' 2
  ok statsp -o json --label app=web
  json '[.stats[].attributes.metadata.name] | join(",")' web
  until_true 'the pod has statistics of its network' statsp_has_network "$web"
  json '.stats[0].linux.network.defaultInterface.rxBytes.value | tonumber > 0' true
  json '.stats[0].linux.cpu.usageCoreNanoSeconds.value | tonumber > 0' true
  json '.stats[0].linux.process.processCount.value | tonumber > 0' true
  json '[.stats[0].linux.containers[].attributes.id] | join(",")' "$main"
  ok statsp
  has "${web:0:13}"
}

statsp_has_network() {
  ok statsp -o json --id "$1"
  [ "$(jq -r '.stats[0].linux.network.defaultInterface.name' "$out")" = eth0 ]
}

metrics_are_described_and_told() {
  ok metricdescs
  json '[.descriptors[].name] | index("container_cpu_usage_seconds_total") != null' true
  json '[.descriptors[] | select(.name == "container_memory_failures_total").labelKeys[6:][]] | join(",")' failure_type,scope
  ok metricsp
  json '[.podMetrics[].podSandboxId] | sort == (["'"$web"'", "'"$db"'"] | sort)' true
  json '.podMetrics[] | select(.podSandboxId == "'"$web"'").containerMetrics[0].containerId' "$main"
  json '.podMetrics[] | select(.podSandboxId == "'"$web"'").containerMetrics[0].metrics[] | select(.name == "container_spec_memory_limit_bytes").value.value' 67108864
}

resources_are_updated() {
  ok update --memory 90001408 --cpu-share 333 --cpu-period 50000 --cpu-quota 25000 "$main"
  ok inspect "$main"
  json '.status.resources.linux | [.memoryLimitInBytes, .cpuShares, .cpuPeriod, .cpuQuota] | map(tostring) | join(",")' 90001408,333,50000,25000
  ok metricsp
  json '.podMetrics[] | select(.podSandboxId == "'"$web"'").containerMetrics[0].metrics[] | select(.name == "container_spec_memory_limit_bytes").value.value' 90001408
  refused InvalidArgument update --memory 90001408 --cpuset-cpus 4000 "$main"
  refused InvalidArgument update --cpu-share -1 "$main"
  refused NotFound update --cpu-share 2 0123456789abcdef
  ok inspect "$main"
  json '.status.resources.linux.cpuShares | tostring' 333
  json '.status.resources.linux.cpusetCpus' ''
}

image_in_use_is_removed_and_the_container_runs_on() {
  ok rmi --prune # spares what is in use
  ok images -q
  is "$image"
  ok rmi "$node_reference"
  has "Deleted: $node_reference"
  ok images -q
  is ''
  ok exec -s "$main" /bin/echo still here
  is 'still here'
  ok ps -q
  is "$main"
  ok pull "$node_reference"
  is "Image is up to date for $image"
}

stopped_container_is_told() {
  ok stop --timeout 60 "$main"
  ok ps -q
  is ''
  ok ps -a --name main
  matches "^${main:0:13} .* Exited +main +0 "
  ok inspect "$main"
  json .status.state CONTAINER_EXITED
  json .status.exitCode 7
  json .status.reason Error
  json .info.pid 0
  json '.status.finishedAt > .status.startedAt' true
  ok stop "$main" # again
  ok logs "$main"
  ok rm "$main" "$ticker"
  [ ! -e logs/web/main/0.log ] || wrong 'crictl rm leaves the log'
  refused NotFound inspect "$main"
  ok ps -aq
  is ''
}

force_removes_what_runs() {
  container_config deaf.json main 2 'trap "" TERM; while :; do sleep 0.1; done'
  ok create "$web" deaf.json web.pod.json
  deaf=$(cat "$out")
  ok start "$deaf"
  fails 'is running, please stop it first' rm "$deaf"
  ok stop --timeout 1 "$deaf"
  ok inspect "$deaf"
  json .status.exitCode 137
  ok rm "$deaf"
  container_config deaf.json main 3 'trap "" TERM; while :; do sleep 0.1; done'
  ok create "$web" deaf.json web.pod.json
  deaf=$(cat "$out")
  ok start "$deaf"
  ok rm -f --keep-logs "$deaf"
  [ -e logs/web/main/3.log ] || wrong 'crictl rm --keep-logs removes the log'
  ok ps -aq
  is ''
}

what_ended_a_container_is_told() {
  container_config ended.json main 4 'x=a; while :; do x=$x$x; done'
  ended_is OOMKilled 137 '.linux.resources.memory_limit_in_bytes = 16777216'
  container_config ended.json main 5 'sh -c "kill -SEGV \$\$"; exit $?'
  ended_is Error 139 .
  container_config ended.json main 6 'ls -l /proc/self/fd/1'
  ended_is Completed 0 '.tty = true'
  grep -q ' stdout F .*/dev/pts/0' logs/web/main/6.log || wrong 'stdout is no terminal'
  container_config ended.json main 7 true
  refused Internal create "$web" <(jq '.command = ["/bin/nothere"]' ended.json) web.pod.json
  has_error '/bin/nothere'
  refused InvalidArgument create "$web" <(jq '.log_path = "../../x.log"' ended.json) web.pod.json
  refused NotFound create "$web" <(jq '.devices = [{container_path: "/dev/x", host_path: "/dev/nothere", permissions: "r"}]' ended.json) web.pod.json
  has_error 'device /dev/nothere'
  ok ps -aq
  is ''
}

# ended_is REASON CODE FILTER: of ended.json, changed by the filter.
ended_is() {
  local container
  ok create "$web" <(jq "$3" ended.json) web.pod.json
  container=$(cat "$out")
  ok start "$container"
  until_true 'it has ended' container_has_ended "$container"
  ok inspect "$container"
  json .status.reason "$1"
  json .status.exitCode "$2"
  ok rm --keep-logs "$container"
}

container_has_ended() {
  ok inspect "$1"
  json .status.state CONTAINER_EXITED
}

runc_pod_works() {
  container_config db.json main 0 'trap "exit 0" TERM; echo ready; while :; do sleep 0.1; done'
  ok create "$db" db.json db.pod.json
  main=$(cat "$out")
  ok start "$main"
  ok inspect "$main"
  json .info.runtime runc
  ok exec -s "$main" /bin/hostname
  is db
  until_true 'the log has the line' log_is_ready
  ok stats -o json "$main"
  json '.stats[0].memory.workingSetBytes.value | tonumber > 0' true
  ok stop --timeout 60 "$main"
  ok inspect "$main"
  json .status.exitCode 0
  json .status.reason Completed
  ok rm "$main"
}

log_is_ready() {
  ok logs "$main"
  [ "$(cat "$out")" = ready ]
}

unknown_ids_are_not_found() {
  local id=0123456789abcdef command
  for command in "inspect $id" "inspectp $id" "start $id" "rm $id" "rm -f $id" "rmp $id" "rmp -f $id" "logs $id" \
    "exec -s $id /bin/true" "create $id main.json web.pod.json"; do
    refused NotFound $command
  done
  ok stop "$id" # gone already, says CRI
  ok stopp "$id"
  ok stats -o json "$id"
  json '.stats | length' 0
}

what_is_not_implemented_says_so() {
  container_config idle.json main 8 'while :; do sleep 0.1; done'
  ok create "$web" idle.json web.pod.json
  main=$(cat "$out")
  ok start "$main"
  local command
  for command in "checkpoint --export=$node_dir/checkpoint $main"; do
    refused Unimplemented $command
  done
  ok ps -q
  is "$main"
}

# events_of ID: the types of its events, as far as they have come.
events_of() {
  jq -rs --arg id "$1" '[.[] | select(.containerId == $id) | .containerEventType] | join(" ")' events.json
}

has_events() {
  [ "$(events_of "$1")" = "$2" ]
}

# One that comes before crictl is heard is not told.
is_told_of_one_that_comes_and_goes() {
  local id
  ok create "$web" short.json web.pod.json
  id=$(cat "$out")
  ok rm "$id"
  has_events "$id" 'CONTAINER_CREATED_EVENT CONTAINER_DELETED_EVENT'
}

events_are_told() {
  local life='CONTAINER_CREATED_EVENT CONTAINER_STARTED_EVENT CONTAINER_STOPPED_EVENT CONTAINER_DELETED_EVENT' told pod
  "$crictl" --config crictl.yaml --timeout 0 events > events.json 2> events.err &
  local events=$!
  container_config short.json short 0 'sleep 1000'
  until_true 'crictl events hears of a container' is_told_of_one_that_comes_and_goes
  ok create "$web" short.json web.pod.json
  told=$(cat "$out")
  ok start "$told"
  ok stop --timeout 0 "$told"
  ok rm "$told"
  until_true 'its four events' has_events "$told" "$life"
  jq -s --arg id "$told" '[.[] | select(.containerId == $id)]' events.json > "$out"
  json '[.[].podSandboxStatus.metadata.name] | unique | join(",")' web
  json '.[2].containersStatuses[] | select(.metadata.name == "short") | .exitCode' 137
  json '[.[3].containersStatuses[] | select(.metadata.name == "short")] | length' 0
  pod_config told
  ok runp told.pod.json
  pod=$(cat "$out")
  ok rmp -f "$pod"
  until_true "the sandbox's four events" has_events "$pod" "$life"
  kill "$events"
  wait "$events" || true
}

many_are_run_and_removed_at_once() {
  local i pids=()
  for i in 1 2 3 4 5 6; do
    pod_config "many$i"
    "$crictl" --config crictl.yaml run main.json "many$i.pod.json" > "many$i.out" 2>&1 &
    pids+=($!)
  done
  for i in 1 2 3 4 5 6; do
    wait "${pids[i - 1]}" || wrong "crictl run of pod many$i: $(cat "many$i.out")"
  done
  ok pods -q --name '^many'
  [ "$(wc -l < "$out")" = 6 ] || wrong 'not six pods'
  ok ps -q --image "$node_reference"
  [ "$(wc -l < "$out")" = 7 ] || wrong 'not seven containers, with the idle one'
  ok inspectp $(pods_of '^many')
  json '[.[].status.network.ip | select(startswith("'$node_subnet'."))] | unique | length' 6
  json '[.[].status.state] | unique | join(",")' SANDBOX_READY
  ok stop --timeout 1 -a
  ok ps -q
  is ''
  ok rm -a
  ok ps -aq
  is ''
  ok rmp -f $(pods_of '^many')
  ok pods -q
  [ "$(sort "$out")" = "$(printf '%s\n' "$web" "$db" | sort)" ] || wrong 'the other two pods should be left'
}

pods_of() {
  "$crictl" --config "$node_dir/crictl.yaml" pods -q --name "$1"
}

everything_is_removed() {
  ok create "$web" idle.json web.pod.json
  ok start "$(cat "$out")"
  fails 'is running, please stop it first' rmp "$web"
  ok rmp -f "$web" # with the container that runs in it
  has "Removed sandbox $web"
  ok ps -aq
  is ''
  ok stopp "$db"
  ok pods --state NotReady -q
  is "$db"
  ok stopp "$db" # again
  refused FailedPrecondition create "$db" db.json db.pod.json
  ok rmp "$db"
  ok run main.json web.pod.json # pod and container in one
  ok pods -q --name web
  ok rmp -fa
  ok pods -q
  is ''
  ok rmi -a
  has "Deleted: $node_reference"
  ok images -q
  is ''
  until_true 'the image file system is empty' image_filesystem_is_empty
}

image_filesystem_is_empty() {
  ok imagefsinfo
  [ "$(jq -r '.status.imageFilesystems[0].usedBytes.value' "$out")" = 0 ]
}

node_image
node_configure
mkdir certs.d/registry.test
echo "{\"server\": \"http://127.0.0.1:$node_port\"}" > certs.d/registry.test/hosts.json
before=$(node_census)
step node_says_why_it_is_not_ready
step image_is_pulled_and_listed
step pod_runs_and_is_found
step containers_run_and_are_found
step exec_answers
step sessions_work
step attach_reaches_the_first_process
step port_forward_reaches_the_pod
step logs_are_whole
step logs_are_followed_to_the_end
step stats_count
step statistics_of_pods
step metrics_are_described_and_told
step resources_are_updated
step image_in_use_is_removed_and_the_container_runs_on
step stopped_container_is_told
step force_removes_what_runs
step what_ended_a_container_is_told
step runc_pod_works
step unknown_ids_are_not_found
step what_is_not_implemented_says_so
step events_are_told
step many_are_run_and_removed_at_once
step everything_is_removed
node_files_wait || wrong "files are left"
node_stop
node_census_wait "$before" || wrong 'it left something behind'
passed=1
