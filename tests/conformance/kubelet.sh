#!/usr/bin/env bash
# A real kubelet without an API server runs static pods on bulkhead, in a node of its own: init container, probes, limits, an
# emptyDir, a container that keeps failing, exec and logs through the kubelet, and what is left when the manifest goes.
# `kubelet.sh BIN CLIENTS [GATE=true...]`: the directory of bulkhead's programs, one with crictl, kubelet and kubelet-exec, as
# build-client makes them, and feature gates of the kubelet. Needs root. By hand, not by ctest: kubelet builds for many minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../scripts/node.sh"
. "$here/../support/expect.sh"

if [ $# -lt 2 ] || [ ! -x "$1/bulkhead" ] || [ ! -x "$2/kubelet" ] || [ ! -x "$2/kubelet-exec" ] || [ ! -x "$2/crictl" ]; then
  echo "usage: kubelet.sh BIN CLIENTS [GATE=true...] (crictl, kubelet and kubelet-exec; tests/conformance/build-client makes them)" >&2
  exit 2
fi
bin=$(cd "$1" && pwd)
clients=$(cd "$2" && pwd)
shift 2
gates=("$@")
node_enter bhk "$here/kubelet.sh" "$bin" "$clients" "${gates[@]}"
cd "$node_dir"
kubelet_port=10250 kubelet_plain_port=10255 # the network namespace is ours
pod_name=shop-node

export clients node_dir kubelet_port kubelet_plain_port pod_name # for kubelet/ask
expect_open "$here/kubelet/ask"
printf '%s\n' "runtime-endpoint: unix://$node_socket" "image-endpoint: unix://$node_socket" 'timeout: 60' > crictl.yaml

kubelet_configuration() {
  cat > kubelet.yaml << CONFIGURATION
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://$node_socket
staticPodPath: $node_dir/manifests
podLogsDir: $node_dir/logs/pods
volumePluginDir: $node_dir/plugins
resolvConf: $node_dir/resolv.conf
address: 127.0.0.1
port: $kubelet_port
readOnlyPort: $kubelet_plain_port
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$node_cgroup
enforceNodeAllocatable: []
evictionHard: {}
oomScoreAdj: 0
failSwapOn: false
makeIPTablesUtilChains: false
fileCheckFrequency: 1s
syncFrequency: 2s
CONFIGURATION
  [ ${#gates[@]} = 0 ] || printf '%s\n' featureGates: "${gates[@]/#/  }" | sed 's/=/: /' >> kubelet.yaml
  echo 'nameserver 192.0.2.53' > resolv.conf
  mkdir -p manifests logs/pods plugins kubelet
}

# kubelet sets the host's sysctls, and writes to paths that no setting moves: it gets others in their place. What it mounts
# for its pods must reach the runtime, so only these mounts are its own.
kubelet_start() {
  local controller
  for controller in /sys/fs/cgroup/*/; do
    [ ! -e "$controller/cgroup.procs" ] || mkdir -p "$controller/$node_cgroup"
  done
  for controller in /sys/fs/cgroup/cpuset*/; do
    cp "$controller/cpuset.cpus" "$controller/$node_cgroup/cpuset.cpus"
    cp "$controller/cpuset.mems" "$controller/$node_cgroup/cpuset.mems"
  done
  cat > kubelet.wrapper << 'WRAPPER'
set -euo pipefail
mount --make-private /proc
for file in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  mkdir -p "sysctls/$(dirname "$file")"
  cat "/proc/sys/$file" > "sysctls/$file"
  mount --bind "sysctls/$file" "/proc/sys/$file"
done
exec "$@"
WRAPPER
  unshare --mount --propagation unchanged bash kubelet.wrapper "$clients/kubelet" --config "$node_dir/kubelet.yaml" \
    --root-dir "$node_dir/kubelet" --cert-dir "$node_dir/kubelet/pki" --hostname-override node --node-ip 127.0.0.1 --v 2 >> kubelet.log 2>&1 &
  kubelet_pid=$!
}

kubelet_stop() {
  kill "$kubelet_pid" && wait "$kubelet_pid" || true
}

# The kubelet leaves the cgroups of its classes of pods.
kubelet_end() {
  kubelet_stop
  node_cgroups "$node_dir" | grep -E '/kubepods(/burstable|/besteffort)?$' | xargs -r rmdir
}

shop_manifest() {
  cat > manifests/shop.yaml << MANIFEST
apiVersion: v1
kind: Pod
metadata: {name: shop, namespace: default, labels: {app: shop}}
spec:
  restartPolicy: Always
  terminationGracePeriodSeconds: 3
  enableServiceLinks: false
  volumes:
  - {name: data, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 16Mi}}
  initContainers:
  - name: prepare
    image: $node_reference
    command: [/bin/sh, -c, 'echo "made by prepare" > /data/index.html']
    volumeMounts: [{name: data, mountPath: /data}]
  containers:
  - name: web
    image: $node_reference
    command: [/bin/busybox, httpd, -f, -v, -p, '8080', -h, /data]
    ports: [{containerPort: 8080, hostPort: 18080}]
    livenessProbe: {httpGet: {path: /index.html, port: 8080}, periodSeconds: 1}
    readinessProbe: {httpGet: {path: /open, port: 8080}, periodSeconds: 1}
    resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {cpu: 200m, memory: 64Mi}}
    volumeMounts: [{name: data, mountPath: /data}, {name: memory, mountPath: /memory}]
  - name: worker
    image: $node_reference
    command: [/bin/sh, -c, 'trap "echo told to end; exit 0" TERM; echo "worker begins"; while :; do sleep 0.2; done']
    readinessProbe: {exec: {command: [/bin/cat, /data/go]}, periodSeconds: 1}
    lifecycle: {postStart: {exec: {command: [/bin/sh, -c, 'echo started > /data/hook']}}}
    resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}
    volumeMounts: [{name: data, mountPath: /data}]
  - name: sick
    image: $node_reference
    command: [/bin/sh, -c, 'echo "sick begins"; while :; do sleep 0.2; done']
    livenessProbe: {exec: {command: [/bin/busybox, test, "!", -e, /tmp/sick]}, periodSeconds: 1, failureThreshold: 2}
    securityContext: {runAsUser: 1000, runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
  - name: failing
    image: $node_reference
    command: [/bin/sh, -c, 'echo "this fails" >&2; exit 3']
MANIFEST
}

# shop_is FILTER VALUE: of the pod's status as the kubelet tells it.
shop_is() {
  ok /pods
  json ".items[] | select(.metadata.name == \"$pod_name\") | .status | $1" "$2"
}

container_is() {
  shop_is ".containerStatuses[] | select(.name == \"$1\") | $2" "$3"
}

kubelet_finds_the_runtime() {
  node_start "$bin"
  kubelet_start
  until_true 'the kubelet is healthy' kubelet_is_healthy
}

kubelet_is_healthy() {
  kill -0 "$kubelet_pid" || wrong "the kubelet has ended: $(tail -n 20 kubelet.log)"
  ok /healthz
  is ok
}

init_container_runs_first() {
  shop_manifest
  until_true 'the pod runs' shop_is .phase Running
  shop_is '.initContainerStatuses[0].state.terminated.exitCode' 0
  shop_is '.initContainerStatuses[0].ready' true
  until_true 'the web server runs' container_is web '.state | has("running")' true
  shop_is '.podIP | startswith("'$node_subnet'.")' true
  ok crictl exec -s "$(container_id web)" /bin/cat /data/index.html
  is 'made by prepare'
  [ "$(curl -sf http://127.0.0.1:18080/index.html)" = 'made by prepare' ] || wrong 'the host port does not lead to the web server'
  ok crictl exec -s "$(container_id web)" /bin/cat /data/hook /etc/hostname
  is "started
$pod_name"
}

container_id() {
  "$here/kubelet/ask" crictl ps -q --name "^$1\$"
}

probes_decide_what_is_ready() {
  container_is web .started true
  container_is web .ready false # /open is not there
  container_is worker .ready false
  container_is sick .ready true
  ok crictl exec -s "$(container_id web)" /bin/sh -c 'echo yes > /data/open; echo yes > /data/go'
  until_true 'the HTTP probe succeeds' container_is web .ready true
  until_true 'the exec probe succeeds' container_is worker .ready true
  ok crictl exec -s "$(container_id web)" /bin/busybox rm /data/open
  until_true 'the HTTP probe fails' container_is web .ready false
  container_is web .restartCount 0
  container_is worker .restartCount 0
}

failed_liveness_restarts_a_container() {
  local first
  first=$(container_id sick)
  container_is sick .restartCount 0
  ok crictl exec -s "$(container_id sick)" /bin/busybox touch /tmp/sick
  until_true 'it is restarted' container_is sick '.restartCount' 1
  until_true 'it runs again' container_is sick '.state | has("running")' true
  container_is sick .lastState.terminated.exitCode 137 # it does not hear SIGTERM
  container_is sick .lastState.terminated.containerID "bulkhead://$first"
  [ "$(container_id sick)" != "$first" ] || wrong 'it is still the old container'
}

failing_container_backs_off() {
  until_true 'it has been restarted' container_is failing '.restartCount > 1' true
  until_true 'it waits' container_is failing .state.waiting.reason CrashLoopBackOff
  container_is failing .lastState.terminated.exitCode 3
  container_is failing .lastState.terminated.reason Error
  container_is failing '.state.waiting.message | startswith("back-off ")' true
  shop_is .phase Running
}

limits_are_set() {
  local limits
  limits=$(node_cgroups "$node_dir" | grep /memory/ | while read -r cgroup; do cat "$cgroup/memory.limit_in_bytes"; done | sort -u | tr '\n' ' ')
  [[ " $limits " = *' 67108864 '* && " $limits " = *' 33554432 '* ]] || wrong "no cgroup has the limits: $limits"
  ok crictl inspect "$(container_id web)"
  json .status.resources.linux.memoryLimitInBytes 67108864
  json .status.resources.linux.cpuQuota 20000
  json .status.resources.linux.cpuShares 102
  ok crictl exec -s "$(container_id web)" /bin/sh -c 'echo 1 > /memory/file && /bin/busybox stat -f -c %T /memory'
  is tmpfs
}

exec_goes_through_the_kubelet() {
  local protocol
  for protocol in spdy websocket; do
    ok exec -protocol $protocol worker /bin/echo hello there
    is 'hello there'
    run exec -protocol $protocol worker /bin/sh -c 'echo to stderr >&2; exit 7'
    [ "$status" = 7 ] || wrong 'it should end with 7'
    has_error 'to stderr'
    ok exec -protocol $protocol worker /bin/seq 20000
    [ "$(md5sum < "$out")" = "$(seq 20000 | md5sum)" ] || wrong 'not the 20,000 lines of seq'
    ok exec -protocol $protocol -tty worker /bin/sh -c 'test -t 1 && echo a terminal'
    has 'a terminal'
  done
}

logs_go_through_the_kubelet() {
  ok "/containerLogs/default/$pod_name/worker"
  is 'worker begins'
  ok "/containerLogs/default/$pod_name/prepare"
  is ''
  ok "/containerLogs/default/$pod_name/failing?previous=true"
  is 'this fails'
  local directory
  directory=$(echo logs/pods/default_${pod_name}_*)
  [ -e "$directory/worker/0.log" ] && [ -e "$directory/sick/1.log" ] || wrong "no log files in $(find logs)"
}

statistics_go_through_the_kubelet() {
  ok /stats/summary
  json ".pods[] | select(.podRef.name == \"$pod_name\") | [.containers[] | select(.memory.workingSetBytes > 0) | .name] | contains([\"sick\", \"web\", \"worker\"])" true
  json '.node.runtime.imageFs.usedBytes > 1000000' true
}

# Containers run on, and are the same, over a restart of either.
restarts_of_kubelet_and_runtime_change_nothing() {
  local before
  before=$(container_id web)
  kubelet_stop
  node_stop
  node_start "$bin"
  kubelet_start
  until_true 'the kubelet is healthy' kubelet_is_healthy
  until_true 'the kubelet knows the pod' container_is web .ready false
  until_true 'the kubelet knows its state' container_is worker .ready true
  [ "$(container_id web)" = "$before" ] || wrong 'the web server is another container'
  container_is web .restartCount 0
  container_is sick .restartCount 1
}

pod_goes_with_its_manifest() {
  rm manifests/shop.yaml
  until_true 'no container is left' nothing_is_left ps -aq
  until_true 'no pod is left' nothing_is_left pods -q
  until_true 'the kubelet has forgotten it' no_pods
  until_true 'its logs are gone' no_logs
  until_true 'its volumes and cgroup are gone' no_volumes
}

nothing_is_left() {
  ok crictl "$@"
  is ''
}

no_pods() {
  ok /pods
  json '(.items // []) | length' 0
}

no_logs() {
  [ -z "$(ls logs/pods)" ] || wrong "$(find logs/pods)"
}

no_volumes() {
  [ -z "$(ls kubelet/pods)" ] || wrong "$(find kubelet/pods)"
  [ -z "$(node_cgroups "$node_dir" | grep /pod)" ] || wrong "$(node_cgroups "$node_dir")"
}

# The kubelet has /var/log/containers, /var/lib/kubelet and others by heart.
for directory in /var/log /var/lib/kubelet; do
  [ ! -d $directory ] || mount -t tmpfs none $directory
done
node_image
node_configure
kubelet_configuration
before=$(node_census)
step kubelet_finds_the_runtime
step init_container_runs_first
step probes_decide_what_is_ready
step failed_liveness_restarts_a_container
step failing_container_backs_off
step limits_are_set
step logs_go_through_the_kubelet
step statistics_go_through_the_kubelet
step exec_goes_through_the_kubelet
step restarts_of_kubelet_and_runtime_change_nothing
step pod_goes_with_its_manifest
kubelet_end
ok crictl rmi -a
node_files_wait || wrong 'files are left'
node_stop
node_census_wait "$before" || wrong 'it left something behind'
passed=1
