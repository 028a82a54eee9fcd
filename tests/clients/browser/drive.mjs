// Uses the page as a person does, in Chromium, and looks at what it shows: over TLS, with a token,
// from an origin that is not the daemon's.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { serve } from "./serve.mjs";

const { STRATA_ADDRESS, STRATA_CA, STRATA_TOKEN, STRATA_READER_TOKEN } = process.env;
const { STRATA_HISTORY, STRATA_RESTART, STRATA_ORIGIN, CHROMIUM } = process.env;
const PATIENCE_MS = 30_000;
// As root it has no sandbox, and it need not look for updates or for other hosts.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * The hash of the daemon's public key, once its certificate was checked against the authority.
 * Chromium believes just this key then, without being told of an authority for all else.
 */
async function keyOfDaemon() {
  const [host, port] = STRATA_ADDRESS.split(":");
  const socket = connect({ host, port, servername: host, ca: readFileSync(STRATA_CA) });
  await new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve).once("error", reject);
  });
  const key = socket.getPeerX509Certificate().publicKey.export({ type: "spki", format: "der" });
  socket.destroy();
  return createHash("sha256").update(key).digest("base64");
}

/** The page in a tab, opened at an origin, with what a test asks of it. */
async function open(browser, origin) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(`error: ${error.message}`));
  await page.goto(origin);
  const tab = {
    page,
    said,
    watching: page.getByRole("status", { name: "Watch" }),
    answer: page.getByRole("status", { name: "Answer" }),
    alert: page.getByRole("alert"),
    commits: page.getByRole("list", { name: "Commits" }).getByRole("listitem"),
    row: (planId) =>
      page.getByRole("table", { name: "Plans" }).getByRole("row").filter({
        has: page.getByRole("button", { name: planId, exact: true }),
      }),
    async connect(token) {
      await page.getByLabel("Daemon").fill(`https://${STRATA_ADDRESS}`);
      await page.getByLabel("Token").fill(token);
      await page.getByRole("button", { name: "Connect" }).click();
    },
    async create(planId, title) {
      await page.getByLabel("New plan").fill(planId);
      await page.getByLabel("Title").fill(title);
      await page.getByRole("button", { name: "Create" }).click();
    },
    async note(planId, text, { expectedRevision = "", requestId = "" } = {}) {
      await page.getByLabel("Plan", { exact: true }).and(page.getByRole("textbox")).fill(planId);
      await page.getByLabel("Note").fill(text);
      await page.getByLabel("Expected revision").fill(expectedRevision);
      await page.getByLabel("Request id").fill(requestId);
      await page.getByRole("button", { name: "Keep" }).click();
    },
    async load(file) {
      await page.getByLabel("History").setInputFiles(file);
      await page.getByRole("button", { name: "Load" }).click();
    },
    /** The positions of the commits as they are shown. */
    positions: () => tab.commits.evaluateAll((items) => items.map((item) => item.value)),
  };
  return tab;
}

