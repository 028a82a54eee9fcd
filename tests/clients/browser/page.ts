// The page: what is typed goes to the daemon, and what the daemon says is shown.

import { create, fromJsonString, type MessageInitShape } from "@bufbuild/protobuf";
import { CommandSchema } from "./generated/strata/v1/commands_pb";
import { ExplainedSide, type StrategyRevision } from "./generated/strata/v1/history_service_pb";
import type { LogEntry } from "./generated/strata/v1/log_pb";
import { CommitmentState, PlanState, type Commitment } from "./generated/strata/v1/plan_pb";
import { ExecuteRequestSchema, type PlanSummary } from "./generated/strata/v1/plan_service_pb";
import { connect, record, refusal, watch, type Daemon } from "./strata";

const COMMITS_SHOWN_MAX = 1_000;

const plans = element("#plans");
const plan = element("[aria-label=Plan]");
const commits = element("#commits");
const watching = element("[aria-label=Watch]");
const answer = element("[aria-label=Answer]");
const alert = element("[role=alert]");

let daemon: Daemon | undefined;
let session = new AbortController();

onSubmit("connect", async (typed) => {
  session.abort();
  session = new AbortController();
  for (const shown of [plans, plan, commits, answer]) shown.replaceChildren();
  watching.textContent = "connecting";
  daemon = connect(typed("address"), typed("token"));
  await follow(daemon, session.signal);
});

onSubmit("create", (typed) =>
  send(typed("planId"), { case: "createPlan", value: { title: typed("title") } }),
);

onSubmit("note", (typed) => {
  const revision = typed("expectedRevision");
  return send(
    typed("planId"),
    { case: "recordNote", value: { subject: "plan", text: typed("text") } },
    {
      expectedRevision: revision === "" ? undefined : BigInt(revision),
      requestId: typed("requestId"),
    },
  );
});

onSubmit("load", async (_, file) => {
  const lines = (await file("file").text()).trim().split("\n");
  let replayed = 0;
  for (const line of lines) {
    const recorded = await record(connected(), fromJsonString(ExecuteRequestSchema, line));
    replayed += recorded.replayed ? 1 : 0;
  }
  answer.textContent = `${lines.length - replayed} recorded, ${replayed} replayed`;
});

async function send(
  planId: string,
  kind: MessageInitShape<typeof CommandSchema>["kind"],
  conditions: { expectedRevision?: bigint; requestId?: string } = {},
) {
  const request = create(ExecuteRequestSchema, { planId, commands: [{ kind }], ...conditions });
  const { entry, revision, replayed } = await record(connected(), request);
  const how = replayed ? "answered again" : "recorded";
  answer.textContent = `${planId} is at revision ${revision}, ${how} at ${entry?.position}`;
}

/** Shows the commits as they come, and the plans as they are after them, until the session ends. */
async function follow(from: Daemon, signal: AbortSignal) {
  let live = false;
  const refresh = once(async () => {
    const listed = await listPlans(from);
    if (!signal.aborted) plans.replaceChildren(...listed.map(planRow));
  });
  const watcher = {
    entries(entries: LogEntry[]) {
      commits.append(...entries.map(commitItem));
      while (commits.childElementCount > COMMITS_SHOWN_MAX) commits.firstElementChild?.remove();
      if (live) refresh();
    },
    live() {
      live = true;
      watching.textContent = "live";
      refresh();
    },
    checkpoint(position: bigint) {
      watching.textContent = `live, all up to ${position} at ${new Date().toLocaleTimeString()}`;
    },
    away(error: unknown) {
      live = false;
      watching.textContent = `the daemon is away, trying again: ${refusal(error).message}`;
    },
  };
  try {
    await watch(from, watcher, signal);
  } catch (error) {
    watching.textContent = "refused";
    throw error;
  }
}

