#!/usr/bin/env bash
# The scenario of tests/clients/README.md by hand: grpcurl, and jq to look at the answers.
set -euo pipefail

plan=smallpox-india
answers=$(mktemp -d)
# shellcheck disable=SC2046 # Each is a word of its own.
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$answers"' EXIT

# call SERVICE/METHOD REQUEST: the answer in JSON. grpcurl puts the token into the header itself, so that no
# list of processes shows it.
call() {
  # shellcheck disable=SC2016
  grpcurl "${tls[@]}" -expand-headers -H 'authorization: Bearer ${STRATA_TOKEN}' \
    -format-error -d "$2" "$STRATA_ADDRESS" "strata.v1.$1"
}

tls=(-cacert "$STRATA_CA")

# holds WHAT JSON FILTER [OPTION…]: says WHAT when the filter finds it so.
holds() {
  local what=$1 json=$2 filter=$3
  shift 3
  if ! jq --exit-status "$@" "$filter" <<<"$json" >/dev/null; then
    printf 'FAILED: %s\n  not so: %s\n  in: %.2000s\n' "$what" "$filter" "$json" >&2
    exit 1
  fi
  echo "ok: $what"
}

# refused SERVICE/METHOD REQUEST: the status in JSON, with code, message and details.
refused() {
  local status=0
  call "$1" "$2" >"$answers/out" 2>"$answers/error" || status=$?
  # grpcurl exits with 64 and the code of the status.
  if [ $status -le 64 ]; then
    echo "FAILED: $1 was not refused: $(cat "$answers/out" "$answers/error")" >&2
    exit 1
  fi
  cat "$answers/error"
}

reason='.details[] | select(."@type" | endswith("ErrorInfo")).reason'

### Load.

while read -r line; do
  call PlanService/Execute "$line"
done <"$STRATA_HISTORY" >"$answers/first"
holds "all 40 lines are recorded" "$(jq -s . "$answers/first")" \
  'map(.entry.position | tonumber) == [range(1; 41)] and all(.replayed | not)'

while read -r line; do
  call PlanService/Execute "$line"
done <"$STRATA_HISTORY" >"$answers/again"
holds "sent again, each is replayed where it is" "$(jq -s . "$answers/again")" \
  'map(.entry.position | tonumber) == [range(1; 41)] and all(.replayed)'

### Ask.

holds "the strategy stands at revision 3 of it" \
  "$(call PlanService/GetPlan "{\"plan_id\":\"$plan\"}")" \
  '.plan.revision == "40"
   and (.plan.strategies[] | select(.strategyId == "stop-transmission").revision) == 3'
holds "its three revisions are listed" \
  "$(call HistoryService/ListRevisions "{\"plan_id\":\"$plan\",\"strategy_id\":\"stop-transmission\"}")" \
  '[.revisions[].revision] == [1, 2, 3]'
holds "events 11 and 19 forced its revision 2" \
  "$(call HistoryService/Explain "{\"plan_id\":\"$plan\",
       \"strategy_revision\":{\"strategy_id\":\"stop-transmission\",\"revision\":2}}")" \
  '.events[0].event.because | map(select(.role == "CAUSE_ROLE_TRIGGER").revision) == ["11", "19"]'
holds "its one commitment was missed" \
  "$(call AdviceService/ListCommitments "{\"plan_ids\":[\"$plan\"]}")" \
  '[.commitments[].commitment | [.commitmentId, .state]]
   == [["zero-in-two-seasons", "COMMITMENT_STATE_MISSED"]]'

### Race.

# note REQUEST_ID TEXT [FIELD…]: a request that records a note.
note() {
  printf '{"plan_id":"%s","request_id":"%s","commands":[{"record_note":{"subject":"plan","text":"%s"}}]%s}' \
    bakery "$1" "$2" "${3:-}"
}

call PlanService/Execute '{"plan_id":"bakery","request_id":"found",
  "commands":[{"create_plan":{"title":"Grow the bakery"}}]}' >/dev/null
call PlanService/Execute "$(note rival 'someone else was faster')" >/dev/null
conflict=$(refused PlanService/Execute "$(note mine 'the oven is hot' ',"expected_revision":"1"')")
holds "a stale revision is refused with the current one" "$conflict" \
  ".code == 10 and ($reason) == \"REVISION_CONFLICT\"
   and (.details[] | select(.metadata).metadata.current_revision) == \"2\""
current=$(jq -r '.details[] | select(.metadata).metadata.current_revision' <<<"$conflict")
request=$(note mine 'the oven is hot' ",\"expected_revision\":\"$current\"")
holds "with that revision it is recorded" "$(call PlanService/Execute "$request")" \
  '.entry.position == "43" and (.replayed | not)'
holds "sent again it is replayed, not recorded" "$(call PlanService/Execute "$request")" \
  '.entry.position == "43" and .replayed'
