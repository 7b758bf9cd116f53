# shellcheck shell=bash
# What is run inside the machine of scripts/test-vm, which sets the variables used here. Its words go to the second serial line,
# what is to be kept to /mnt/results.
exec > /dev/ttyS1 2>&1 < /dev/null
stty -F /dev/ttyS1 raw
date -s "$now" > /dev/null
results=/mnt/results

echo 'nameserver 192.0.2.53' > /etc/resolv.conf # as of a node's; nobody is asked

# To the disk of the machine: sources and build lie where they were when the tests were configured.
cp -a /mnt/files/. /
cd "$repository" || exit

run_tests() {
  ctest --test-dir "$build" --output-on-failure --no-tests=error --fixture-exclude-setup crictl -E _cgroup2 --parallel 4 \
    --output-junit "$results/tests.xml" -R "$tests"
}

run_critest() {
  scripts/conformance --bin "$build/bin" --cache /mnt/conformance --cgroup-driver "$driver" --results "$results"
}

export BULKHEAD_TEST_CGROUP_DRIVER=$driver
status=0
if [ -n "$command" ]; then
  bash -c "$command"
  status=$?
else
  echo "== $(. /etc/os-release && echo "$PRETTY_NAME"), Linux $(uname -r), cgroup driver $driver"
  [ -z "$tests" ] || run_tests || status=1
  [ -z "$critest" ] || run_critest || status=1
fi
echo "$status" > "$results/status"
