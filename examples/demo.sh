#!/usr/bin/env bash
# Two systems come into step: starts the demo shop and CRM, runs the manifests of examples/shop-to-crm
# against them, changes records, pulls the plug, and asks the CRM whether it holds what it should.
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}/release"
state="$(mktemp -d)"
pids=()
stop() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$state"
}
trap stop EXIT

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { printf '$ %s\n' "$*"; "$@"; }
# Waits until a URL answers, at most 10 s.
ready() {
  for _ in $(seq 100); do curl -sf -o /dev/null "$1" && return 0; sleep 0.1; done
  echo "nothing answers at $1; is the port taken by another program?" >&2
  exit 1
}
start() {
  "$target/examples/shop" --port 8181 >"$state/shop.log" 2>&1 & pids+=($!)
  "$target/examples/crm" --port 8182 --shop http://127.0.0.1:8181 >"$state/crm.log" 2>&1 & pids+=($!)
  ready http://127.0.0.1:8181/_stats
  ready http://127.0.0.1:8182/_stats
}
restart() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
  pids=()
  start
}
# A run that leaves dead letters for a person is a good run: the CRM judges.
run() { printf '$ syncline run -f examples/shop-to-crm --once --state %s\n' "$1"; "$target/syncline" run -f examples/shop-to-crm --once --state "$1"; }
check() { curl -s http://127.0.0.1:8182/_check -o "$state/check.json" -w '' && python3 -c 'import json,sys; print(json.dumps(json.load(open(sys.argv[1])), indent=1)[:1500])' "$state/check.json" 2>/dev/null || cat "$state/check.json"; curl -sf -o /dev/null http://127.0.0.1:8182/_check || { echo "the CRM does not hold what it should" >&2; exit 1; }; }

say "building"
cargo build --release --quiet --bin syncline --example shop --example crm
start

say "the manifests are right"
show "$target/syncline" validate -f examples/shop-to-crm

say "first run: everything flows; what cannot be mapped goes to the dead letters"
run "$state/one"
check

say "second run: nothing has changed, nothing is written"
run "$state/one"

say "ten customers change in the shop: ten updates, found by the cursor"
curl -sf -X POST http://127.0.0.1:8181/_change -H 'content-type: application/json' -d '{"customers": 10}' >/dev/null
run "$state/one"
check

say "afresh, with the plug pulled in the middle (kill -9), then run again"
restart
"$target/syncline" run -f examples/shop-to-crm --once --state "$state/two" >/dev/null 2>&1 & victim=$!
for _ in $(seq 200); do
  contacts="$(curl -s 'http://127.0.0.1:8182/_stats' | tr -dc '0-9' | wc -c)"
  [ "$contacts" -gt 12 ] && break
  sleep 0.01
done
kill -9 "$victim" 2>/dev/null || true
wait "$victim" 2>/dev/null || true
run "$state/two"
check

say "what needs a person"
show "$target/syncline" status --state "$state/two" || true
echo "look closer: syncline deadletters list --state DIR"
