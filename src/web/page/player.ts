// SPDX-License-Identifier: Apache-2.0

/** A recording, played: at any speed, from any moment, with or without its pauses. */
import { api, ApiError } from "./api.ts";
import { type Cast, parseCast, Reel } from "./cast.ts";
import { button, el, type View } from "./dom.ts";
import { clockTime, shortName } from "./names.ts";
import { showTerminal } from "./terminal.ts";

const SPEEDS = [0.5, 1, 2, 4, 8, 16];
/** A longer pause is left out, up to the last of it. */
const PAUSE_MS = 1_500;
const LEAD_MS = 300;
const STEP_MS = 5_000;

export function playerView(principal: string, id: string): View {
  const place = el("div", { class: "screen" });
  const notice = el("div", { class: "notice", role: "status" }, "Loading…");
  const play = button("Play", () => toggle(), "primary");
  const slider = el("input", { type: "range", label: "Position" });
  const time = el("span", { class: "time" }, "0:00");
  const speed = el("select", { label: "Speed" });
  for (const value of SPEEDS) {
    const option = el("option", {}, `${value}×`);
    option.value = String(value);
    option.selected = value === 1;
    speed.append(option);
  }
  const pauses = button("Skip pauses", () => {
    const on = pauses.getAttribute("aria-pressed") !== "true";
    pauses.setAttribute("aria-pressed", String(on));
  });
  pauses.setAttribute("aria-pressed", "true");
  const back = `#/recordings/${encodeURIComponent(principal)}`;
  const element = el(
    "main",
    { class: "detail" },
    el(
      "div",
      { class: "bar" },
      el("a", { class: "note", href: back }, "‹ Recordings"),
      el("h1", { class: "title grow" }, shortName(principal)),
      pauses,
      speed,
    ),
    notice,
    place,
    el("div", { class: "bar seek" }, play, slider, time),
  );
  slider.step = "any";
  slider.value = "0";
  document.body.append(element);
  const shown = showTerminal(place);
  element.remove();
  shown.terminal.options.disableStdin = true;

  let cast: Cast | null = null;
  let reel: Reel | null = null;
  let playing = false;
  let closed = false;
  let before = 0;
  /** What is to be drawn, in order. */
  let drawing: Promise<void> = Promise.resolve();

  const drawTo = (position: number) => {
    if (reel === null) return;
    const steps = reel.moveTo(position);
    drawing = drawing.then(async () => {
      for (const step of steps) {
        if (closed) return;
        if (step.kind === "draw") await shown.write(step.text);
        else {
          if (step.kind === "reset") shown.terminal.reset();
          shown.terminal.resize(step.cols, step.rows);
          place.dataset["cols"] = String(step.cols);
          shown.letterbox();
        }
      }
    });
    slider.value = String(reel.position);
    time.textContent = `${clockTime(reel.position / 1000)} / ${clockTime(cast!.length / 1000)}`;
    slider.setAttribute("aria-valuetext", time.textContent);
  };
  const frame = (now: number) => {
    if (!playing || closed || reel === null) return;
    const { pause, position } = reel;
    const skip = pauses.getAttribute("aria-pressed") === "true" && pause !== null &&
      pause > PAUSE_MS;
    drawTo(skip ? position + pause - LEAD_MS : position + (now - before) * Number(speed.value));
    before = now;
    if (reel.isOver) set(false);
    else requestAnimationFrame(frame);
  };
  function set(on: boolean): void {
    playing = on;
    play.textContent = on ? "Pause" : "Play";
    if (!on) return;
    before = performance.now();
    requestAnimationFrame(frame);
  }
  function toggle(): void {
    if (reel === null) return;
    if (!playing && reel.isOver) drawTo(0);
    set(!playing);
  }
  slider.addEventListener("input", () => drawTo(Number(slider.value)));
  const onKey = (event: KeyboardEvent) => {
    // What has the focus has its own keys.
    if (event.target instanceof HTMLButtonElement || event.target instanceof HTMLSelectElement) {
      return;
    }
    const step = { ArrowLeft: -STEP_MS, ArrowRight: STEP_MS }[event.key];
    if (event.key === " ") toggle();
    else if (step !== undefined && event.target !== slider) drawTo((reel?.position ?? 0) + step);
    else return;
    event.preventDefault();
  };
  addEventListener("keydown", onKey);
  const resized = new ResizeObserver(() => shown.letterbox());
  resized.observe(place);

  void (async () => {
    try {
      cast = parseCast(await api.recording(principal, id));
      if (closed) return;
      if (cast === null) throw new ApiError(422, "it is no recording");
      reel = new Reel(cast);
      slider.max = String(cast.length);
      notice.classList.add("hidden");
      drawTo(0);
      set(true);
    } catch (thrown) {
      notice.textContent = `It can't be played: ${
        thrown instanceof Error ? thrown.message : thrown
      }`;
    }
  })();

  return {
    element,
    close: () => {
      closed = true;
      removeEventListener("keydown", onKey);
      resized.disconnect();
      shown.close();
    },
  };
}
