// The scenario of ../README.md in Node.js, over gRPC with TLS, by @connectrpc/connect-node and the
// code that protoc-gen-es makes of our protos.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { rootCertificates } from "node:tls";
import { promisify } from "node:util";
import { fromJson } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "./generated/google/rpc/error_details_pb.js";
import { AdviceService } from "./generated/strata/v1/advice_service_pb.js";
import { HistoryService } from "./generated/strata/v1/history_service_pb.js";
import { CommitmentState } from "./generated/strata/v1/plan_pb.js";
import { ExecuteRequestSchema, PlanService } from "./generated/strata/v1/plan_service_pb.js";

const { STRATA_ADDRESS, STRATA_CA, STRATA_TOKEN, STRATA_READER_TOKEN } = process.env;
const { STRATA_HISTORY, STRATA_RESTART } = process.env;
const PLAN = "smallpox-india";
const STRATEGY = "stop-transmission";
const RACE = "race-node";
const CALL_MS = 30_000;
const PAUSE_MS = 200;
const TRIES_MAX = 100;

/** The services, for who has the token, over a connection that believes the certificates of `ca`. */
function connect(token, ca = readFileSync(STRATA_CA)) {
  const authorize = (next) => (request) => {
    if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const transport = createGrpcTransport({
    baseUrl: `https://${STRATA_ADDRESS}`,
    nodeOptions: { ca },
    interceptors: [authorize],
    defaultTimeoutMs: CALL_MS,
    // A connection that died in silence is noticed, also by a watch that waits.
    pingIntervalMs: 10_000,
  });
  return {
    plans: createClient(PlanService, transport),
    history: createClient(HistoryService, transport),
    advice: createClient(AdviceService, transport),
  };
}

/**
 * Records a request once. When the answer is lost nobody knows whether it was recorded, so the same
 * request is sent again with the same `requestId`, and the daemon gives its first answer.
 */
async function execute({ plans }, request) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await plans.execute(request);
    } catch (error) {
      const ms = pauseMs(error);
      if (tries === TRIES_MAX || ms === undefined) throw error;
      await pause(ms);
    }
  }
}

/**
 * How long to wait before the same is tried again: as long as the daemon asks, or a little when it
 * is away or was not reached; undefined where it cannot help. Each refusal of the daemon has an
 * ErrorInfo, so what has none is from the connection.
 */
