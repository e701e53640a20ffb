/** The page's side of the wall: connects, and shows streams on canvases. All the work is the worker's. */

import { MseVideo } from "./mse.js";
import { WebCodecsDecoder } from "./webcodecs.js";

const HISTORY = 600;

/** One stream on one canvas. Events: "picture", "stats", "still", "live". */
class Tile extends EventTarget {
  constructor(engine, number, stream, canvas) {
    super();
    this.stream = stream;
    this.canvas = canvas;
    this.#engine = engine;
    this.#number = number;
    this.#observer = new ResizeObserver(([entry]) => this.#resized(entry));
    this.#observer.observe(canvas);
  }

  #engine;
  #number;
  #observer;
  #video = null;
  #stats = { via: null, codec: null, shown: 0, dropped: {}, live: false, ageMs: null, stillSinceMs: null };
  #history = [];

  get stats() {
    return { ...this.#stats, history: this.#history };
  }

  pause() {
    this.#set({ paused: true });
  }

  resume() {
    this.#set({ paused: false });
  }

  hide() {
    this.#set({ hidden: true });
  }

  unhide() {
    this.#set({ hidden: false });
  }

  /**
   * Resolves to {blob, seq, captureUs, results} of exactly the picture that is shown, with what is drawn on it:
   * the results of these detectors; null before the first one.
   */
  snapshot() {
    return this.#engine.request({ type: "snapshot", tile: this.#number });
  }

  remove() {
    this.#observer.disconnect();
    this.#closeVideo();
    this.#engine.forget(this.#number);
  }

  /** A message of the worker. */
  handle(message) {
    if (message.type === "video") {
      this.#videoAction(message);
      return;
    }
    const { event, stats, history } = message;
    this.#stats = { ...this.#stats, ...stats };
    for (let at = 0; at < history.length; at += 4) {
      const [seq, captureUs, ageMs, shownMs] = history.slice(at, at + 4);
      this.#history.push({ seq, captureUs, ageMs, shownMs });
    }
    if (this.#history.length > HISTORY) this.#history.splice(0, this.#history.length - HISTORY);
    const detail = event === "still" ? { sinceMs: stats.stillSinceMs } : this.stats;
    this.dispatchEvent(new CustomEvent(event, { detail }));
  }

  #set(change) {
    this.#stats = { ...this.#stats, ...change };
    this.#engine.post({ type: "set", tile: this.#number, change });
  }

  #resized(entry) {
    const { width, height } = entry.contentRect;
    const ratio = globalThis.devicePixelRatio || 1;
    if (width < 1 || height < 1) return; // not laid out
    const box = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
    this.#engine.post({ type: "set", tile: this.#number, change: { box } });
  }

  #videoAction({ action, mime, data, frame }) {
    if (action === "close") this.#closeVideo();
    else if (action === "init") this.#openVideo(mime, data);
    else if (action === "reset") this.#video?.reset();
    else this.#video?.append(data, frame);
  }

  #openVideo(mime, data) {
    if (this.#video?.mime !== mime) {
      this.#closeVideo();
      const send = (event, details = {}, transferred = []) =>
        this.#engine.post({ type: "video", tile: this.#number, event, ...details }, transferred);
      this.#video = new MseVideo(mime, {
        onPicture: (image, frame) => send("picture", { image, frame }, [image]),
        onBacklog: () => send("backlog"),
        onFailed: (error) => send("failed", { reason: error.message }),
      });
    }
    this.#video.append(data, null);
  }

  #closeVideo() {
    this.#video?.close();
    this.#video = null;
  }
}

/**
 * Events: "streams", "connection", "refused", "state" (why nothing comes of a stream, or nothing if it does),
 * "results" (why there are none).
 */
export class Engine extends EventTarget {
  /**
   * @param {object} settings
   * @param {string} settings.url of the WebSocket
   * @param {?number} settings.maxAgeMs older pictures are not drawn; null for what the gateway says
   * @param {"latest"|"sync"} settings.playout with `delayMs`, of `sync`
   * @param {?string[]} settings.results names of detectors whose results are drawn, or "*" for all; null for none
   * @param {number} settings.waitMs of `latest`: up to which age a picture waits for them
   * @param {?string} settings.via "webcodecs", "mse" or "mjpeg"; the best that works if this one does not, or null
   */
  constructor({ url, maxAgeMs = null, playout = "latest", delayMs = 150, via = null, results = null, waitMs = 0 }) {
    super();
    this.#url = url;
    this.#options = { maxAgeMs, playout, delayMs, via, results, waitMs, mse: MseVideo.supported };
  }

  /** Whether this browser has this way, at this address: WebCodecs exists over HTTPS and on localhost only. */
  static supports(via) {
    return { webcodecs: WebCodecsDecoder.supported, mse: MseVideo.supported, mjpeg: true }[via] ?? false;
  }

  connected = false;
  /** Whether the worker was loaded: see guard.js. */
  started = false;
  #url;
  #options;
  #worker = null;
  #tiles = new Map();
  #requests = new Map();
  #numbers = 0;

  connect() {
    if (this.#worker !== null) return;
    this.#worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = (event) => this.#handle(event.data);
    this.post({ type: "open", url: this.#url, options: this.#options });
    const onVisibility = () => this.post({ type: "visibility", hidden: document.hidden });
    onVisibility();
    document.addEventListener("visibilitychange", onVisibility);
  }

  /** Change `playout`, `delayMs`, `via`, `maxAgeMs`, `results` or `waitMs`. */
  configure(change) {
    this.#options = { ...this.#options, ...change };
    this.post({ type: "configure", options: this.#options });
  }

  /**
   * @param {string} stream
   * @param {HTMLCanvasElement} canvas a new one, with a size by CSS
   */
  show(stream, canvas) {
    if (this.#worker === null) this.connect();
    const number = this.#numbers++;
    const tile = new Tile(this, number, stream, canvas);
    this.#tiles.set(number, tile);
    const offscreen = canvas.transferControlToOffscreen();
    this.post({ type: "show", tile: number, stream, canvas: offscreen }, [offscreen]);
    return tile;
  }

  post(message, transferred = []) {
    this.#worker?.postMessage(message, transferred);
  }

  request(message) {
    const request = this.#numbers++;
    return new Promise((resolve) => {
      this.#requests.set(request, resolve);
      this.post({ ...message, request });
    });
  }

  forget(number) {
    if (this.#tiles.delete(number)) this.post({ type: "remove", tile: number });
  }

  #handle(message) {
    this.started = true;
    if (message.type === "tile" || message.type === "video") {
      this.#tiles.get(message.tile)?.handle(message);
    } else if (message.type === "snapshot") {
      this.#requests.get(message.request)?.(message.result);
      this.#requests.delete(message.request);
    } else if (message.type === "connection") {
      this.connected = message.connected;
      this.#emit("connection", { connected: message.connected, attempts: message.attempts, reason: message.reason });
    } else if (message.type === "streams") {
      this.#emit("streams", message.streams);
    } else if (["refused", "state", "results"].includes(message.type)) {
      this.#emit(message.type, { stream: message.stream, reason: message.reason });
    }
  }

  #emit(event, detail) {
    this.dispatchEvent(new CustomEvent(event, { detail }));
  }
}
