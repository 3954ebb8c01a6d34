// SPDX-License-Identifier: Apache-2.0

/**
 * The tables, by version. A migration is appended, never edited: an older database walks through all
 * that it lacks, in one transaction.
 */
import type { DatabaseSync } from "node:sqlite";
import { BureauError } from "../../lib/errors.ts";

/**
 * `so` is the one global stream position. A room's history is linear (one server), so the state at
 * N is, for each (type, state_key), the event with the largest `so` ≤ N; `replaces` walks it back.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  INSERT INTO meta VALUES ('stream', '1'), ('epoch', lower(hex(randomblob(4))));

  CREATE TABLE users (
    user_id TEXT PRIMARY KEY, password TEXT, admin INTEGER NOT NULL, created_ts INTEGER NOT NULL,
    deactivated INTEGER NOT NULL DEFAULT 0, profile TEXT NOT NULL DEFAULT '{}'
  ) STRICT;
  CREATE TABLE devices (
    user_id TEXT NOT NULL, device_id TEXT NOT NULL, display_name TEXT, last_seen_ts INTEGER,
    last_seen_ip TEXT, PRIMARY KEY (user_id, device_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE tokens (
    hash TEXT PRIMARY KEY, user_id TEXT NOT NULL, device_id TEXT NOT NULL, created_ts INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tokens_user ON tokens (user_id, device_id);
  CREATE TABLE registration_tokens (
    token TEXT PRIMARY KEY, uses_allowed INTEGER, used INTEGER NOT NULL DEFAULT 0, expires_ts INTEGER
  ) STRICT;

  CREATE TABLE rooms (
    room_id TEXT PRIMARY KEY, version TEXT NOT NULL, creator TEXT NOT NULL, created_ts INTEGER NOT NULL,
    last_so INTEGER NOT NULL, published INTEGER NOT NULL DEFAULT 0, blocked INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX rooms_last ON rooms (last_so);
  CREATE TABLE aliases (alias TEXT PRIMARY KEY, room_id TEXT NOT NULL, creator TEXT NOT NULL) STRICT;
  CREATE INDEX aliases_room ON aliases (room_id);

  CREATE TABLE events (
    so INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, room_id TEXT NOT NULL, type TEXT NOT NULL,
    state_key TEXT, sender TEXT NOT NULL, ts INTEGER NOT NULL, content TEXT NOT NULL,
    replaces INTEGER, redacts TEXT, redacted_by INTEGER,
    rel_type TEXT, rel_to TEXT, device_id TEXT, txn_id TEXT
  ) STRICT;
  CREATE INDEX events_room ON events (room_id, so);
  CREATE INDEX events_state ON events (room_id, type, state_key, so) WHERE state_key IS NOT NULL;
  CREATE INDEX events_relation ON events (rel_to, rel_type, so) WHERE rel_to IS NOT NULL;
  CREATE TABLE state (
    room_id TEXT NOT NULL, type TEXT NOT NULL, state_key TEXT NOT NULL, so INTEGER NOT NULL,
    PRIMARY KEY (room_id, type, state_key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE members (
    user_id TEXT NOT NULL, room_id TEXT NOT NULL, membership TEXT NOT NULL, so INTEGER NOT NULL,
    forgotten INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (user_id, room_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX members_room ON members (room_id, membership);
  CREATE TABLE transactions (
    user_id TEXT NOT NULL, device_id TEXT NOT NULL, path TEXT NOT NULL, response TEXT NOT NULL,
    ts INTEGER NOT NULL, PRIMARY KEY (user_id, device_id, path)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX transactions_ts ON transactions (ts);

  CREATE TABLE filters (
    user_id TEXT NOT NULL, filter_id INTEGER NOT NULL, definition TEXT NOT NULL,
    PRIMARY KEY (user_id, filter_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE account_data (
    user_id TEXT NOT NULL, room_id TEXT NOT NULL, type TEXT NOT NULL, content TEXT NOT NULL,
    so INTEGER NOT NULL, PRIMARY KEY (user_id, room_id, type)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX account_data_so ON account_data (user_id, so);
  CREATE TABLE receipts (
    room_id TEXT NOT NULL, user_id TEXT NOT NULL, type TEXT NOT NULL, thread TEXT NOT NULL,
    event_id TEXT NOT NULL, event_so INTEGER NOT NULL, ts INTEGER NOT NULL, so INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id, type, thread)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX receipts_so ON receipts (room_id, so);
  CREATE TABLE to_device (
    so INTEGER PRIMARY KEY, user_id TEXT NOT NULL, device_id TEXT NOT NULL, type TEXT NOT NULL,
    sender TEXT NOT NULL, content TEXT NOT NULL
  ) STRICT;
  CREATE INDEX to_device_inbox ON to_device (user_id, device_id, so);
  CREATE TABLE media (
    media_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, content_type TEXT NOT NULL, filename TEXT,
    size INTEGER NOT NULL, created_ts INTEGER NOT NULL
  ) STRICT;
  `,
];

/** @throws {BureauError} `newer-database` when a later release wrote it */
export function migrate(db: DatabaseSync): void {
  const version = Number(
    (db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version,
  );
  if (version > MIGRATIONS.length) {
    throw new BureauError(
      "newer-database",
      `Cannot open the homeserver's database: its schema ${version} is newer than ${MIGRATIONS.length}`,
      { hint: "start the release that wrote it, or one after" },
    );
  }
  for (let next = version; next < MIGRATIONS.length; next++) {
    db.exec(`BEGIN IMMEDIATE; ${MIGRATIONS[next]}; PRAGMA user_version = ${next + 1}; COMMIT`);
  }
}