function pauseMs(failure) {
  const error = ConnectError.from(failure);
  const [info] = error.findDetails(ErrorInfoSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  if (retry?.retryDelay) return durationMs(retry.retryDelay);
  return !info || error.code === Code.Unavailable ? PAUSE_MS : undefined;
}

/**
 * Every commit from the first one on, each once, without end. When the daemon was away the watch
 * goes on behind what was seen: by the last bookmark, of which the daemon checks that it is of this
 * history, or by position while there is none. What came between the bookmark and the break comes
 * again and is passed over.
 */
async function* follow({ history }, { signal, onCaughtUp, onCheckpoint, onBreak }) {
  let next = 1n;
  let bookmark;
  for (;;) {
    const start = bookmark
      ? { case: "bookmark", value: bookmark }
      : { case: "fromPosition", value: next };
    try {
      const watch = history.watch({ start }, { signal, timeoutMs: 0 });
      for await (const { response } of watch) {
        switch (response.case) {
          case "entries":
            for (const entry of response.value.entries.filter((it) => it.position >= next)) {
              next = entry.position + 1n;
              yield entry;
            }
            break;
          case "checkpoint":
            bookmark = response.value.bookmark;
            onCheckpoint(response.value.position);
            break;
          case "caughtUp":
            onCaughtUp(response.value.position);
            break;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      const ms = pauseMs(error);
      if (ms === undefined) throw error;
      onBreak(error);
      await pause(ms);
    }
  }
}

/** A refusal as a program reads it: the code, and what the details say. */
async function refusal(call) {
  const error = await call.then(
    () => assert.fail("it was not refused"),
    (reason) => ConnectError.from(reason),
  );
  const [info] = error.findDetails(ErrorInfoSchema);
  const [badRequest] = error.findDetails(BadRequestSchema);
  return {
    code: Code[error.code],
    reason: info?.reason,
    domain: info?.domain,
    metadata: info?.metadata,
    fields: badRequest?.fieldViolations.map((it) => it.field),
    message: error.message,
  };
}

function note(planId, requestId, text, more = {}) {
  const kind = { case: "recordNote", value: { subject: "plan", text } };
  return { planId, requestId, commands: [{ kind }], ...more };
}

async function check(promise, holds) {
  try {
    await holds();
  } catch (error) {
    console.error(`BROKEN: ${promise}`);
    throw error;
  }
  console.log(`ok: ${promise}`);
}

async function load(planner) {
  const lines = readFileSync(STRATA_HISTORY, "utf8").trimEnd().split("\n");
  const requests = lines.map((line) => fromJson(ExecuteRequestSchema, JSON.parse(line)));
  await check("a history is recorded, line by line", async () => {
    for (const [index, request] of requests.entries()) {
      const answer = await execute(planner, request);
      assert.equal(answer.replayed, false, request.requestId);
      assert.equal(answer.entry.position, BigInt(index + 1));
    }
    const { plan } = await planner.plans.getPlan({ planId: PLAN });
    assert.equal(plan.revision, 40n);
  });
  await check("sent again, each line gets its first answer", async () => {
    for (const [index, request] of requests.entries()) {
      const answer = await execute(planner, request);
      assert.equal(answer.replayed, true, request.requestId);
      assert.equal(answer.entry.position, BigInt(index + 1));
    }
    const { position } = await planner.plans.listPlans({});
    assert.equal(position, 40n, "nothing was recorded twice");
  });
}

async function ask({ plans, history, advice }) {
  await check("the plan shows its strategy at revision 3", async () => {
    const { plan } = await plans.getPlan({ planId: PLAN });
    assert.equal(plan.strategies.find((it) => it.strategyId === STRATEGY).revision, 3);
  });
  await check("all three revisions of the strategy are listed", async () => {
    const { revisions } = await history.listRevisions({ planId: PLAN, strategyId: STRATEGY });
    assert.deepEqual(revisions.map((it) => it.revision), [1, 2, 3]);
  });
  await check("the second revision is explained by what forced it", async () => {
    const target = { case: "strategyRevision", value: { strategyId: STRATEGY, revision: 2 } };
    const { events } = await history.explain({ planId: PLAN, target });
    const revisions = events.map((it) => it.revision);
    assert.ok(revisions.includes(11n) && revisions.includes(19n), `it named ${revisions}`);
  });
  await check("the one commitment is listed as missed", async () => {
    const { commitments } = await advice.listCommitments({});
    const listed = commitments.map(({ commitment }) => [commitment.commitmentId, commitment.state]);
    assert.deepEqual(listed, [["zero-in-two-seasons", CommitmentState.MISSED]]);
  });
}

async function race(planner) {
  const kind = { case: "createPlan", value: { title: "Two at once" } };
  await execute(planner, { planId: RACE, requestId: "create", commands: [{ kind }] });
  const late = note(RACE, "late", "Who was second decides again");
  let first;
  await check("who decided on an old revision is told the current one", async () => {
    const refused = await refusal(execute(planner, { ...late, expectedRevision: 0n }));
    assert.equal(refused.code, "Aborted");
    assert.equal(refused.reason, "REVISION_CONFLICT");
    assert.equal(refused.domain, "strata.v1");
    const expectedRevision = BigInt(refused.metadata.current_revision);
    first = await execute(planner, { ...late, expectedRevision });
    assert.deepEqual([first.revision, first.replayed], [2n, false]);
  });
  await check("a request that is sent once more is not recorded once more", async () => {
    const again = await execute(planner, late);
    assert.equal(again.replayed, true);
    assert.equal(again.entry.position, first.entry.position);
  });
  await check("an id that was used is refused for other content", async () => {
    const refused = await refusal(execute(planner, note(RACE, "late", "Something else")));
    assert.deepEqual([refused.code, refused.reason], ["AlreadyExists", "REQUEST_ID_REUSED"]);
  });
}

async function mistakes({ plans }) {
  await check("all mistakes of a request are listed with the paths of their fields", async () => {
    const kind = { case: "createPlan", value: { title: "" } };
    const refused = await refusal(plans.execute({ planId: "No such id", commands: [{ kind }] }));
    assert.deepEqual([refused.code, refused.reason], ["InvalidArgument", "MALFORMED_REQUEST"]);
    assert.deepEqual(refused.fields, ["plan_id", "commands[0].create_plan.title"]);
  });
  await check("a plan that does not exist is named", async () => {
    const refused = await refusal(plans.getPlan({ planId: "nowhere" }));
    assert.deepEqual([refused.code, refused.reason], ["NotFound", "PLAN_NOT_FOUND"]);
    assert.equal(refused.metadata.plan_id, "nowhere");
  });
}

async function watch(planner) {
  const stop = new AbortController();
  const seen = [];
  const caughtUp = [];
  const checkpoints = [];
  const breaks = [];
  const following = (async () => {
    const options = {
      signal: stop.signal,
      onCaughtUp: (position) => caughtUp.push(position),
      onCheckpoint: (position) => checkpoints.push(position),
      onBreak: (error) => breaks.push(error),
    };
    for await (const entry of follow(planner, options)) seen.push(entry);
  })();
  const until = async (holds) => {
    const began = Date.now();
    while (!holds()) {
      assert.ok(Date.now() - began < CALL_MS, `waited in vain for ${holds}`);
      await pause(10);
    }
  };

  const { position: head } = await planner.plans.listPlans({});
  await check("a watch shows what was recorded and says that it has caught up", async () => {
    await until(() => caughtUp.length > 0);
    assert.deepEqual(caughtUp, [head]);
    assert.equal(seen.length, Number(head));
  });
  await check("it shows what is recorded while it looks on", async () => {
    const { entry } = await execute(planner, note(RACE, "live", "Before the restart"));
    await until(() => seen.length > Number(head));
    assert.equal(seen.at(-1).position, entry.position);
  });
  await check("it says where it stands every few seconds, to resume from there", async () => {
    await until(() => checkpoints.at(-1) === seen.at(-1).position);
  });
  await check("after a restart it goes on with what came meanwhile and after", async () => {
    const restarted = promisify(execFile)("sh", ["-c", STRATA_RESTART]);
    await until(() => breaks.length > 0);
    const meanwhile = execute(planner, note(RACE, "meanwhile", "Sent until it was recorded"));
    await Promise.all([restarted, meanwhile]);
    await execute(planner, note(RACE, "after", "After the restart"));
    await until(() => seen.length >= Number(head) + 3);
    const positions = seen.map((it) => Number(it.position));
    assert.deepEqual(positions, Array.from({ length: Number(head) + 3 }, (_, index) => index + 1));
    const ids = seen.slice(-3).map((it) => it.commit.requestId);
    assert.deepEqual(ids, ["live", "meanwhile", "after"]);
  });
  stop.abort();
  await following;
}

async function whoCalls() {
  const ask = ({ plans }) => plans.getPlan({ planId: PLAN });
  await check("a daemon whose certificate nobody vouches for is not talked to", async () => {
    const refused = await refusal(ask(connect(STRATA_TOKEN, rootCertificates)));
    assert.match(refused.message, /certificate/);
  });
  await check("who shows no token is asked for one", async () => {
    const refused = await refusal(ask(connect(undefined)));
    assert.deepEqual([refused.code, refused.reason], ["Unauthenticated", "CREDENTIALS_REQUIRED"]);
  });
  await check("a token that is not known is refused", async () => {
    const refused = await refusal(ask(connect(`${STRATA_TOKEN}x`)));
    assert.deepEqual([refused.code, refused.reason], ["Unauthenticated", "CREDENTIALS_INVALID"]);
  });
  const reader = connect(STRATA_READER_TOKEN);
  await check("a reader may read", async () => {
    const { plan } = await ask(reader);
    assert.equal(plan.planId, PLAN);
  });
  await check("a reader may not write", async () => {
    const refused = await refusal(execute(reader, note(RACE, "reader", "Not mine to say")));
    assert.deepEqual([refused.code, refused.reason], ["PermissionDenied", "NOT_PERMITTED"]);
  });
}

const planner = connect(STRATA_TOKEN);
await load(planner);
await ask(planner);
await race(planner);
await mistakes(planner);
await watch(planner);
await whoCalls();
// Connections that are kept at hand would keep the process alive.
process.exit(0);
