// SPDX-License-Identifier: Apache-2.0

/**
 * One line and one count for each request of the proxy: who, to whom, by which right, how it ended. Never a
 * query, a header, a body or a whole path.
 */
import { BureauError } from "../lib/errors.ts";
import { LogLines } from "./log_lines.ts";
import { RequestMetrics } from "./metrics.ts";
import { pathTemplate } from "./path_template.ts";
import { type Span, startSpan } from "./trace.ts";

export interface RequestStart {
  readonly via: "http" | "matrix" | "api" | "forward" | "connect" | "websocket";
  /** Service, or host and port. */
  readonly service: string;
  readonly method: string;
  /** As received, from the service's own root on. */
  readonly path?: string;
  /** The action whose grant was asked for. */
  readonly action?: string;
  readonly traceparent?: string | null;
}

/** A request that is under way. */
export class LoggedRequest {
  readonly span: Span;
  /** Bodies, as passed on. */
  readonly bytes = { up: 0, down: 0 };
  readonly start: RequestStart;
  readonly #log: RequestLog;
  readonly #began: number;
  #status = 0;
  #cause: string | null = null;
  #isOver = false;

  constructor(log: RequestLog, start: RequestStart, began: number) {
    this.#log = log;
    this.start = start;
    this.#began = began;
    this.span = startSpan(start.traceparent);
  }

  answered(status: number): void {
    this.#status = status;
  }

  /** What ended it; its code is written down, its text is not. */
  failed(thrown: unknown): void {
    this.#cause ??= thrown instanceof BureauError ? thrown.code : "internal";
    if (this.#status === 0) this.#status = thrown instanceof BureauError ? thrown.status : 500;
  }

  /** Once, when the last byte has left or the caller has. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#log.write(this, this.#status, this.#cause, this.#began);
  }
}

export interface RequestLogOptions {
  readonly principal: string;
  readonly lines?: LogLines;
  /** Milliseconds that only go forward. */
  readonly tick?: () => number;
}

export class RequestLog {
  readonly metrics = new RequestMetrics();
  readonly lines: LogLines;
  readonly #tick: () => number;
  /** The beginning of each line after its time. */
  readonly #prefix: string;

  constructor({ principal, lines, tick }: RequestLogOptions) {
    this.lines = lines ?? new LogLines();
    this.#tick = tick ?? (() => performance.now());
    this.#prefix = `","level":"info","component":"proxy","msg":"request","principal":${
      JSON.stringify(principal)
    }`;
  }

  begin(start: RequestStart): LoggedRequest {
    return new LoggedRequest(this, start, this.#tick());
  }

  write(request: LoggedRequest, status: number, cause: string | null, began: number): void {
    const { start: { via, service, method, path, action }, bytes: { up, down }, span } = request;
    const ms = this.#tick() - began;
    this.metrics.count({ via, service, status, ms, up, down });
    let line = `{"time":"${new Date().toISOString()}${this.#prefix}`;
    line += `,"via":"${via}","service":${text(service)},"method":${text(method)}`;
    if (path !== undefined) line += `,"path":"${pathTemplate(path)}"`;
    if (action !== undefined) line += `,"action":${text(action)}`;
    line += `,"status":${status},"up":${up},"down":${down},"ms":${Math.round(ms * 10) / 10}`;
    if (cause !== null) line += `,"cause":"${cause}"`;
    line += `,"trace":"${span.trace}","span":"${span.id}"`;
    if (span.parent !== null) line += `,"parent":"${span.parent}"`;
    this.lines.push(`${line}}`);
  }
}

/** What an agent chose: short, and one line. */
function text(value: string): string {
  return JSON.stringify(value.length > 120 ? `${value.slice(0, 120)}…` : value);
}