/** Waits until what is shown holds all of these words. */
async function shows(locator, ...words) {
  const began = Date.now();
  let shown;
  do {
    shown = (await locator.allTextContents()).join("\n");
    if (words.every((word) => shown.includes(word))) return;
    await wait(20);
  } while (Date.now() - began < PATIENCE_MS);
  assert.fail(`not shown: ${words.filter((word) => !shown.includes(word))}; but: ${shown}`);
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

const upTo = (last) => Array.from({ length: last }, (_, index) => index + 1);

async function planner(browser) {
  const tab = await open(browser, STRATA_ORIGIN);
  const answered = tab.page.waitForResponse((it) => it.url().endsWith("/ListPlans"));
  // What is not shown is complained about first, and below.
  answered.catch(() => {});
  await check("a page of an origin that is configured reads over TLS with a token", async () => {
    await tab.connect(STRATA_TOKEN);
    await shows(tab.watching, "live");
    const response = await answered;
    assert.equal(response.headers()["access-control-allow-origin"], STRATA_ORIGIN);
    assert.match((await response.securityDetails()).protocol, /^TLS 1\.[23]$/);
    assert.equal(await response.httpVersion(), "HTTP/2.0");
  });
  await check("a history is loaded, and each commit is shown live", async () => {
    await tab.load(STRATA_HISTORY);
    await shows(tab.answer, "40 recorded, 0 replayed");
    await shows(tab.row("smallpox-india"), "Eradicate smallpox from India", "archived", "40");
    await tab.commits.nth(39).waitFor();
    assert.deepEqual(await tab.positions(), upTo(40));
  });
  await check("loaded again, it gets its first answers", async () => {
    await tab.load(STRATA_HISTORY);
    await shows(tab.answer, "0 recorded, 40 replayed");
  });
  const shown = tab.page.getByRole("region", { name: "Plan" });
  await check("a plan is shown with the revisions of its strategy and what was promised", async () => {
    await tab.page.getByRole("button", { name: "smallpox-india" }).click();
    await shows(shown, "stop-transmission, revision 3", "zero-in-two-seasons: missed");
    assert.equal(await shown.getByRole("button", { name: /stop-transmission/ }).count(), 3);
  });
  await check("asked why, it names the events that forced a revision", async () => {
    await shown.getByRole("button", { name: "Why revision 2 of stop-transmission?" }).click();
    await shows(shown, "revision 11:", "revision 19:");
  });
  await check("a plan that is begun in one tab is seen in another", async () => {
    const other = await open(browser, STRATA_ORIGIN);
    await other.connect(STRATA_READER_TOKEN);
    await shows(other.watching, "live");
    await tab.create("garden", "Grow tomatoes");
    await shows(tab.answer, "garden is at revision 1");
    for (const { row, commits } of [tab, other]) {
      await shows(row("garden"), "Grow tomatoes", "active");
      await shows(commits.last(), "garden: planCreated");
    }
    await other.page.close();
  });
  await check("all mistakes of a request are shown with the paths of their fields", async () => {
    await tab.create("No such id", "");
    await shows(tab.alert, "InvalidArgument MALFORMED_REQUEST");
    await shows(tab.alert, "plan_id:", "commands[0].create_plan.title:");
  });
  await check("a refusal says what it is about", async () => {
    await tab.create("garden", "Again");
    await shows(tab.alert, "AlreadyExists PLAN_EXISTS", "plan_id: garden");
    await tab.note("nowhere", "Nothing");
    await shows(tab.alert, "NotFound PLAN_NOT_FOUND", "plan_id: nowhere");
  });
  return tab;
}

async function race(tab) {
  await tab.create("race", "Be first");
  await tab.note("race", "Somebody was quicker");
  await shows(tab.answer, "race is at revision 2, recorded at 43");
  await check("who is late is told the current revision", async () => {
    await tab.note("race", "Late", { expectedRevision: "1", requestId: "late" });
    await shows(tab.alert, "Aborted REVISION_CONFLICT", "current_revision: 2");
  });
  await check("sent again with that revision it is recorded, and once more it is answered", async () => {
    await tab.note("race", "Late", { expectedRevision: "2", requestId: "late" });
    await shows(tab.answer, "race is at revision 3, recorded at 44");
    await tab.note("race", "Late", { expectedRevision: "2", requestId: "late" });
    await shows(tab.answer, "race is at revision 3, answered again at 44");
  });
  await check("an id is good for one request", async () => {
    await tab.note("race", "Another", { requestId: "late" });
    await shows(tab.alert, "AlreadyExists REQUEST_ID_REUSED");
  });
  return tab;
}

async function restart(tab) {
  await check("a watch says where it stands, also when nothing happens", async () => {
    await shows(tab.watching, "live, all up to 44 at");
  });
  await check("the daemon is restarted, and what was sent meanwhile is recorded once", async () => {
    const restarted = promisify(execFile)("sh", ["-c", STRATA_RESTART]);
    await shows(tab.watching, "the daemon is away");
    await tab.note("garden", "Water them");
    await restarted;
    await shows(tab.answer, "garden is at revision 2");
  });
  await check("the watch goes on, with nothing left out and nothing twice", async () => {
    await shows(tab.watching, "live");
    await tab.note("garden", "In the shade");
    await shows(tab.row("garden"), "3");
    await tab.commits.nth(45).waitFor();
    assert.deepEqual(await tab.positions(), upTo(46));
  });
  assert.equal((await tab.alert.textContent()).trim(), "");
}

async function whoCalls(browser) {
  const tab = await open(browser, STRATA_ORIGIN);
  await check("who shows no token is asked for one", async () => {
    await tab.connect("");
    await shows(tab.alert, "Unauthenticated CREDENTIALS_REQUIRED");
  });
  await check("a token that is not known is refused", async () => {
    await tab.connect(`${STRATA_TOKEN}x`);
    await shows(tab.alert, "Unauthenticated CREDENTIALS_INVALID");
  });
  await check("a reader reads and watches", async () => {
    await tab.connect(STRATA_READER_TOKEN);
    await shows(tab.watching, "live");
    await shows(tab.row("garden"), "Grow tomatoes");
    await tab.commits.nth(45).waitFor();
  });
  await check("a reader may not write", async () => {
    await tab.note("garden", "Not mine to say");
    await shows(tab.alert, "PermissionDenied NOT_PERMITTED");
  });
}

/** Connects, and expects that the browser keeps all that the daemon would say from the page. */
async function staysOutside(tab, complaint) {
  await tab.connect(STRATA_TOKEN);
  await shows(tab.watching, "the daemon is away", "Failed to fetch");
  assert.equal(await tab.commits.count(), 0);
  await tab.note("garden", "From elsewhere");
  assert.match(tab.said.join("\n"), complaint);
}

const key = await keyOfDaemon();
const home = await serve(new URL(STRATA_ORIGIN).port);
const elsewhere = await serve(0);
const launch = (...flags) =>
  chromium.launch({ executablePath: CHROMIUM, args: [...FLAGS, ...flags] });
const browser = await launch(`--ignore-certificate-errors-spki-list=${key}`);
const wary = await launch();
try {
  await restart(await race(await planner(browser)));
  await whoCalls(browser);
  await check("a page of another origin is kept out", async () => {
    const tab = await open(browser, `http://localhost:${elsewhere.address().port}`);
    await staysOutside(tab, /blocked by CORS policy/);
  });
  await check("a daemon whose certificate nobody vouches for is not talked to", async () => {
    await staysOutside(await open(wary, STRATA_ORIGIN), /ERR_CERT_AUTHORITY_INVALID/);
  });
  await check("nothing was recorded that was refused", async () => {
    const tab = await open(browser, STRATA_ORIGIN);
    await tab.connect(STRATA_READER_TOKEN);
    await shows(tab.watching, "live");
    assert.deepEqual(await tab.positions(), upTo(46));
  });
} finally {
  await Promise.all([browser.close(), wary.close()]);
  home.close();
  elsewhere.close();
}
