"""The scenario of tests/clients/README.md in Python: grpcio, grpcio-status, and what protoc makes."""

import os
import random
import subprocess
import sys
import time

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from strata.v1 import (
    advice_service_pb2 as advice,
    advice_service_pb2_grpc as advice_grpc,
    commands_pb2 as commands,
    history_service_pb2 as history,
    history_service_pb2_grpc as history_grpc,
    plan_pb2 as plan,
    plan_service_pb2 as plans,
    plan_service_pb2_grpc as plans_grpc,
    values_pb2 as values,
)

ADDRESS = os.environ["STRATA_ADDRESS"]
PLAN = "smallpox-india"
ATTEMPTS_MAX = 10
SECONDS_MAX = 30


def connect(token, ca=None):
    """A channel over TLS, each call of which carries the token."""
    if ca is None:
        with open(os.environ["STRATA_CA"], "rb") as file:
            ca = file.read()
    credentials = grpc.ssl_channel_credentials(root_certificates=ca)
    if token is not None:
        caller = grpc.access_token_call_credentials(token)
        credentials = grpc.composite_channel_credentials(credentials, caller)
    # A channel that lost its daemon waits longer and longer before it tries again: no longer than this.
    return grpc.secure_channel(ADDRESS, credentials, [("grpc.max_reconnect_backoff_ms", 500)])


def execute(stub, request):
    """Records a request once: while the daemon is away or busy the same request is sent again."""
    assert request.request_id, "without one it could be recorded twice"
    for attempt in range(ATTEMPTS_MAX):
        try:
            return stub.Execute(request, timeout=5)
        except grpc.RpcError as error:
            passing = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
            delay = retry_delay(error)
            if error.code() not in passing and delay is None or attempt == ATTEMPTS_MAX - 1:
                raise
            time.sleep((delay or 0.0) + random.uniform(0.5, 1) * min(0.05 * 2**attempt, 5))


def detail(error, kind):
    """The detail of a refusal of this kind, or None."""
    status = rpc_status.from_call(error)
    for packed in status.details if status else []:
        message = kind()
        if packed.Unpack(message):
            return message
    return None


def retry_delay(error):
    """How long the daemon asks to wait before the next attempt, in seconds."""
    info = detail(error, error_details_pb2.RetryInfo)
    return info.retry_delay.ToTimedelta().total_seconds() if info else None


def holds(what, condition, found=""):
    if not condition:
        sys.exit(f"FAILED: {what}: {found}")
    print(f"ok: {what}", flush=True)


def refused(what, call, code, reason):
    """Makes a call that must be refused so; the error."""
    try:
        answer = call()
    except grpc.RpcError as error:
        info = detail(error, error_details_pb2.ErrorInfo)
        found = (error.code(), info.reason if info else None)
        holds(what, found == (code, reason), f"{found}: {error.details()}")
        return error
    sys.exit(f"FAILED: {what}: it was answered: {answer}")


def note(request_id, text, **fields):
    """A request that records a note."""
    command = commands.Command(record_note=commands.RecordNote(subject="plan", text=text))
    return plans.ExecuteRequest(
        plan_id="bakery", request_id=request_id, commands=[command], **fields
    )


def load(stub):
    with open(os.environ["STRATA_HISTORY"], encoding="utf-8") as file:
        lines = [json_format.Parse(line, plans.ExecuteRequest()) for line in file]
    first = [execute(stub, line) for line in lines]
    positions = [answer.entry.position for answer in first]
    fresh = not any(answer.replayed for answer in first)
    holds("all 40 lines are recorded", fresh and positions == list(range(1, 41)), positions)
    again = [execute(stub, line) for line in lines]
    holds(
        "sent again, each is replayed where it is",
        all(answer.replayed for answer in again)
        and [answer.entry.position for answer in again] == positions,
    )


def ask(channel, stub):
    now = stub.GetPlan(plans.GetPlanRequest(plan_id=PLAN)).plan
    stands = {strategy.strategy_id: strategy.revision for strategy in now.strategies}
    holds("the strategy stands at revision 3 of it", stands["stop-transmission"] == 3, stands)

    asked = history_grpc.HistoryServiceStub(channel)
    request = history.ListRevisionsRequest(plan_id=PLAN, strategy_id="stop-transmission")
    revisions = [revision.revision for revision in asked.ListRevisions(request).revisions]
    holds("its three revisions are listed", revisions == [1, 2, 3], revisions)

    target = history.StrategyRevisionTarget(strategy_id="stop-transmission", revision=2)
    why = asked.Explain(history.ExplainRequest(plan_id=PLAN, strategy_revision=target))
    because = why.events[0].event.because
    forced = [cause.revision for cause in because if cause.role == values.CAUSE_ROLE_TRIGGER]
    holds("events 11 and 19 forced its revision 2", forced == [11, 19], forced)

    advises = advice_grpc.AdviceServiceStub(channel)
    listed = advises.ListCommitments(advice.ListCommitmentsRequest(plan_ids=[PLAN])).commitments
    found = [(it.commitment.commitment_id, it.commitment.state) for it in listed]
    missed = [("zero-in-two-seasons", plan.COMMITMENT_STATE_MISSED)]
    holds("its one commitment was missed", found == missed, found)


