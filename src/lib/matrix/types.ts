// SPDX-License-Identifier: Apache-2.0

/** The parts of the Matrix Client-Server API's documents that Bureau reads. */
export type Content = Record<string, unknown>;

export interface MatrixEvent {
  readonly type: string;
  readonly sender: string;
  readonly content: Content;
  readonly event_id?: string;
  readonly origin_server_ts?: number;
  /** Present on state events only. */
  readonly state_key?: string;
}

export type StateEvent = MatrixEvent & { readonly state_key: string };

export interface CreateRoomOptions {
  readonly name?: string;
  readonly topic?: string;
  /** Localpart of the alias. */
  readonly room_alias_name?: string;
  readonly invite?: readonly string[];
  readonly preset?: "private_chat" | "trusted_private_chat" | "public_chat";
  readonly visibility?: "private" | "public";
  /** Default "11": servers' own defaults differ, and v12 gives creators endless power. */
  readonly room_version?: string;
  readonly creation_content?: Content;
  readonly initial_state?: readonly { type: string; state_key?: string; content: Content }[];
  /** Power levels of any shape; see `lib/schema/powerLevels.ts`. */
  readonly power_level_content_override?: object;
}

export interface Messages {
  readonly chunk: readonly MatrixEvent[];
  readonly start: string;
  /** Absent at the end of the history. */
  readonly end?: string;
}

export interface MessagesOptions {
  readonly from?: string;
  /** `b` backwards (default) or `f`. */
  readonly dir?: "b" | "f";
  readonly limit?: number;
  readonly filter?: object;
}

export interface SyncOptions {
  readonly since?: string;
  /** Filter id or JSON. */
  readonly filter?: string;
  /** Long poll, milliseconds; 0 answers at once. */
  readonly timeoutMs?: number;
}

export interface JoinedRoom {
  readonly state?: { readonly events?: readonly MatrixEvent[] };
  readonly timeline?: {
    readonly events?: readonly MatrixEvent[];
    readonly limited?: boolean;
    readonly prev_batch?: string;
  };
}

export interface SyncResponse {
  readonly next_batch: string;
  readonly rooms?: {
    readonly join?: Readonly<Record<string, JoinedRoom>>;
    readonly invite?: Readonly<
      Record<string, { readonly invite_state?: { readonly events?: readonly MatrixEvent[] } }>
    >;
    readonly leave?: Readonly<Record<string, JoinedRoom>>;
  };
}

export interface Session {
  readonly user_id: string;
  readonly access_token: string;
  readonly device_id?: string;
}
