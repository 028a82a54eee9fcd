// A daemon as a page sees it: calls over gRPC-Web, requests that are recorded once however often they
// are sent, a watch that goes on by itself, and refusals that can be read. Nothing here knows of the
// page.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "./generated/google/rpc/error_details_pb";
import { AdviceService } from "./generated/strata/v1/advice_service_pb";
import { HistoryService, type WatchRequestSchema } from "./generated/strata/v1/history_service_pb";
import type { LogEntry } from "./generated/strata/v1/log_pb";
import {
  PlanService,
  type ExecuteRequestSchema,
  type ExecuteResponse,
} from "./generated/strata/v1/plan_service_pb";

const CALL_MS = 20_000;
/** A watch says something at least every 10 seconds; one that is silent for longer is dead. */
const SILENCE_MS = 25_000;
const TRIES_MAX = 8;
const PAUSE_MS_MAX = 5_000;

export interface Daemon {
  plans: Client<typeof PlanService>;
  history: Client<typeof HistoryService>;
  advice: Client<typeof AdviceService>;
}

/** The services at an address, for who has the token; without one, for nobody in particular. */
export function connect(baseUrl: string, token: string): Daemon {
  const authorize: Interceptor = (next) => (request) => {
    if (token !== "") request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const transport = createGrpcWebTransport({
    baseUrl,
    interceptors: [authorize],
    defaultTimeoutMs: CALL_MS,
  });
  return {
    plans: createClient(PlanService, transport),
    history: createClient(HistoryService, transport),
    advice: createClient(AdviceService, transport),
  };
}

/**
 * Records a request once. When the answer is lost nobody knows whether it was recorded, so the same
 * request is sent again with the same `requestId`, and the daemon gives its first answer. A request
 * without an id is given one.
 */
export async function record(
  { plans }: Daemon,
  request: MessageInitShape<typeof ExecuteRequestSchema>,
): Promise<ExecuteResponse> {
  const once = { ...request, requestId: request.requestId || crypto.randomUUID() };
  for (let tries = 1; ; tries += 1) {
    try {
      return await plans.execute(once);
    } catch (error) {
      if (tries === TRIES_MAX || !passes(error)) throw error;
      await pause(tries, error);
    }
  }
}

export interface Watcher {
  /** Commits, in order, each once. */
  entries(entries: LogEntry[]): void;
  /** Everything that was there is shown; what follows is live. */
  live(): void;
  /** There is nothing more up to this position; said every few seconds, also when nothing happens. */
  checkpoint(position: bigint): void;
  /** The daemon is away; the watch tries again. */
  away(error: unknown): void;
}

/**
 * Shows the watcher every commit from the first one on, until the signal ends it or the daemon
 * refuses. After a break it goes on behind what was seen: by the last bookmark, of which the daemon
 * checks that it is of this history, or by position while there is none. What came between the
 * bookmark and the break comes again and is passed over.
 */
export async function watch({ history }: Daemon, watcher: Watcher, signal: AbortSignal) {
  let next = 1n;
  let bookmark: Uint8Array | undefined;
  for (let tries = 1; !signal.aborted; tries += 1) {
    const start: Start = bookmark
      ? { case: "bookmark", value: bookmark }
      : { case: "fromPosition", value: next };
    let broke: unknown;
    try {
      for await (const { response } of untilSilent(history, start, signal)) {
        tries = 0;
        if (response.case === "entries") {
          const fresh = response.value.entries.filter((entry) => entry.position >= next);
          next = (fresh.at(-1)?.position ?? next - 1n) + 1n;
          watcher.entries(fresh);
        } else if (response.case === "checkpoint") {
          bookmark = response.value.bookmark;
          watcher.checkpoint(response.value.position);
        } else if (response.case === "caughtUp") {
          watcher.live();
        }
      }
    } catch (error) {
      broke = error;
      if (signal.aborted) return;
      if (!passes(error)) throw error;
      watcher.away(error);
    }
    await pause(tries, broke);
  }
}

type Start = MessageInitShape<typeof WatchRequestSchema>["start"];

/** One watch, given up when it is silent for so long that nobody can be there any more. */
async function* untilSilent(history: Daemon["history"], start: Start, signal: AbortSignal) {
  const call = new AbortController();
  const giveUp = () => call.abort();
  signal.addEventListener("abort", giveUp);
  let silence = setTimeout(giveUp, SILENCE_MS);
  try {
    for await (const response of history.watch({ start }, { signal: call.signal, timeoutMs: 0 })) {
      clearTimeout(silence);
      silence = setTimeout(giveUp, SILENCE_MS);
      yield response;
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener("abort", giveUp);
  }
}

/** Why a call failed, for people and for programs. */
export interface Refusal {
  code: string;
  message: string;
  /** One of `ErrorReason` without its prefix; empty when it is not the daemon that refused. */
  reason: string;
  metadata: Record<string, string>;
  violations: { field: string; description: string }[];
}

/** Reads why a call failed. */
export function refusal(failure: unknown): Refusal {
  const error = ConnectError.from(failure);
  const info = error.findDetails(ErrorInfoSchema).at(0);
  const badRequest = error.findDetails(BadRequestSchema).at(0);
  return {
    code: Code[error.code],
    message: error.rawMessage,
    reason: info?.reason ?? "",
    metadata: info?.metadata ?? {},
    violations: badRequest?.fieldViolations ?? [],
  };
}

/**
 * Whether trying again can help: the daemon says so, or it was not reached. Each refusal of the
 * daemon has an ErrorInfo, so what has none is from the network. A browser does not tell a page what
 * it was: no daemon there, a certificate that is not trusted, or an origin that may not call.
 */
function passes(failure: unknown): boolean {
  const { code } = ConnectError.from(failure);
  const unreached = refusal(failure).reason === "";
  return unreached || code === Code.Unavailable || delayMs(failure) !== undefined;
}

/** How long the daemon asks to be left alone, if it does. */
function delayMs(failure: unknown): number | undefined {
  const delay = ConnectError.from(failure).findDetails(RetryInfoSchema).at(0)?.retryDelay;
  return delay && durationMs(delay);
}

/**
 * Waits for as long as the daemon asks, and longer after each try; never for just as long
 * as the others who lost the same daemon.
 */
function pause(tries: number, failure?: unknown): Promise<void> {
  const longest = Math.min(250 * 2 ** tries, PAUSE_MS_MAX);
  const ms = (delayMs(failure) ?? 0) + longest * (0.5 + Math.random() / 2);
  return new Promise((resolve) => setTimeout(resolve, ms));
}