def race(stub):
    create = commands.Command(create_plan=commands.CreatePlan(title="Grow the bakery"))
    execute(stub, plans.ExecuteRequest(plan_id="bakery", request_id="found", commands=[create]))
    execute(stub, note("rival", "someone else was faster"))
    conflict = refused(
        "a stale revision is refused",
        lambda: execute(stub, note("mine", "the oven is hot", expected_revision=1)),
        grpc.StatusCode.ABORTED,
        "REVISION_CONFLICT",
    )
    current = detail(conflict, error_details_pb2.ErrorInfo).metadata["current_revision"]
    holds("with the current one", current == "2", current)
    request = note("mine", "the oven is hot", expected_revision=int(current))
    answer = execute(stub, request)
    holds("with that revision it is recorded", not answer.replayed, answer)
    again = execute(stub, request)
    same = again.replayed and again.entry.position == answer.entry.position
    holds("sent again it is replayed, not recorded", same, again)
    refused(
        "its request_id takes no other content",
        lambda: execute(stub, note("mine", "the oven is cold")),
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
    )


def mistakes(stub):
    wrong = commands.Command(try_tactic=commands.TryTactic(tactic_id="Not An Id"))
    request = plans.ExecuteRequest(
        plan_id="bakery", request_id="wrong", commands=[wrong, commands.Command()]
    )
    error = refused(
        "a request with mistakes is malformed",
        lambda: execute(stub, request),
        grpc.StatusCode.INVALID_ARGUMENT,
        "MALFORMED_REQUEST",
    )
    violations = detail(error, error_details_pb2.BadRequest).field_violations
    fields = [violation.field for violation in violations]
    named = fields == ["commands[0].try_tactic.tactic_id", "commands[1]"]
    holds("each mistake is named by the path of its field", named, violations)
    error = refused(
        "a plan that does not exist is not found",
        lambda: stub.GetPlan(plans.GetPlanRequest(plan_id="nowhere")),
        grpc.StatusCode.NOT_FOUND,
        "PLAN_NOT_FOUND",
    )
    holds("by name", detail(error, error_details_pb2.ErrorInfo).metadata["plan_id"] == "nowhere")


def watch(channel, start):
    """Commits from a start on, across restarts: yields entries, None when caught up, and raises only what
    trying again does not help. Keep `bookmark` to go on in another process."""
    position, bookmark = start - 1, None
    attempt = 0
    while True:
        request = history.WatchRequest(from_position=position + 1)
        if bookmark is not None:
            request = history.WatchRequest(bookmark=bookmark)
        try:
            for response in history_grpc.HistoryServiceStub(channel).Watch(request):
                attempt = 0
                kind = response.WhichOneof("response")
                if kind == "entries":
                    for entry in response.entries.entries:
                        # Those between the bookmark and where we stood come again.
                        if entry.position > position:
                            position = entry.position
                            yield entry
                elif kind == "checkpoint":
                    bookmark = response.checkpoint.bookmark
                elif kind == "caught_up":
                    yield None
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or attempt == ATTEMPTS_MAX:
                raise
            print(f"   the daemon is away: {error.details()}", flush=True)
        attempt += 1
        time.sleep(random.uniform(0.5, 1) * min(0.05 * 2**attempt, 5))


def watch_across_a_restart(channel, stub):
    watched = watch(channel, 1)
    positions = []
    deadline = time.monotonic() + SECONDS_MAX

    def until(is_enough):
        for entry in watched:
            if time.monotonic() > deadline:
                sys.exit(f"FAILED: waited too long, at {positions}")
            if entry is not None:
                positions.append(entry.position)
            if is_enough(entry):
                return

    until(lambda entry: entry is None)
    subprocess.run(["sh", "-c", os.environ["STRATA_RESTART"]], check=True)
    meanwhile = execute(stub, note("meanwhile", "made while nobody watched"))
    until(lambda entry: entry is not None and entry.position == meanwhile.entry.position)
    afterwards = execute(stub, note("afterwards", "made while one watches"))
    until(lambda entry: entry is not None and entry.position == afterwards.entry.position)
    holds(
        "across a restart a watch sees every commit once, in order",
        positions == list(range(1, 46)),
        positions,
    )


def who_calls():
    get = plans.GetPlanRequest(plan_id=PLAN)
    with connect(None) as channel:
        refused(
            "without a token nobody is let in",
            lambda: plans_grpc.PlanServiceStub(channel).GetPlan(get),
            grpc.StatusCode.UNAUTHENTICATED,
            "CREDENTIALS_REQUIRED",
        )
    with connect("nobody-knows-this-one") as channel:
        refused(
            "nor with one that is unknown",
            lambda: plans_grpc.PlanServiceStub(channel).GetPlan(get),
            grpc.StatusCode.UNAUTHENTICATED,
            "CREDENTIALS_INVALID",
        )
    with connect(os.environ["STRATA_READER_TOKEN"]) as channel:
        stub = plans_grpc.PlanServiceStub(channel)
        holds("a reader reads", stub.GetPlan(get).plan.plan_id == PLAN)
        refused(
            "and does not write",
            lambda: execute(stub, note("reader", "I only read")),
            grpc.StatusCode.PERMISSION_DENIED,
            "NOT_PERMITTED",
        )
    other = subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other"
        " -keyout /dev/null 2>/dev/null",
        shell=True,
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
    with connect(None, ca=other) as channel:
        stub = plans_grpc.PlanServiceStub(channel)
        refused(
            "without the authority's certificate there is no connection",
            lambda: stub.GetPlan(get),
            grpc.StatusCode.UNAVAILABLE,
            None,
        )


def main():
    with connect(os.environ["STRATA_TOKEN"]) as channel:
        stub = plans_grpc.PlanServiceStub(channel)
        load(stub)
        ask(channel, stub)
        race(stub)
        mistakes(stub)
        watch_across_a_restart(channel, stub)
    who_calls()


main()
