// A daemon as a program in Node.js sees it: the services over gRPC, requests that are recorded once
// however often they are sent, a watch that goes on by itself, and refusals that can be read. By
// @grpc/grpc-js and the code that protoc-gen-es makes of our protos.

import { setTimeout as pause } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import grpc from "@grpc/grpc-js";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "./generated/google/rpc/error_details_pb.js";
import { StatusSchema } from "./generated/google/rpc/status_pb.js";
import { AdviceService } from "./generated/strata/v1/advice_service_pb.js";
import { HistoryService } from "./generated/strata/v1/history_service_pb.js";
import { PlanService } from "./generated/strata/v1/plan_service_pb.js";

const CALL_MS = 30_000;
const PAUSE_MS = 200;
const TRIES_MAX = 100;
// A connection that died in silence is noticed, also by a watch that waits.
const OPTIONS = {
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 5_000,
};

/**
 * The services at an address, `host:port`, for who has the token. Only certificates that `authority`
 * vouches for are believed; it is PEM in a buffer, and without one what Node.js comes with.
 */
export function connect(address, authority, token) {
  const authorize = grpc.credentials.createFromMetadataGenerator((_, callback) => {
    const metadata = new grpc.Metadata();
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    callback(null, metadata);
  });
  const tls = grpc.credentials.createSsl(authority);
  const credentials = grpc.credentials.combineChannelCredentials(tls, authorize);
  return {
    plans: client(PlanService, address, credentials),
    history: client(HistoryService, address, credentials),
    advice: client(AdviceService, address, credentials),
  };
}

/** A service as an object with its methods: promises of one answer, and streams of answers. */
function client(service, address, credentials) {
  const channel = new grpc.Client(address, credentials, OPTIONS);
  const methods = service.methods.map((method) => {
    const path = `/${service.typeName}/${method.name}`;
    const encode = (request) => Buffer.from(toBinary(method.input, create(method.input, request)));
    const decode = (bytes) => fromBinary(method.output, bytes);
    const unary = (request) =>
      new Promise((resolve, reject) => {
        const options = { deadline: Date.now() + CALL_MS };
        const done = (error, answer) => (error ? reject(error) : resolve(answer));
        channel.makeUnaryRequest(path, encode, decode, request, options, done);
      });
    // A stream has no deadline: a watch has no end.
    const stream = (request) => channel.makeServerStreamRequest(path, encode, decode, request);
    return [method.localName, { unary, server_streaming: stream }[method.methodKind]];
  });
  return Object.fromEntries(methods);
}

/**
 * Records a request once. When the answer is lost nobody knows whether it was recorded, so the same
 * request is sent again with the same `requestId`, and the daemon gives its first answer.
 */
export async function execute({ plans }, request) {
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
 * Every commit from the first one on, each once, until the signal ends it. When the daemon was away
 * the watch goes on behind what was seen: by the last bookmark, of which the daemon checks that it is
 * of this history, or by position while there is none. What came between the bookmark and the break
 * comes again and is passed over. `told` hears of checkpoints, of having caught up, and of breaks.
 */
export async function* follow({ history }, told, signal) {
  let next = 1n;
  let bookmark;
  while (!signal.aborted) {
    const start = bookmark
      ? { case: "bookmark", value: bookmark }
      : { case: "fromPosition", value: next };
    const watch = history.watch({ start });
    const end = () => watch.cancel();
    signal.addEventListener("abort", end);
    try {
      for await (const { response } of watch) {
        if (response.case === "entries") {
          for (const entry of response.value.entries.filter((it) => it.position >= next)) {
            next = entry.position + 1n;
            yield entry;
          }
        } else if (response.case === "checkpoint") {
          bookmark = response.value.bookmark;
          told.checkpoint(response.value.position);
        } else if (response.case === "caughtUp") {
          told.caughtUp(response.value.position);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      const ms = pauseMs(error);
      if (ms === undefined) throw error;
      told.broke(error);
      await pause(ms);
    } finally {
      signal.removeEventListener("abort", end);
      watch.cancel();
    }
  }
}

/** Why a call failed, for people and for programs; `reason` is there when it is the daemon that refused. */
export function refusal(error) {
  const info = detail(error, ErrorInfoSchema);
  return {
    code: grpc.status[error.code],
    message: error.details ?? error.message,
    reason: info?.reason,
    domain: info?.domain,
    metadata: info?.metadata,
    violations: detail(error, BadRequestSchema)?.fieldViolations ?? [],
  };
}

/** The detail of a kind that a refusal carries, if it does. */
function detail(error, schema) {
  const bytes = error.metadata?.get("grpc-status-details-bin").at(0);
  const details = bytes ? fromBinary(StatusSchema, bytes).details : [];
  return details.map((any) => anyUnpack(any, schema)).find(Boolean);
}

/**
 * How long to wait before the same is tried again: as long as the daemon asks, or a little when it
 * is away or was not reached; undefined where it cannot help. Each refusal of the daemon has an
 * ErrorInfo, so what has none is from the connection.
 */
function pauseMs(error) {
  const delay = detail(error, RetryInfoSchema)?.retryDelay;
  if (delay) return durationMs(delay);
  const unreached = error.code !== undefined && refusal(error).reason === undefined;
  return unreached || error.code === grpc.status.UNAVAILABLE ? PAUSE_MS : undefined;
}
