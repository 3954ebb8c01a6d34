// SPDX-License-Identifier: Apache-2.0

/** What the daemon and its gates' thread say to each other. Nothing here is secret: names, policies, counts. */
import type { Target } from "../../lib/authority.ts";
import type { AskAnswer } from "../asks/types.ts";
import type { GateAsk } from "./gate.ts";
import type { EgressUsage } from "./usage.ts";

export type ToThread =
  | { readonly kind: "make"; readonly gate: number; readonly principal: string }
  | { readonly kind: "drop"; readonly gate: number }
  | {
    readonly kind: "policy";
    readonly gate: number;
    readonly allow: readonly string[];
    readonly deny: readonly string[];
    readonly ask: GateAsk | null;
  }
  | { readonly kind: "listen"; readonly gate: number; readonly call: number; readonly path: string }
  | { readonly kind: "close"; readonly gate: number }
  /** null: the question could not be put. */
  | { readonly kind: "answer"; readonly call: number; readonly answer: AskAnswer | null };

export type FromThread =
  | { readonly kind: "ready" }
  | { readonly kind: "listening"; readonly call: number; readonly error: string | null }
  | {
    readonly kind: "ask";
    readonly gate: number;
    readonly call: number;
    readonly principal: string;
    readonly target: Target;
  }
  /** Whoever waited for the answer left. */
  | { readonly kind: "left"; readonly call: number }
  | {
    readonly kind: "refused";
    readonly gate: number;
    readonly target: Target;
    readonly code: string;
  }
  | { readonly kind: "usage"; readonly gate: number; readonly usage: EgressUsage };
