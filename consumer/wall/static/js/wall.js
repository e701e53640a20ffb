// All tiles: which there are, where they are, which of them can be seen.

import { byId } from "./dom.js";
import { arrange, neighbour } from "./grid.js";
import { selected } from "./location.js";
import { TileView } from "./tile-view.js";

const GAP_PX = 6;
const KEEP_GONE_MS = 60_000;

/** Events: `open` (detail: a stream, or null for all), `notice` (detail: a line), `change` (other streams than before). */
export class Wall extends EventTarget {
  #engine;
  #grid = byId("grid");
  #tiles = new Map(); // by stream, in the order in which they are shown
  #boxes = [];
  #live = null; // announcements; null until the server has sent them
  #view;
  #observer = new IntersectionObserver((entries) => this.#onSight(entries));
  #pending = 0;

  constructor(engine, view) {
    super();
    this.#engine = engine;
    this.#view = view;
    engine.addEventListener("streams", ({ detail }) => this.#onStreams(detail));
    engine.addEventListener("refused", ({ detail }) => this.#tiles.get(detail.stream)?.refuse(detail.reason));
    engine.addEventListener("state", ({ detail }) => this.#tiles.get(detail.stream)?.explain(detail.reason));
    window.addEventListener("resize", () => this.arrange());
    setInterval(() => this.#tick(), 1000);
    this.#update(); // what the address names is there before it is live
  }

  get streams() {
    return [...this.#tiles.keys()];
  }

  /** The engine's tile of each stream that has been in sight, by its name. */
  get handles() {
    const found = [...this.#tiles].filter(([, tile]) => tile.handle);
    return new Map(found.map(([stream, tile]) => [stream, tile.handle]));
  }

  /** Names of all that is live, or null while that is not known. */
  get live() {
    return this.#live && [...this.#live.keys()];
  }

  /** The tile that keys act upon: the one shown alone, or the one with the focus. */
  get current() {
    return this.#tiles.get(this.#view.one ?? this.#focused) ?? null;
  }

  get #focused() {
    return this.streams.find((stream) => this.#tiles.get(stream).element.contains(document.activeElement));
  }

  setView(view) {
    const marked = this.#view.one ?? this.#focused;
    this.#view = view;
    this.#update();
    if (marked !== undefined) this.#tiles.get(view.one ?? marked)?.focus();
  }

  /** Move the focus, or what is shown alone. */
  step(direction) {
    const { streams } = this;
    const index = streams.indexOf(this.#view.one ?? this.#focused);
    if (!streams.length) return;
    if (this.#view.one === null) {
      this.#tiles.get(streams[index < 0 ? 0 : neighbour(this.#boxes, index, direction)]).focus();
    } else {
      const by = direction === "left" || direction === "up" ? -1 : 1;
      this.#send("open", streams[(index + by + streams.length) % streams.length]);
    }
  }

  #onStreams(announcements) {
    this.#live = new Map(announcements.map((announcement) => [announcement.stream, announcement]));
    this.#update();
  }

  #update() {
    const nowMs = Date.now();
    const kept = this.streams.filter((stream) => this.#keeps(stream, nowMs));
    const wanted = selected(this.#view.streams, [...(this.live ?? []), ...kept]);
    if (this.#view.one !== null && !wanted.includes(this.#view.one)) wanted.push(this.#view.one);
    for (const [stream, tile] of this.#tiles) {
      if (wanted.includes(stream)) continue;
      this.#observer.unobserve(tile.element);
      tile.remove();
      this.#tiles.delete(stream);
    }
    const before = this.#tiles;
    this.#tiles = new Map(wanted.map((stream) => [stream, before.get(stream) ?? this.#create(stream)]));
    for (const [stream, tile] of this.#tiles) {
      tile.setAnnouncement(this.#live?.get(stream) ?? null, nowMs);
      tile.setAlone(stream === this.#view.one);
      tile.element.hidden = this.#view.one !== null && stream !== this.#view.one;
    }
    this.#grid.hidden = !this.#tiles.size;
    document.body.classList.toggle("one", this.#view.one !== null);
    this.#order();
    this.arrange();
    this.#send("change");
  }

  /** Whether a stream that ended keeps its place: for a minute, and while somebody looks at it. */
  #keeps(stream, nowMs) {
    const tile = this.#tiles.get(stream);
    return tile.paused || tile.goneSinceMs === null || nowMs - tile.goneSinceMs < KEEP_GONE_MS;
  }

  #create(stream) {
    const tile = new TileView(stream, this.#engine);
    tile.addEventListener("aspect", () => this.arrange());
    tile.addEventListener("open", () => this.#send("open", stream === this.#view.one ? null : stream));
    tile.addEventListener("notice", ({ detail }) => this.#send("notice", detail));
    return tile;
  }

  /** In the document as in the map; what is in place is not touched, so that the focus stays. */
  #order() {
    let place = this.#grid.firstElementChild;
    for (const tile of this.#tiles.values()) {
      if (tile.element === place) place = place.nextElementSibling;
      else {
        this.#grid.insertBefore(tile.element, place);
        this.#observer.observe(tile.element);
      }
    }
  }

  /** Soon, and once for several changes. */
  arrange() {
    cancelAnimationFrame(this.#pending);
    this.#pending = requestAnimationFrame(() => this.#arrange());
  }

  #arrange() {
    const shown = [...this.#tiles.values()].filter((tile) => !tile.element.hidden);
    const style = getComputedStyle(this.#grid.parentElement);
    const padding = parseFloat(style.paddingTop) + parseFloat(style.paddingBottom);
    const top = this.#grid.parentElement.offsetTop;
    const height = document.documentElement.clientHeight - top - padding;
    const arranged = arrange(shown.map((tile) => tile.aspect), this.#grid.clientWidth, height, GAP_PX);
    this.#boxes = arranged.boxes;
    this.#grid.style.height = `${Math.floor(arranged.height)}px`;
    shown.forEach((tile, index) => {
      const { x, y, width, height: high } = this.#boxes[index];
      Object.assign(tile.element.style, {
        transform: `translate(${Math.round(x)}px, ${Math.round(y)}px)`,
        width: `${Math.round(x + width) - Math.round(x)}px`,
        height: `${Math.round(y + high) - Math.round(y)}px`,
      });
    });
  }

  /** Hidden tabs are the engine's matter. */
  #onSight(entries) {
    const inSight = new Map(entries.map(({ target, isIntersecting }) => [target, isIntersecting]));
    for (const tile of this.#tiles.values()) {
      if (inSight.has(tile.element)) tile.setVisible(inSight.get(tile.element));
    }
  }

  #tick() {
    const nowMs = Date.now();
    if (this.streams.every((stream) => this.#keeps(stream, nowMs))) {
      this.#tiles.forEach((tile) => tile.render());
    } else this.#update();
  }

  #send(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
