// SPDX-License-Identifier: Apache-2.0

/**
 * Spans, where this process was started with `OTEL_DENO=true`. Deno makes one of each HTTP request by itself and writes the
 * whole address into it: a push target's topic, a query, a user name with its password. It has no switch for that, so what a
 * span may hold is decided here, before the first one is made.
 */

type Value = string | number | boolean;

interface Span {
  setAttribute(name: string, value: unknown): Span;
  setAttributes(attributes: Readonly<Record<string, unknown>>): Span;
  addEvent(name: string): Span;
  recordException(thrown: unknown): void;
  setStatus(status: { readonly code: number; readonly message?: string }): Span;
  updateName(name: string): Span;
  end(): void;
}

interface Tracer {
  startSpan(name: string): Span;
  startActiveSpan<T>(name: string, act: (span: Span) => T): T;
}

/** What it is when there is no telemetry is Deno's matter; so it is only asked when there is. */
const isOn = Object.hasOwn(globalThis, Symbol.for("opentelemetry.js.api.1"));

/** Deno's own attributes that say nothing of what was asked for. The others are ours. */
const ALLOWED = /^(bureau\.[a-z_]+|http\.(request\.method|response\.status_code)|error\.type)$/;
const METHOD = /^(GET|HEAD|PUT|POST|PATCH|DELETE|OPTIONS)$/;
const ERROR = 2;

let tracer: Tracer | null = null;

function tracerOf(): Tracer {
  if (tracer !== null) return tracer;
  const provider = (Deno as unknown as { telemetry: { tracerProvider: unknown } }).telemetry
    .tracerProvider as { getTracer(name: string): Tracer };
  tracer = provider.getTracer("bureau");
  return tracer;
}

/** To be called first of all. @throws when Deno's spans can't be held to it */
export function guardSpans(): void {
  if (!isOn) return;
  const span = tracerOf().startSpan("bureau.start");
  const spans = Object.getPrototypeOf(span) as Span;
  const { setAttribute, setStatus, updateName } = spans;
  Object.assign(spans, {
    setAttribute(this: Span, name: string, value: unknown): Span {
      return ALLOWED.test(name) ? setAttribute.call(this, name, value) : this;
    },
    setAttributes(this: Span, attributes: Readonly<Record<string, unknown>>): Span {
      for (const [name, value] of Object.entries(attributes)) this.setAttribute(name, value);
      return this;
    },
    // Words of errors quote what they failed on.
    addEvent(this: Span): Span {
      return this;
    },
    recordException(this: Span, thrown: unknown): void {
      this.setAttribute("error.type", thrown instanceof Error ? thrown.name : "unknown");
    },
    setStatus(this: Span, { code }: { readonly code: number }): Span {
      return setStatus.call(this, { code });
    },
    updateName(this: Span, name: string): Span {
      return METHOD.test(name) ? updateName.call(this, name) : this;
    },
  });
  span.end();
}

/**
 * Does something under a span; what it does in turn, requests too, is below it.
 * @param about attributes, without `bureau.` before them; no secret, nothing that was said
 * @param act is given what adds to them
 */
export async function traced<T>(
  name: string,
  about: Readonly<Record<string, Value>>,
  act: (note: (key: string, value: Value) => void) => Promise<T>,
): Promise<T> {
  if (!isOn) return await act(() => {});
  return await tracerOf().startActiveSpan(`bureau.${name}`, async (span) => {
    const note = (key: string, value: Value) => void span.setAttribute(`bureau.${key}`, value);
    for (const [key, value] of Object.entries(about)) note(key, value);
    try {
      return await act(note);
    } catch (thrown) {
      span.recordException(thrown);
      span.setStatus({ code: ERROR });
      throw thrown;
    } finally {
      span.end();
    }
  });
}
