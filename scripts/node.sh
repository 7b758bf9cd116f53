# shellcheck shell=bash
# A whole node of a script's own, without a trace afterwards: namespaces, a registry with an image in it, CNI, bulkhead, and
# the count of what is left. Sourced under `set -euo pipefail` by scripts/demo, scripts/conformance and the scripts in
# tests/conformance, as root.
#
#   node_cgroup_driver=systemd  before the next, where systemd is to make the cgroups
#   node_enter NAME "$0" "$@"   runs the script again inside; what follows runs there, with node_dir, node_socket, ... set
#   node_registry               a registry on loopback
#   node_image                  it, with library/busybox:demo
#   node_push LAYOUT:IMAGE REFERENCE
#   node_configure [REGISTRY...]  CNI network, mirror rules for docker.io and those, config.json
#   node_start BIN, node_stop   `bulkhead run`
#   node_census                 what must be the same before and after, as text
#
# With BULKHEAD_NODE_KEEP=1 the directory (logs, configuration) stays for a look.

# The pid namespace makes an end of every process when the script ends, however it does; mounts, addresses and iptables
# rules go with theirs. Only cgroups and files are to be removed from outside.
node_enter() {
  local name=$1 child status=0 namespaces=(--mount --net --ipc)
  shift
  if [ -n "${BULKHEAD_NODE:-}" ]; then
    node_inside "$name"
    return
  fi
  BULKHEAD_NODE=$(mktemp -d "/tmp/$name.XXXXXX")
  export BULKHEAD_NODE
  chmod 755 "$BULKHEAD_NODE" # the daemons have users of their own
  # systemd is told the pids of containers, which must be those it sees.
  [ "${node_cgroup_driver:-}" = systemd ] || namespaces+=(--pid --mount-proc --kill-child)
  setpriv --pdeathsig KILL unshare "${namespaces[@]}" --propagation private -- "$@" < /dev/null &
  child=$!
  trap 'kill -KILL $child; wait $child || true; node_sweep "$BULKHEAD_NODE"; exit 130' INT TERM HUP
  wait "$child" || status=$?
  node_sweep "$BULKHEAD_NODE"
  exit "$status"
}

node_inside() {
  node_dir=$BULKHEAD_NODE
  node_subnet=10.199.0
  node_cgroup=$(basename "$node_dir")
  node_socket=$node_dir/s/bulkhead.sock
  node_flags=(--config "$node_dir/config.json" --root "$node_dir/r" --state "$node_dir/s" --address "$node_socket")
  node_reference=docker.io/library/busybox:demo
  node_pid='' node_port='' node_programs=''
  mount --make-rshared /
  # crun refuses hybrid cgroups; with the version 2 tree hidden the host is a plain version 1 host.
  if [ -e /sys/fs/cgroup/unified/cgroup.controllers ]; then
    mount -t tmpfs none /sys/fs/cgroup/unified
  fi
  ip link set lo up
}