holds "its request_id takes no other content" \
  "$(refused PlanService/Execute "$(note mine 'the oven is cold')")" \
  ".code == 6 and ($reason) == \"REQUEST_ID_REUSED\""

### Mistakes.

holds "each mistake is named by the path of its field" \
  "$(refused PlanService/Execute '{"plan_id":"bakery","commands":[{"try_tactic":{"tactic_id":"Not An Id"}},{}]}')" \
  ".code == 3 and ($reason) == \"MALFORMED_REQUEST\"
   and ([.details[] | select(.fieldViolations).fieldViolations[].field]
        == [\"commands[0].try_tactic.tactic_id\", \"commands[1]\"])"
holds "a plan that does not exist is not found" \
  "$(refused PlanService/GetPlan '{"plan_id":"nowhere"}')" \
  ".code == 5 and ($reason) == \"PLAN_NOT_FOUND\"
   and (.details[] | select(.metadata).metadata.plan_id) == \"nowhere\""

### Watch.

# until_watched FILE FILTER: waits until the answers in the file, as an array, are so.
until_watched() {
  local tries=0
  until jq --slurp --exit-status "$2" "$1" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 600 ] || { echo "FAILED: waited for $2 in: $(tail -n 30 "$1")" >&2 && exit 1; }
    sleep 0.05
  done
}

call HistoryService/Watch '{"from_position":"1"}' >"$answers/watch-1" 2>"$answers/watch-1-ended" &
first_watch=$!
until_watched "$answers/watch-1" 'any(.caughtUp)'
sh -c "$STRATA_RESTART"
wait $first_watch || true
grep -q '"code": 14' "$answers/watch-1-ended" || { cat "$answers/watch-1-ended" >&2 && exit 1; }
echo "ok: a watch ends with UNAVAILABLE when the daemon stops"

call PlanService/Execute "$(note meanwhile 'made while nobody watched')" >/dev/null
# From the last bookmark, or where there was none, after the last entry. A bookmark may lie before entries that
# came after it: these come again, and a client that keeps count of positions drops them.
start=$(jq --slurp --compact-output '
  (map(.checkpoint // empty) | last) as $checkpoint
  | ([.[].entries.entries[]?.position | tonumber] | max) as $position
  | if $checkpoint and ($checkpoint.position | tonumber) >= $position
    then {bookmark: $checkpoint.bookmark} else {from_position: ($position + 1)} end' "$answers/watch-1")
call HistoryService/Watch "$start" >"$answers/watch-2" 2>/dev/null &
second_watch=$!
until_watched "$answers/watch-2" 'any(.caughtUp)'
call PlanService/Execute "$(note afterwards 'made while one watches')" >/dev/null
until_watched "$answers/watch-2" '[.[].entries.entries[]?] | length == 2'
kill $second_watch
holds "both watches together saw every commit once, in order" \
  "$(jq --slurp '[.[].entries.entries[]?.position | tonumber]' "$answers"/watch-[12])" \
  '. == [range(1; 46)]'

### Who calls.

# Without a caller there is no reflection either, so grpcurl reads the protos.
as() {
  local status=0
  grpcurl "${@:2}" -format-error -import-path "$STRATA_PROTO" -proto strata/v1/plan_service.proto \
    -proto google/rpc/error_details.proto -d "{\"plan_id\":\"$plan\"}" \
    "$STRATA_ADDRESS" strata.v1.PlanService/GetPlan >"$answers/out" 2>&1 || status=$?
  if [ $status != "$1" ]; then
    echo "FAILED: exited with $status, not $1: $(cat "$answers/out")" >&2
    exit 1
  fi
}

# shellcheck disable=SC2016
{
  token='authorization: Bearer ${STRATA_TOKEN}'
  reader_token='authorization: Bearer ${STRATA_READER_TOKEN}'
}
as 1 -expand-headers -H "$token"
grep -q 'failed to verify certificate\|certificate signed by unknown authority' "$answers/out" ||
  { cat "$answers/out" >&2 && exit 1; }
echo "ok: without the authority's certificate there is no connection"
as 80 -cacert "$STRATA_CA"
holds "without a token nobody is let in" "$(cat "$answers/out")" "($reason) == \"CREDENTIALS_REQUIRED\""
as 80 -cacert "$STRATA_CA" -H 'authorization: Bearer nobody-knows-this-one'
holds "nor with one that is unknown" "$(cat "$answers/out")" "($reason) == \"CREDENTIALS_INVALID\""
as 0 -cacert "$STRATA_CA" -expand-headers -H "$reader_token"
echo "ok: a reader reads"
as 0 -cacert "$STRATA_CA" -cert "$STRATA_CLIENT_CERT" -key "$STRATA_CLIENT_KEY"
echo "ok: and so does one who shows a certificate"
STRATA_TOKEN=$STRATA_READER_TOKEN
holds "and does not write" "$(refused PlanService/Execute "$(note reader 'I only read')")" \
  ".code == 7 and ($reason) == \"NOT_PERMITTED\""
