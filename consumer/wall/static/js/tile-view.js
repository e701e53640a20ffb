// One stream on the wall: picture, name, age, buttons, details. What the engine knows is read from its tile.

import { element, iconButton, setIcon, setText } from "./dom.js";
import { dropped, duration, rate, snapshotName, timeOfDay } from "./format.js";

const DETAILS = {
  Via: (stats) => stats.via,
  Codec: (stats) => stats.codec,
  Size: (stats) => (stats.width ? `${stats.width} × ${stats.height}` : null),
  "Frames/s": (stats) => (stats.fps ? Math.round(stats.fps * 10) / 10 : null),
  Age: (stats) => duration(stats.ageMs),
  "Age p50": (stats) => duration(stats.ageP50Ms),
  Shown: (stats) => stats.shown,
  Dropped: (stats) => dropped(stats.dropped),
  Results: (stats) => stats.found?.join(", ") || null,
  Rate: (stats) => rate(stats.bytesPerS),
  Seq: (stats) => stats.seq,
};

const RETURN_MS = 1000; // what was out of sight or paused is not called still before

/** Events: `aspect` (another shape of picture), `open` (its picture was chosen), `notice` (detail: a line). */
export class TileView extends EventTarget {
  #engine;
  #tile = null; // the engine's, from when the stream is first live and in sight
  #visible = false;
  #receivingSinceMs = 0;
  #announcement = null;
  #goneSinceMs = null;
  #refusal = "";
  #reason = "";
  #parts;

  constructor(stream, engine) {
    super();
    this.stream = stream;
    this.paused = false;
    this.#engine = engine;
    this.#parts = this.#build();
    this.element = this.#parts.root;
  }

  get aspect() {
    const { width, height } = this.#tile?.stats.width ? this.#tile.stats : (this.#announcement ?? {});
    return width > 0 && height > 0 ? width / height : 16 / 9;
  }

  get handle() {
    return this.#tile;
  }

  get goneSinceMs() {
    return this.#goneSinceMs;
  }

