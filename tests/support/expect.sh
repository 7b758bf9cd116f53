# shellcheck shell=bash
# What a script expects of a program: how it ends, and what it prints. Sourced, inside a node (scripts/node.sh). The first thing
# that is wrong ends the script, with the command, its output and the runtime's log.

# expect_open PROGRAM [ARGUMENTS]: what each command begins with.
expect_open() {
  program=("$@") out=$node_dir/out err=$node_dir/err status='' last_command='' passed='' checks=0
  touch "$out" "$err"
  trap expect_end EXIT
}

# Names what is shown; each function is a sentence.
step() {
  echo "== ${1//_/ }"
  "$1"
}

run() {
  status=0
  last_command="$(basename "${program[0]}") $*"
  # The limit only ends a hang.
  timeout -k 5 120 "${program[@]}" "$@" > "$out" 2> "$err" < /dev/null || status=$?
  checks=$((checks + 1))
}

wrong() {
  {
    echo "$(basename "$0"): $*"
    echo "-- at: $(caller 1 || caller 0), after: $last_command (exit status $status)"
    echo "-- its output:" && cat "$out" && echo "-- its errors:" && cat "$err"
  } >&2
  exit 1
}

ok() {
  run "$@"
  [ "$status" = 0 ] || wrong 'it should end well'
}

# refused CODE ARGUMENTS: with that gRPC code.
refused() {
  local code=$1
  shift
  run "$@"
  [ "$status" = 1 ] || wrong "it should end with 1, and $code"
  grep -qF "code = $code desc = " "$err" || wrong "it should say $code"
}

# fails TEXT ARGUMENTS: the program itself says so, and ends with 1, or fails_with.
fails() {
  local text=$1
  shift
  run "$@"
  [ "$status" = "${fails_with:-1}" ] || wrong "it should end with ${fails_with:-1}"
  grep -qF -- "$text" "$err" || wrong "it should say \"$text\""
}

# The whole output, but empty lines at its end.
is() {
  [ "$(cat "$out")" = "$1" ] || wrong "its output should be \"$1\""
}

has() {
  grep -qF -- "$1" "$out" || wrong "its output should have \"$1\""
}

has_error() {
  grep -qF -- "$1" "$err" || wrong "its errors should have \"$1\""
}

# A line by an extended regular expression.
matches() {
  grep -qE -- "$1" "$out" || wrong "its output should have a line like \"$1\""
}

json() {
  local is
  is=$(jq -r "$1" "$out") || wrong "its output should be JSON"
  [ "$is" = "$2" ] || wrong "$1 should be \"$2\", and is \"$is\""
}

# until_true WHAT COMMAND...: tries for a minute; in a subshell, where a wrong ends the try alone. The last try's output stays.
until_true() {
  local what=$1
  shift
  for _ in $(seq 600); do
    ("$@") > "$node_dir/try" 2>&1 && return
    sleep 0.1
  done
  cat "$node_dir/try" >&2
  wrong "$what: not within a minute"
}

expect_end() {
  local ended=$?
  trap - EXIT
  if [ -z "$passed" ]; then
    [ ! -e "$node_dir/bulkhead.log" ] || node_last_words
    [ "$ended" != 0 ] || ended=1
  else
    echo "$checks commands, all as they should be"
  fi
  exit "$ended"
}
