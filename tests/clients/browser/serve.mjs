// Serves the page at an origin of its own, other than the daemon's: `node serve.mjs PORT`.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const FILES = {
  "/": ["index.html", "text/html"],
  "/page.js": ["page.js", "text/javascript"],
  "/page.js.map": ["page.js.map", "application/json"],
};

/** Serves the page at a port of localhost, 0 for any that is free; answers with the server. */
export function serve(port) {
  const server = createServer((request, response) => {
    const [name, type] = FILES[request.url] ?? [];
    if (!name) return response.writeHead(404).end();
    const file = readFileSync(new URL(`built/${name}`, import.meta.url));
    response.writeHead(200, { "content-type": type }).end(file);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject).listen(port, "localhost", () => resolve(server));
  });
}

if (import.meta.filename === process.argv[1]) {
  const server = await serve(Number(process.argv[2] ?? 0));
  console.log(`http://localhost:${server.address().port}`);
}
