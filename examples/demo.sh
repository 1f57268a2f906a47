#!/usr/bin/env bash
# Two systems come into step, are changed, and survive a kill: what `make demo` shows. It builds what it needs,
# works in a temporary folder, and stops what it started. PROFILE=dev builds faster and runs slower.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi
step=0
headline() { step=$((step + 1)); printf '\n%s%d. %s%s\n' "$bold" "$step" "$1" "$plain"; }
note() { printf '%s\n' "$*"; }
# Shows a command as it could be typed, and runs it.
show() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; "$@"; }
fail() { printf '\n%s%s%s\n' "$bold" "$*" "$plain" >&2; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/syncline-demo.XXXXXX")
pids=()
stop() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

for tool in cargo curl; do
  command -v "$tool" >/dev/null || fail "The demo needs $tool."
done

# A port that is free now: the usual one, or 0 (any) when somebody has it.
port() { if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then echo 0; else echo "$1"; fi; }

# Starts a system and waits, 30 seconds at most, until it says where it listens.
start() { # name, flags…
  local name=$1
  shift
  : >"$work/$name.log" # it is read before the system has begun to write
  "$bin/examples/$name" "$@" >"$work/$name.log" 2>&1 &
  pids+=($!)
  local pid=$! i
  for ((i = 0; i < 300; i++)); do
    url=$(sed -n 's/.* listens on //p' "$work/$name.log")
    [ -n "$url" ] && return
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  cat "$work/$name.log" >&2
  fail "The $name did not start."
}

post() { curl --silent --show-error --fail --request POST --header 'Content-Type: application/json' --data "${2:-}" "$1"; }
# The number of requests of one kind that the CRM has carried out since the last reset.
count() { curl --silent "$crm/_stats" | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"; }
writes() {
  local what sum=0
  for what in contacts.create contacts.update deals.create deals.update; do
    sum=$((sum + $(count "$what") + 0))
  done
  echo "$sum"
}
# What the CRM says about itself, held against the shop: it knows nothing of Syncline.
check() {
  printf '%s$ curl %s/_check%s\n' "$dim" "$crm" "$plain"
  local status
  status=$(curl --silent --output "$work/check.json" --write-out '%{http_code}' "$crm/_check")
  field() { sed -n "s/.*\"$1\":$2.*/\\1/p" "$work/check.json"; }
  note "$(field summary '"\([^"]*\)"')"
  [ "$status" = 200 ] || fail "The CRM does not hold what it should: $(field problems '\[\([^]]*\)\]')"
}
run() { show syncline run -f "$manifests" --once; }

headline "Build"
profile=${PROFILE:-release}
show cargo build --quiet --profile "$profile" --bin syncline --example shop --example crm
target=$(cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
bin=$target/${profile/#dev/debug}

headline "Start a shop and a CRM that don't know each other"
start shop --port "$(port 8181)"
shop=$url
start crm --port "$(port 8182)" --shop "$shop"
crm=$url
manifests=examples/shop-to-crm
if [ "$shop $crm" != "http://127.0.0.1:8181 http://127.0.0.1:8182" ]; then
  manifests=$work/shop-to-crm
  mkdir "$manifests"
  for file in examples/shop-to-crm/*.yaml; do
    sed "s|http://127.0.0.1:8181|$shop|; s|http://127.0.0.1:8182|$crm|" "$file" >"$manifests/${file##*/}"
  done
fi
export PATH=$bin:$PATH SYNCLINE_STATE=$work/state
note "The shop is at $shop, the CRM at $crm. To type along in another terminal:"
note "  export PATH=$bin:\$PATH SYNCLINE_STATE=$SYNCLINE_STATE"

headline "Check the manifests: two Connections, two Mappings with their tests, two Syncs"
show syncline validate -f "$manifests"

headline "Preview: what would the first run do?"
note "Record by record and field by field, from the real data; here one of each kind. Nothing is written."
show syncline preview -f "$manifests" --limit 1 || true # 1: some records would become dead letters
written=$(writes)
[ "$written" = 0 ] || fail "The preview wrote $written times."

headline "First run: customers become contacts, orders become deals"
note "The shop's data is messy on purpose. What cannot be delivered goes to the dead letters, with a reason;"
note "an order whose customer isn't there yet waits."
run
check

headline "Second run: nothing has changed, so nothing is written"
post "$crm/_stats/reset"
run
written=$(writes)
note "Writes that the CRM has seen: $written"
[ "$written" = 0 ] || fail "There should be none."

headline "Ten customers change in the shop"
post "$crm/_stats/reset"
post "$shop/_stats/reset"
note "Changed: $(post "$shop/_change" '{"customers": 10}' | sed 's/.*"customers":\[\([^]]*\)\].*/\1/; s/"//g')"
run
note "Updates that the CRM has seen: $(count contacts.update); pages that the shop was asked for: $(curl --silent "$shop/_stats")"
[ "$(count contacts.update)" = 10 ] && [ "$(writes)" = 10 ] || fail "There should be exactly 10 updates."
check

headline "Three customers sign up whose orders were waiting for them"
note "New: $(post "$shop/_change" '{"arrivals": 3}' | sed 's/.*"arrivals":\[\([^]]*\)\].*/\1/; s/"//g')"
run
check

headline "From the beginning, killed in the middle with kill -9, over a CRM that loses answers"
post "$shop/_reset"
post "$crm/_reset"
rm -rf "$SYNCLINE_STATE"
note "The CRM drops 2 % of its answers after it has done the work, and answers 503 to another 3 %:"
post "$crm/_faults" '{"dropAfterCommit": 0.02, "status503": 0.03}' >/dev/null
printf '%s$ syncline run -f %s --once & … kill -9 $!%s\n' "$dim" "$manifests" "$plain"
syncline run -f "$manifests" --once >"$work/killed.log" 2>&1 &
victim=$!
pids+=("$victim")
for ((i = 0; i < 3000; i++)); do
  created=$(count contacts.create)
  [ "${created:-0}" -lt 800 ] || break
  kill -0 "$victim" 2>/dev/null || break
  sleep 0.01
done
kill -9 "$victim" 2>/dev/null || fail "The run was over before it could be killed: $(cat "$work/killed.log")"
wait "$victim" 2>/dev/null || true
note "Killed after $(writes) writes. The next run goes on where that one was:"
run
post "$crm/_faults" '{}' >/dev/null
check

headline "What to look at next"
cat <<EOF
The systems are stopped now. To play with them, start them again in two terminals:
  cargo run --release --example shop
  cargo run --release --example crm
and in a third one:
  cargo run --release -- run -f examples/shop-to-crm --watch
  cargo run --release -- deadletters list
  curl --json '{"customers": 10}' http://127.0.0.1:8181/_change
  curl http://127.0.0.1:8182/_check
The manifests are in examples/shop-to-crm, with comments.
EOF
