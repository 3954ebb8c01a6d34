// SPDX-License-Identifier: Apache-2.0

/** Every agent that may be seen, the one that needs a person first. */
import { type Agent, api, type Ask } from "./api.ts";
import { el, type View } from "./dom.ts";
import { ago, bytes, shortName, stateOf } from "./names.ts";

const EVERY_MS = 2_000;
/** What a sandbox takes is asked of the launcher, one agent at a time. */
const USAGE_MS = 1_500;

interface Load {
  readonly memory: string | null;
  /** Percent of one processor; null until there are two readings. */
  readonly cpu: number | null;
  readonly at: number;
  readonly cpuMs: number | null;
}

export interface AgentList extends View {
  select(principal: string | null): void;
  asks(pending: readonly Ask[]): void;
}

export function agentList(onAgents: (agents: readonly Agent[]) => void): AgentList {
  const cards = el("ul", { class: "cards" });
  const note = el("p", { class: "dim" }, "Looking…");
  const element = el("section", { label: "Agents" }, note, cards);
  const loads = new Map<string, Load>();
  const drawn = new Map<string, HTMLElement>();
  let agents: readonly Agent[] = [];
  let asking: ReadonlySet<string> = new Set();
  let selected: string | null = null;
  let closed = false;
  let next = 0;

  function draw(): void {
    const sorted = [...agents].sort((a, b) => {
      const rank = (one: Agent) => stateOf(one, asking.has(one.principal)).rank;
      const waits = rank(a) < 4 ? (a.attention?.since ?? 0) - (b.attention?.since ?? 0) : 0;
      return rank(a) - rank(b) || waits || (a.principal < b.principal ? -1 : 1);
    });
    note.textContent = agents.length === 0
      ? "No agents on this machine, or none for you to see."
      : "";
    note.classList.toggle("hidden", agents.length > 0);
    for (const [name, item] of drawn) {
      if (agents.some(({ principal }) => principal === name)) continue;
      item.remove();
      drawn.delete(name);
    }
    sorted.forEach((agent, at) => {
      let item = drawn.get(agent.principal);
      if (item === undefined) {
        item = el("li");
        item.append(
          el("a", { class: "card", href: `#/watch/${encodeURIComponent(agent.principal)}` }),
        );
        drawn.set(agent.principal, item);
      }
      fill(item.firstElementChild as HTMLElement, agent);
      // Only what moved is moved: the focus stays where it is.
      if (cards.children[at] !== item) cards.insertBefore(item, cards.children[at] ?? null);
    });
  }

  function fill(card: HTMLElement, agent: Agent): void {
    const state = stateOf(agent, asking.has(agent.principal));
    const load = loads.get(agent.principal);
    const since = agent.attention === undefined ? "" : ` ${ago(agent.attention.since)}`;
    if (agent.principal === selected) card.setAttribute("aria-current", "page");
    else card.removeAttribute("aria-current");
    const facts = [
      load?.cpu === null || load === undefined ? null : `${load.cpu} % cpu`,
      load?.memory ?? null,
      agent.watchers === 0 ? null : `${agent.watchers} watching`,
      agent.isolation === "none" ? "no sandbox" : null,
    ].filter((fact) => fact !== null);
    const last = agent.last_line ?? agent.attention?.message ?? agent.message ?? "";
    card.replaceChildren(
      el(
        "div",
        { class: "row" },
        el("span", { class: "name grow", title: agent.principal }, shortName(agent.principal)),
        el("span", { class: `badge ${state.tone}` }, `${state.text}${since}`),
      ),
      ...(last === "" ? [] : [el("div", { class: "last" }, last)]),
      el("div", { class: "facts" }, ...facts.map((fact) => el("span", {}, fact))),
    );
  }

  async function look(): Promise<void> {
    if (document.hidden && agents.length > 0) return;
    try {
      agents = await api.agents();
      onAgents(agents);
      draw();
    } catch (thrown) {
      note.classList.remove("hidden");
      note.textContent = `Bureau does not answer: ${
        thrown instanceof Error ? thrown.message : thrown
      }`;
    }
  }

  /** One at a time, in turn. */
  async function measure(): Promise<void> {
    const running = agents.filter(({ phase }) => phase === "running");
    if (document.hidden || running.length === 0) return;
    const { principal } = running[next++ % running.length]!;
    const usage = await api.usage(principal).catch(() => null);
    if (usage === null) return;
    const before = loads.get(principal);
    const at = performance.now();
    const cpu = before?.cpuMs === null || before === undefined || usage.cpu_ms === null
      ? null
      : Math.max(0, Math.round((usage.cpu_ms - before.cpuMs) / (at - before.at) * 100));
    loads.set(principal, { memory: bytes(usage.memory_bytes), cpu, at, cpuMs: usage.cpu_ms });
    draw();
  }

  const repeat = (act: () => Promise<void>, ms: number) => {
    const again = async () => {
      await act();
      if (!closed) setTimeout(again, ms);
    };
    void again();
  };
  repeat(look, EVERY_MS);
  repeat(measure, USAGE_MS);

  return {
    element,
    select: (principal) => {
      selected = principal;
      draw();
    },
    asks: (pending) => {
      asking = new Set(pending.map(({ principal }) => principal));
      draw();
    },
    close: () => void (closed = true),
  };
}
