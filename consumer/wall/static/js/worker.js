/** Receives, decodes and draws all tiles of a page, away from the page's own work. */

import { Link } from "./link.js";
import { parseMessage } from "./message.js";
import { WorkerTile } from "./tile.js";
import { WebCodecsDecoder } from "./webcodecs.js";

const TICK_MS = 250;
const TICKS_PER_STATS = 4;
const TICKS_PER_REPORT = 8;
const DEFAULT_MAX_AGE_MS = 500; // until the gateway says

/** Tiles draw one after the other, each in a task of its own: what arrives meanwhile is handled in between. */
class DrawQueue {
  #waiting = new Set();
  #channel = new MessageChannel();

  constructor() {
    this.#channel.port1.onmessage = () => this.#next();
  }

  request(tile) {
    if (this.#waiting.has(tile)) return;
    this.#waiting.add(tile);
    this.#channel.port2.postMessage(null);
  }

  forget(tile) {
    this.#waiting.delete(tile);
  }

  #next() {
    const [tile] = this.#waiting;
    if (tile === undefined) return;
    this.#waiting.delete(tile);
    tile.draw();
  }
}

class Receiver {
  #tiles = new Map(); // number -> tile
  #drawQueue = new DrawQueue();
  #link = null;
  #options = { maxAgeMs: DEFAULT_MAX_AGE_MS, results: null };
  #wanted = {}; // the page's options
  #gatewayMaxAgeMs = DEFAULT_MAX_AGE_MS;
  #listing = new Map();
  #pageHidden = false;
  #ticks = 0;

  /** A message of the page. */
  handle(message) {
    const handler = {
      open: () => this.#open(message),
      configure: () => this.#configure(message.options),
      visibility: () => this.#setVisibility(message.hidden),
      show: () => this.#show(message),
      set: () => this.#change(message),
      remove: () => this.#remove(message.tile),
      snapshot: () => this.#snapshot(message),
      video: () => this.#tiles.get(message.tile)?.video(message),
    }[message.type];
    handler?.();
  }

  #open({ url, options }) {
    this.#configure(options);
    this.#link = new Link(url, {
      onOpen: () => this.#opened(),
      onClose: (reason) => this.#closed(reason),
      onMessage: (message) => this.#received(message),
      onFrame: (buffer) => this.#frame(buffer),
    });
    this.#link.connect();
    setInterval(() => this.#tick(), TICK_MS);
  }

  #opened() {
    self.postMessage({ type: "connection", connected: true, attempts: 0, reason: null });
    this.#update();
  }

  #closed(reason) {
    for (const tile of this.#tiles.values()) tile.disconnected();
    self.postMessage({ type: "connection", connected: false, attempts: this.#link.attempts, reason });
  }

  #received(message) {
    const tile = [...this.#tiles.values()].find((each) => each.stream === message.stream);
    if (message.type === "hello") {
      this.#gatewayMaxAgeMs = message.max_age_ms ?? DEFAULT_MAX_AGE_MS;
      this.#configure(this.#wanted);
    } else if (message.type === "streams") this.#listed(message.streams);
    else if (message.type === "subscribed") tile?.subscribed(message);
    else if (message.type === "refused") {
      tile?.refused();
      self.postMessage({ type: "refused", stream: message.stream, reason: message.reason });
    } else if (message.type === "results") {
      tile?.found(message.results);
      if (message.reason) self.postMessage({ type: "results", stream: message.stream, reason: message.reason });
    } else if (message.type === "state") {
      self.postMessage({ type: "state", stream: message.stream, reason: message.reason });
    }
  }

  #frame(buffer) {
    const frame = parseMessage(buffer);
    if (frame === null) return;
    for (const tile of this.#tiles.values()) {
      if (tile.id === frame.id) tile.received(frame, buffer.byteLength);
    }
  }

  #listed(streams) {
    this.#listing = new Map(streams.map((entry) => [entry.stream, entry]));
    for (const tile of this.#tiles.values()) tile.listed(this.#listing.get(tile.stream) ?? null);
    self.postMessage({ type: "streams", streams });
    this.#update();
  }

  /** The page may be stricter than the gateway, which drops what is older than its own limit. */
  #configure(wanted) {
    this.#wanted = wanted;
    const maxAgeMs = Math.min(wanted.maxAgeMs ?? Infinity, this.#gatewayMaxAgeMs);
    const options = { ...wanted, maxAgeMs };
    if (JSON.stringify(options) === JSON.stringify(this.#options)) return;
    this.#options = options;
    for (const tile of this.#tiles.values()) tile.set({ options, ways: this.#ways() });
    this.#update();
  }

  #setVisibility(hidden) {
    this.#pageHidden = hidden;
    if (!hidden) this.#link?.connect();
    this.#update();
  }

  #show({ tile: number, stream, canvas }) {
    const post = (message, transferred = []) => self.postMessage({ ...message, tile: number }, transferred);
    const around = { link: this.#link, drawQueue: this.#drawQueue, post };
    const tile = new WorkerTile({ stream, canvas, ways: this.#ways(), options: this.#options }, around);
    this.#tiles.set(number, tile);
    tile.listed(this.#listing.get(stream) ?? null);
    tile.update(this.#pageHidden);
  }

  #change({ tile: number, change }) {
    const tile = this.#tiles.get(number);
    tile?.set(change);
    tile?.update(this.#pageHidden);
    if ("paused" in change || "hidden" in change) tile?.tellStats();
  }

  #remove(number) {
    const tile = this.#tiles.get(number);
    if (tile === undefined) return;
    this.#tiles.delete(number);
    this.#drawQueue.forget(tile);
    tile.close();
  }

  async #snapshot({ tile, request }) {
    let result = null;
    try {
      result = (await this.#tiles.get(tile)?.snapshot()) ?? null;
    } finally {
      self.postMessage({ type: "snapshot", request, result });
    }
  }

  #ways() {
    const { via, mse } = this.#options;
    const possible = { webcodecs: WebCodecsDecoder.supported, mse, mjpeg: true };
    return possible[via] ? [via] : Object.keys(possible).filter((way) => possible[way]);
  }

  #update() {
    for (const tile of this.#tiles.values()) tile.update(this.#pageHidden);
  }

  #tick() {
    this.#ticks += 1;
    for (const tile of this.#tiles.values()) {
      tile.tick();
      if (this.#ticks % TICKS_PER_STATS === 0) tile.tellStats();
      if (this.#ticks % TICKS_PER_REPORT === 0) tile.report();
    }
  }
}

const receiver = new Receiver();
self.onmessage = (event) => receiver.handle(event.data);
self.postMessage({ type: "started" });
