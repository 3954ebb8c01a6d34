// SPDX-License-Identifier: Apache-2.0

/** The operator's own age key, to which credentials are sealed beside the machine's: so that they outlive it. */
import * as z from "zod/mini";
import { Secret } from "../../lib/secret/mod.ts";
import { generateMachineKey, recipientOf } from "../../lib/sealed/mod.ts";
import { readJson, readText, writeIfDifferent } from "../files.ts";
import type { CommandContext, CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession } from "../session.ts";
import { readSecretInput } from "./input.ts";
import type * as results from "./results.ts";

const Escrow = z.object({ version: z.literal(1), recipient: z.string() });
const BEGIN = "-----BEGIN AGE ENCRYPTED FILE-----";

const pathOf = (context: CommandContext, name: string) => `${context.stateDir}/operator/${name}`;
const publicPath = (context: CommandContext) => pathOf(context, "escrow.json");
const keyPath = (context: CommandContext) => pathOf(context, "escrow-key.txt");

/** `age1…`, or null where there is none. @throws {CliError} `bad-escrow`: not sealing to it would go unseen */
export async function escrowRecipient(context: CommandContext): Promise<string | null> {
  const path = publicPath(context);
  if (await readText(path) === null) return null;
  const parsed = z.safeParse(Escrow, await readJson(path));
  if (parsed.success) return parsed.data.recipient;
  throw new CliError("bad-escrow", `Cannot seal to the escrow key: "${path}" is damaged`, {
    hint: "restore it from a backup, or remove it and run `bureau credential escrow init`",
  });
}

export const init: CommandHandler<typeof results.init> = async (call) => {
  await loadSession(call);
  const known = await escrowRecipient(call);
  const wanted = call.flags["recipient"];
  if (known !== null && (wanted === undefined || wanted === known)) {
    call.print(`there is one already: what is sealed is sealed to ${known} too`);
    return { recipient: known, changed: false };
  }
  if (known !== null) {
    throw new CliError("has-escrow", `Cannot make an escrow key: there is one, ${known}`, {
      hint: `its private half is in "${keyPath(call)}", or where you keep it; ` +
        `to make another, move it and "${publicPath(call)}" away`,
    });
  }
  const recipient = wanted === undefined
    ? await makeKey(call, call.flags["passphrase"] === true)
    : checked(String(wanted));
  await writeIfDifferent(publicPath(call), `${JSON.stringify({ version: 1, recipient })}\n`);
  call.print(`what is sealed from now on is sealed to ${recipient} too`);
  call.print("what was sealed before is not: provision or rotate it, and it is");
  return { recipient, changed: true };
};

function checked(recipient: string): string {
  if (/^age1[02-9ac-hj-np-z]{58}$/.test(recipient)) return recipient;
  throw new CliError("usage", "Cannot use --recipient: it is no age public key (age1…)");
}

async function makeKey(call: CommandContext, isLocked: boolean): Promise<string> {
  const { identity, recipient } = await generateMachineKey();
  const path = keyPath(call);
  if (await readText(path) !== null) {
    throw new CliError("has-escrow", `Cannot make an escrow key: "${path}" is there`, {
      hint: "move it away, or give its public half with --recipient",
    });
  }
  const text = `${identity}\n`;
  await writeIfDifferent(path, isLocked ? await locked(text, await askPassphrase()) : text);
  call.print(`the escrow key is in "${path}": keep a copy where this machine's end can't reach it`);
  return recipient;
}

async function askPassphrase(): Promise<string> {
  const text = (await readSecretInput(undefined, "Passphrase of the escrow key")).trimEnd();
  if (text !== "") return text;
  throw new CliError("usage", "Cannot use the escrow key: the passphrase is empty");
}

/** As `age -p -a` writes it. */
export async function locked(text: string, passphrase: string): Promise<string> {
  const { armor, Encrypter } = await import("age-encryption");
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  return armor.encode(await encrypter.encrypt(text));
}

export const show: CommandHandler<typeof results.show> = async (call) => {
  await loadSession(call);
  const recipient = await escrowRecipient(call);
  if (recipient === null) {
    throw new CliError("no-escrow", "Cannot show the escrow key: there is none", {
      status: 404,
      hint: "`bureau credential escrow init` makes one",
    });
  }
  const text = await readText(keyPath(call));
  const kept = text === null ? "elsewhere" : text.startsWith(BEGIN) ? "locked" : "plain";
  call.print(`sealed to   ${recipient}`);
  call.print(
    `private key ${
      kept === "elsewhere"
        ? "not on this machine"
        : `"${keyPath(call)}"${kept === "locked" ? ", under a passphrase" : ""}`
    }`,
  );
  return { recipient, kept };
};

/** The private half; from stdin the key itself where it isn't here, or its passphrase. Null: there is no escrow. */
export async function escrowIdentity(context: CommandContext): Promise<Secret | null> {
  if (await escrowRecipient(context) === null) return null;
  let text = await readText(keyPath(context)) ??
    await readSecretInput(undefined, "The escrow key (AGE-SECRET-KEY-1…)");
  if (text.startsWith(BEGIN)) text = await unlocked(text, await askPassphrase());
  const identity = Secret.fromText(
    text.split("\n").map((line) => line.trim())
      .find((line) => line.startsWith("AGE-SECRET-KEY-1")) ?? "",
  );
  if (await recipientOf(identity) === await escrowRecipient(context)) return identity;
  throw new CliError(
    "wrong-escrow",
    "Cannot use the escrow key: it is another than the one sealed to",
  );
}

/** @throws {CliError} `wrong-passphrase` */
export async function unlocked(text: string, passphrase: string): Promise<string> {
  const { armor, Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  try {
    return await decrypter.decrypt(armor.decode(text), "text");
  } catch {
    throw new CliError("wrong-passphrase", "Cannot open the escrow key: the passphrase is wrong");
  }
}