  /** The announcement of the stream, or null while it is not live. */
  setAnnouncement(announcement, nowMs) {
    const before = this.aspect;
    if (announcement) this.#goneSinceMs = null;
    else if (this.#announcement) this.#goneSinceMs ??= nowMs;
    this.#announcement = announcement ?? this.#announcement;
    this.#follow();
    if (this.aspect !== before) this.dispatchEvent(new Event("aspect"));
  }

  /** The server does not send it, and says why. */
  refuse(reason) {
    this.#refusal = reason;
    this.render();
  }

  /** Why nothing comes, as far as the server knows; empty while something does. */
  explain(reason) {
    this.#reason = reason;
    this.render();
  }

  /** Out of sight nothing is received. */
  setVisible(visible) {
    if (visible === this.#visible) return;
    this.#visible = visible;
    this.#receivingSinceMs = Date.now();
    if (visible) this.#tile?.unhide();
    else this.#tile?.hide();
    this.#follow();
  }

  setAlone(alone) {
    this.element.classList.toggle("alone", alone);
    setText(this.#parts.open, "aria-label", alone ? "Back to all streams" : `Show ${this.stream} alone`);
  }

  togglePause() {
    if (!this.#tile) return;
    this.paused = !this.paused;
    if (this.paused) this.#tile.pause();
    else this.#tile.resume();
    this.#receivingSinceMs = Date.now();
    this.render();
  }

  toggleDetails() {
    const { details, detailsButton } = this.#parts;
    details.hidden = !details.hidden;
    setText(detailsButton, "aria-expanded", `${!details.hidden}`);
    this.render();
  }

  /** Save exactly the picture that is shown. */
  async snapshot() {
    try {
      const taken = await this.#tile?.snapshot();
      if (!taken) throw new Error("there is no picture yet");
      const { blob, captureUs } = taken;
      const link = element("a");
      link.href = URL.createObjectURL(blob);
      link.download = snapshotName(this.stream, captureUs);
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      this.#say(`Saved ${link.download}`);
    } catch (error) {
      this.#say(`No snapshot of ${this.stream}: ${error.message}`);
    }
  }

  focus() {
    this.#parts.open.focus();
  }

  remove() {
    this.#tile?.remove();
    this.element.remove();
  }

  render() {
    const { root, age, note, pauseButton, snapshotButton, details, values } = this.#parts;
    const stats = this.#tile?.stats ?? {};
    const [state, ageText, noteText] = this.#state(stats);
    setText(root, "data-state", state);
    setText(age, null, ageText);
    setText(note, null, noteText);
    setIcon(pauseButton, this.paused ? "play" : "pause", this.paused ? "Back to live" : "Pause");
    pauseButton.disabled = snapshotButton.disabled = !stats.shown;
    if (details.hidden) return;
    for (const [name, value] of Object.entries(DETAILS)) setText(values[name], null, `${value(stats) ?? "–"}`);
  }

  /** What to say: state, beside the name, over the picture. */
  #state(stats) {
    if (this.#goneSinceMs !== null) return ["gone", "", `Not live since ${timeOfDay(this.#goneSinceMs)}`];
    if (!this.#announcement) return ["waiting", "", "Not live yet"];
    if (!stats.shown) return ["waiting", "", this.#refusal || this.#reason || "Waiting for a picture"];
    if (this.paused) return ["paused", `paused, ${timeOfDay(Number(stats.captureUs) / 1000)}`, ""];
    const returning = !this.#visible || Date.now() - this.#receivingSinceMs < RETURN_MS;
    if (stats.stillSinceMs && !returning) {
      const since = `No new picture since ${timeOfDay(stats.stillSinceMs)}`;
      return ["still", "", this.#refusal || [since, this.#reason].filter(Boolean).join(": ")];
    }
    return ["live", stats.stillSinceMs ? "" : duration(stats.ageMs), ""];
  }

  /** The engine's tile: made when it is first needed, since a stream that nobody sees is not received. */
  #follow() {
    if (!this.#tile && this.#announcement && this.#visible) {
      this.#tile = this.#engine.show(this.stream, this.#parts.canvas);
      for (const type of ["picture", "live", "still", "stats"]) {
        this.#tile.addEventListener(type, () => this.#told(type));
      }
    }
    this.render();
  }

  #told(type) {
    if (type === "picture" || type === "live") this.#refusal = "";
    if (type === "picture") this.dispatchEvent(new Event("aspect"));
    this.render();
  }

  #say(text) {
    this.dispatchEvent(new CustomEvent("notice", { detail: text }));
  }

  #build() {
    const root = element("li", "tile");
    const canvas = element("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Live picture of ${this.stream}`);

    const open = element("button", "open");
    open.type = "button";
    open.addEventListener("click", () => this.dispatchEvent(new Event("open")));

    const caption = element("p", "caption");
    const dot = element("span", "dot");
    const age = element("span", "age");
    caption.append(dot, element("span", "name", this.stream), age);
    const note = element("p", "note");

    const values = {};
    const details = element("dl", "details");
    details.hidden = true;
    for (const name of Object.keys(DETAILS)) {
      const row = element("div");
      values[name] = element("dd");
      row.append(element("dt", "", name), values[name]);
      details.append(row);
    }

    const actions = element("div", "actions");
    const pauseButton = iconButton("pause", "Pause", () => this.togglePause());
    const snapshotButton = iconButton("snapshot", "Save this picture", () => this.snapshot());
    const detailsButton = iconButton("details", "Details", () => this.toggleDetails());
    detailsButton.setAttribute("aria-expanded", "false");
    actions.setAttribute("role", "group");
    actions.setAttribute("aria-label", this.stream);
    actions.append(pauseButton, snapshotButton, detailsButton);

    root.append(canvas, open, caption, note, details, actions);
    return { root, canvas, open, age, note, details, values, pauseButton, snapshotButton, detailsButton };
  }
}
