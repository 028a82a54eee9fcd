// Looks at the page as a person would, in Chromium without a window, and tells what it shows:
// `node look.mjs PAGE DAEMON CA_FILE TOKEN_FILE SCREENSHOT [COUNT]`. With a count it waits for as many commits,
// and tells the last of them.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:tls";
import { chromium } from "playwright-core";

const [page, daemon, caFile, tokenFile, screenshot, count] = process.argv.slice(2);
const executablePath = ["chromium", "google-chrome", "chromium-browser"]
  .map((name) => `/usr/bin/${name}`)
  .find(existsSync);

// Chromium believes the daemon's key once its certificate was checked against the authority here.
const { hostname: host, port } = new URL(daemon);
const socket = connect({ host, port, servername: host, ca: readFileSync(caFile) });
await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
const key = socket.getPeerX509Certificate().publicKey.export({ type: "spki", format: "der" });
socket.destroy();
const pin = createHash("sha256").update(key).digest("base64");

const browser = await chromium.launch({
  executablePath,
  // As root it has no sandbox.
  args: ["--no-sandbox", "--disable-gpu", `--ignore-certificate-errors-spki-list=${pin}`],
});
try {
  const tab = await browser.newPage();
  await tab.goto(page);
  await tab.getByLabel("Daemon").fill(daemon);
  await tab.getByLabel("Token").fill(readFileSync(tokenFile, "utf8").trim());
  await tab.getByRole("button", { name: "Connect" }).click();
  await tab.getByRole("status", { name: "Watch" }).filter({ hasText: /^live/ }).waitFor();
  const rows = tab.getByRole("table", { name: "Plans" }).locator("tbody").getByRole("row");
  await rows.first().waitFor();
  for (const row of await rows.all()) console.log((await row.getByRole("cell").allInnerTexts()).join("  "));
  const commits = tab.getByRole("list", { name: "Commits" }).getByRole("listitem");
  console.log(`live, ${await commits.count()} commits`);
  if (count) console.log(await commits.nth(Number(count) - 1).innerText());
  await tab.screenshot({ path: screenshot });
} finally {
  await browser.close();
}