async function listPlans(from: Daemon): Promise<PlanSummary[]> {
  const listed = [];
  let pageToken = "";
  do {
    const page = await from.plans.listPlans({ pageToken });
    listed.push(...page.plans);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return listed;
}

function planRow(summary: PlanSummary): HTMLElement {
  const open = make("button", summary.planId);
  open.onclick = () =>
    attempt(async () => {
      plan.replaceChildren(...(await planDetails(connected(), summary.planId)));
    });
  const { title, state, revision } = summary;
  const cells = [open, title, PlanState[state].toLowerCase(), String(revision)];
  return make("tr", ...cells.map((cell) => make("td", cell)));
}

/** A plan with its strategies as they were from revision to revision, and what was promised for it. */
async function planDetails(from: Daemon, planId: string): Promise<HTMLElement[]> {
  const [{ plan: shown }, promised] = await Promise.all([
    from.plans.getPlan({ planId }),
    from.advice.listCommitments({ planIds: [planId] }),
  ]);
  if (!shown) return [];
  const strategies = shown.strategies.map(async (strategy) => {
    const { strategyId } = strategy;
    const { revisions } = await from.history.listRevisions({ planId, strategyId });
    const items = revisions.map((it) => revisionItem(from, planId, strategyId, it));
    const now = `${strategyId}, revision ${strategy.revision}: ${strategy.intent}`;
    return make("li", now, make("ol", ...items));
  });
  const commitments = promised.commitments.flatMap(({ commitment }) =>
    commitment ? [make("li", `${commitment.commitmentId}: ${stateOf(commitment)}`)] : [],
  );
  return [
    make("h2", shown.title),
    make("p", shown.objective?.statement ?? "no objective yet"),
    make("ul", ...(await Promise.all(strategies))),
    make("h3", "Promised"),
    make("ul", ...commitments),
  ];
}

function stateOf({ state, assignee }: Commitment): string {
  return `${CommitmentState[state].toLowerCase()}, by ${assignee}`;
}

/** A revision of a strategy; asked why, with the events that led to it. */
function revisionItem(
  from: Daemon,
  planId: string,
  strategyId: string,
  { revision, intent }: StrategyRevision,
): HTMLElement {
  const why = make("button", `Why revision ${revision} of ${strategyId}?`);
  const item = make("li", intent, " ", why);
  why.onclick = () =>
    attempt(async () => {
      const target = { case: "strategyRevision" as const, value: { strategyId, revision } };
      const { events } = await from.history.explain({ planId, target });
      const causes = events.filter(({ side }) => side === ExplainedSide.CAUSE);
      const told = causes.map((event) => make("li", `revision ${event.revision}: ${event.summary}`));
      why.replaceWith(make("ul", ...told));
    });
  return item;
}

function commitItem({ position, commit }: LogEntry): HTMLElement {
  const happened = commit?.events.map((event) => event.kind.case).join(", ");
  const item = make("li", `${commit?.planId}: ${happened}, by ${commit?.actor}`);
  item.setAttribute("value", String(position));
  return item;
}

function showRefusal(error: unknown) {
  const { code, reason, message, metadata, violations } = refusal(error);
  const facts = Object.entries(metadata).map(([name, value]) => make("li", `${name}: ${value}`));
  const faults = violations.map((it) => make("li", `${it.field}: ${it.description}`));
  alert.replaceChildren(
    make("strong", [code, reason].filter(Boolean).join(" ")),
    make("p", message),
    make("ul", ...facts, ...faults),
  );
}

function connected(): Daemon {
  if (!daemon) throw new Error("Connect to a daemon first.");
  return daemon;
}

/** Does what was asked for, and shows why it could not be done. */
async function attempt(what: () => Promise<void>) {
  alert.replaceChildren();
  await what().catch(showRefusal);
}

type Typed = (name: string) => string;
type Chosen = (name: string) => File;

function onSubmit(id: string, submitted: (typed: Typed, chosen: Chosen) => Promise<void>) {
  const form = element(`#${id}`) as HTMLFormElement;
  form.onsubmit = (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const typed = (name: string) => String(data.get(name));
    const chosen = (name: string) => data.get(name) as File;
    void attempt(() => submitted(typed, chosen));
  };
}

/** Does it when asked to, and once more afterwards if asked to meanwhile, but never twice at once. */
function once(what: () => Promise<void>): () => void {
  let [underWay, due] = [false, false];
  return async () => {
    due = true;
    if (underWay) return;
    underWay = true;
    while (due) {
      due = false;
      await what().catch(showRefusal);
    }
    underWay = false;
  };
}

/** An element with text and others in it. What the daemon says is text and never markup. */
function make<K extends keyof HTMLElementTagNameMap>(tag: K, ...content: (string | Node)[]) {
  const made = document.createElement(tag);
  made.append(...content);
  return made;
}

function element(selector: string): HTMLElement {
  const found = document.querySelector<HTMLElement>(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return found;
}
