// The scenario of ../README.md in Node.js, over gRPC with TLS.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { fromJson } from "@bufbuild/protobuf";
import { CommitmentState } from "./generated/strata/v1/plan_pb.js";
import { ExecuteRequestSchema } from "./generated/strata/v1/plan_service_pb.js";
import { connect, execute, follow, refusal } from "./strata.mjs";

const { STRATA_ADDRESS, STRATA_CA, STRATA_TOKEN, STRATA_READER_TOKEN } = process.env;
const { STRATA_HISTORY, STRATA_RESTART } = process.env;
const AUTHORITY = readFileSync(STRATA_CA);
const PLAN = "smallpox-india";
const STRATEGY = "stop-transmission";
const RACE = "race-node";
const PATIENCE_MS = 30_000;

/** What a call is refused with. */
async function refused(call) {
  return call.then(() => assert.fail("it was not refused"), refusal);
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
    const told = await refused(execute(planner, { ...late, expectedRevision: 0n }));
    assert.equal(told.code, "ABORTED");
    assert.equal(told.reason, "REVISION_CONFLICT");
    assert.equal(told.domain, "strata.v1");
    const expectedRevision = BigInt(told.metadata.current_revision);
    first = await execute(planner, { ...late, expectedRevision });
    assert.deepEqual([first.revision, first.replayed], [2n, false]);
  });
  await check("a request that is sent once more is not recorded once more", async () => {
    const again = await execute(planner, late);
    assert.equal(again.replayed, true);
    assert.equal(again.entry.position, first.entry.position);
  });
  await check("an id that was used is refused for other content", async () => {
    const told = await refused(execute(planner, note(RACE, "late", "Something else")));
    assert.deepEqual([told.code, told.reason], ["ALREADY_EXISTS", "REQUEST_ID_REUSED"]);
  });
}

async function mistakes({ plans }) {
  await check("all mistakes of a request are listed with the paths of their fields", async () => {
    const kind = { case: "createPlan", value: { title: "" } };
    const told = await refused(plans.execute({ planId: "No such id", commands: [{ kind }] }));
    assert.deepEqual([told.code, told.reason], ["INVALID_ARGUMENT", "MALFORMED_REQUEST"]);
    assert.deepEqual(told.violations.map((it) => it.field), ["plan_id", "commands[0].create_plan.title"]);
  });
  await check("a plan that does not exist is named", async () => {
    const told = await refused(plans.getPlan({ planId: "nowhere" }));
    assert.deepEqual([told.code, told.reason], ["NOT_FOUND", "PLAN_NOT_FOUND"]);
    assert.equal(told.metadata.plan_id, "nowhere");
  });
}

async function watch(planner) {
  const stop = new AbortController();
  const seen = [];
  const caughtUp = [];
  const checkpoints = [];
  const breaks = [];
  const following = (async () => {
    const told = {
      caughtUp: (position) => caughtUp.push(position),
      checkpoint: (position) => checkpoints.push(position),
      broke: (error) => breaks.push(error),
    };
    for await (const entry of follow(planner, told, stop.signal)) seen.push(entry);
  })();
  const until = async (holds) => {
    const began = Date.now();
    while (!holds()) {
      assert.ok(Date.now() - began < PATIENCE_MS, `waited in vain for ${holds}`);
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
    const told = await refused(ask(connect(STRATA_ADDRESS, undefined, STRATA_TOKEN)));
    assert.match(told.message, /certificate/);
  });
  await check("who shows no token is asked for one", async () => {
    const told = await refused(ask(connect(STRATA_ADDRESS, AUTHORITY)));
    assert.deepEqual([told.code, told.reason], ["UNAUTHENTICATED", "CREDENTIALS_REQUIRED"]);
  });
  await check("a token that is not known is refused", async () => {
    const told = await refused(ask(connect(STRATA_ADDRESS, AUTHORITY, `${STRATA_TOKEN}x`)));
    assert.deepEqual([told.code, told.reason], ["UNAUTHENTICATED", "CREDENTIALS_INVALID"]);
  });
  const reader = connect(STRATA_ADDRESS, AUTHORITY, STRATA_READER_TOKEN);
  await check("a reader may read", async () => {
    const { plan } = await ask(reader);
    assert.equal(plan.planId, PLAN);
  });
  await check("a reader may not write", async () => {
    const told = await refused(execute(reader, note(RACE, "reader", "Not mine to say")));
    assert.deepEqual([told.code, told.reason], ["PERMISSION_DENIED", "NOT_PERMITTED"]);
  });
}

const planner = connect(STRATA_ADDRESS, AUTHORITY, STRATA_TOKEN);
await load(planner);
await ask(planner);
await race(planner);
await mistakes(planner);
await watch(planner);
await whoCalls();
// Connections that are kept at hand would keep the process alive.
process.exit(0);