# The name of the cgroup that the keeper makes for a tree: the FNV-1a hash of its state directory.
node_tree_cgroup() {
  local text=$1 hash=2166136261 i
  for ((i = 0; i < ${#text}; i++)); do
    hash=$(((hash ^ $(printf '%d' "'${text:i:1}")) * 16777619 & 0xffffffff))
  done
  printf 'bulkhead-%08x' "$hash"
}

# Every cgroup of the node, of pods and of the daemons, deepest first; the directories that crun makes in the hidden tree's
# place are none. A pod without a parent cgroup has one of its own name.
node_cgroups() {
  local pod mine=(-path "*/$(basename "$1")*" -o -path "*/$(node_tree_cgroup "$1/s")*")
  for pod in "$1"/r/sandboxd/pods/*/; do
    [ ! -d "$pod" ] || mine+=(-o -path "*/bulkhead-$(basename "$pod")*")
  done
  find /sys/fs/cgroup -depth -type d \( -fstype cgroup -o -fstype cgroup2 \) \( "${mine[@]}" \) 2> /dev/null || true
}

node_sweep() {
  local cgroup
  for cgroup in $(node_cgroups "$1"); do
    for _ in $(seq 50); do # the last processes are on their way out
      rmdir "$cgroup" 2> /dev/null && break
      sleep 0.1
    done
  done
  [ -n "${BULKHEAD_NODE_KEEP:-}" ] || rm -rf "$1"
}

node_registry() {
  node_port=$((20000 + RANDOM % 10000)) # the network namespace is ours: every port is free
  cat > "$node_dir/registry.yml" << CONFIGURATION
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $node_dir/registry}}
http: {addr: "127.0.0.1:$node_port"}
CONFIGURATION
  docker-registry serve "$node_dir/registry.yml" > "$node_dir/registry.log" 2>&1 &
  for _ in $(seq 200); do
    (exec 3<> "/dev/tcp/127.0.0.1/$node_port") 2> /dev/null && return
    sleep 0.05
  done
  cat "$node_dir/registry.log" >&2
  return 1
}

node_push() {
  skopeo copy --quiet --insecure-policy --dest-tls-verify=false "oci:$1" "docker://127.0.0.1:$node_port/$2"
}

# An image from Debian's static busybox.
node_image() {
  local applet
  node_registry
  mkdir -p "$node_dir/rootfs/bin" "$node_dir/rootfs/etc"
  install -d -m 1777 "$node_dir/rootfs/tmp"
  cp /bin/busybox "$node_dir/rootfs/bin/busybox"
  for applet in sh cat echo sleep date hostname ip ls id seq true; do
    ln -s busybox "$node_dir/rootfs/bin/$applet"
  done
  echo 'root:x:0:0:root:/:/bin/sh' > "$node_dir/rootfs/etc/passwd"
  if ! {
    umoci init --layout "$node_dir/oci" &&
      umoci new --image "$node_dir/oci:latest" &&
      umoci insert --image "$node_dir/oci:latest" "$node_dir/rootfs" / &&
      umoci config --image "$node_dir/oci:latest" --config.cmd /bin/sh
  } > "$node_dir/umoci.log" 2>&1; then
    cat "$node_dir/umoci.log" >&2
    return 1
  fi
  node_push "$node_dir/oci:latest" library/busybox:demo
}

node_configure() {
  local registry
  mkdir -p "$node_dir/net.d" "$node_dir/logs"
  for registry in docker.io "$@"; do
    mkdir -p "$node_dir/certs.d/$registry"
    cat > "$node_dir/certs.d/$registry/hosts.json" << CONFIGURATION
{"server": "https://$registry", "host": {"http://127.0.0.1:$node_port": {"capabilities": ["pull", "resolve"]}}}
CONFIGURATION
  done
  cat > "$node_dir/net.d/10-node.conflist" << CONFIGURATION
{"cniVersion": "1.0.0", "name": "bulkhead-node", "plugins": [
  {"type": "bridge", "bridge": "bhd0", "isGateway": true, "ipMasq": true,
   "ipam": {"type": "host-local", "dataDir": "$node_dir/ipam", "ranges": [[{"subnet": "$node_subnet.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
CONFIGURATION
  cat > "$node_dir/config.json" << CONFIGURATION
{"registry": {"config_path": "$node_dir/certs.d"}, "cni": {"conf_dir": "$node_dir/net.d"}, "cgroup_driver": "${node_cgroup_driver:-cgroupfs}"}
CONFIGURATION
}

node_start() {
  node_programs=$1
  "$node_programs/bulkhead" run "${node_flags[@]}" >> "$node_dir/bulkhead.log" 2>&1 &
  node_pid=$!
}

# Ends the tree as systemd does. Containers would run on.
node_stop() {
  kill "$node_pid" && wait "$node_pid"
}

# What someone wants to see when something went wrong.
node_last_words() {
  echo "-- the runtime's last words:" >&2
  tail -n 60 "$node_dir/bulkhead.log" >&2 || true
}

# Every process here is ours, and every mount and rule; the bridge, and the portmap plugin's empty chains, are the plugins'
# own and stay by their design. Of files: those of pods, containers, images.
node_census() {
  echo "processes:" "$(ps --ppid 2 -p 2 --deselect -o comm= | grep -vxE 'bash|sh|ps|grep|sort|tr|docker-registry|\(udev-worker\)' | sort | tr '\n' ' ')"
  echo "mounts:" "$(awk '{print $5}' /proc/self/mountinfo | sort | tr '\n' ' ')"
  echo "addresses:" "$(ip -o addr show | awk '$2 != "bhd0" {print $2, $4}' | sort | tr '\n' ' ')"
  echo "rules:" "$(iptables-save 2> /dev/null | grep -E -c "^-A.*($node_subnet\.|CNI-DN-|CNI-[0-9a-f]{24})" || true)"
  echo "cgroups:" "$(node_cgroups "$node_dir" | grep -v "/$node_cgroup\$" | tr '\n' ' ')"
  echo "leases:" "$(find "$node_dir/ipam" -type f -name "$node_subnet.*" 2> /dev/null | wc -l)"
  echo "files:" "$(node_files | tr '\n' ' ')"
}

# Of pods, containers and images.
node_files() {
  find "$node_dir/r" "$node_dir/s" -mindepth 3 -regex '.*/\(shim\|pods\|containers\|images\|leases\|blobs\|layers\|layer-records\)/.*' \
    2> /dev/null | sort
}

# Waits until there are none: the runtime empties layers in the background.
node_files_wait() {
  for _ in $(seq 300); do
    [ -n "$(node_files)" ] || return 0
    sleep 0.1
  done
  node_files >&2
  return 1
}

# Waits, as the last processes are on their way out, until the census is the one given.
node_census_wait() {
  local after=''
  for _ in $(seq 100); do
    after=$(node_census)
    [ "$after" != "$1" ] || return 0
    sleep 0.1
  done
  echo "something is left behind (<: before, >: after)" >&2
  diff <(echo "$1") <(echo "$after") >&2
}
