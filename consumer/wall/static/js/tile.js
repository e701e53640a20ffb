/** One stream on one canvas: subscribes, decodes, draws. Runs in the worker. */

import { DROP, Freshness } from "./freshness.js";
import { pageNow } from "./link.js";
import { KIND } from "./message.js";
import { PictureDecoder } from "./pictures.js";
import { Playout } from "./playout.js";
import { RemoteVideo } from "./remote-video.js";
import { ResultStore } from "./results.js";
import { Surface } from "./surface.js";
import { TileStats } from "./tile-stats.js";
import { WebCodecsDecoder } from "./webcodecs.js";

const FORMS = { webcodecs: "frames", mse: "mp4", mjpeg: "jpeg" };
const MOST_FAILURES = 3;
const MOST_HELD = 256;
// Transcoded pictures are made for few sizes, so that pages can share them.
const JPEG_WIDTHS = [320, 640, 960, 1280, 1920];

export class WorkerTile {
  /**
   * @param {{stream, canvas, ways: string[], options: object}} what `ways` are those to try, the best first
   * @param {{link, drawQueue, post}} around
   */
  constructor({ stream, canvas, ways, options }, { link, drawQueue, post }) {
    this.stream = stream;
    this.#surface = new Surface(canvas);
    this.#ways = [...ways];
    this.#options = options;
    this.#link = link;
    this.#drawQueue = drawQueue;
    this.#post = post;
    this.#results = new ResultStore(options.results);
    this.#playout = this.#newPlayout();
  }

  id = null;
  #link;
  #drawQueue;
  #post;
  #surface;
  #ways;
  #options;
  #playout;
  #results;
  #freshness = new Freshness();
  #stats = new TileStats();
  #decoder = null;
  #kind = null;
  #info = {};
  #listed = null;
  #paused = false;
  #hidden = false;
  #asked = null; // what the gateway was asked for, as text
  #refused = false;
  #failures = 0;
  #held = []; // of `sync`: frames that are not yet decoded
  #timer = null;
  #drawTimer = null;
  #box = null;

  /** Start or stop to receive, as things are now. */
  update(pageHidden) {
    this.pageHidden = pageHidden;
    const wants = this.#link.connected && !pageHidden && !this.#hidden && !this.#paused && !this.#refused;
    const message = wants ? this.#subscription() : null;
    const text = message === null ? null : JSON.stringify(message);
    if (text === this.#asked) return;
    if (this.#asked !== null && message === null) this.#link.send({ type: "unsubscribe", stream: this.stream });
    this.#asked = text;
    this.#stop();
    if (message === null) return;
    this.#stats.subscribe();
    this.#link.send(message);
    if (this.#wantsResults) this.#askForResults();
  }

  disconnected() {
    this.#asked = null;
    this.#refused = false;
    this.#stop();
  }

  /** The directory's entry of this stream, or null. */
  listed(entry) {
    const epoch = entry?.epoch ?? null;
    if (epoch !== (this.#listed?.epoch ?? null)) this.#refused = false;
    this.#listed = entry;
  }

  refused() {
    this.#refused = true;
    this.#asked = null;
    this.#stop();
  }

  /** The gateway's answer, or news of codec, size and epoch; one that comes after the end is none. */
  subscribed(info) {
    if (this.#asked === null) return;
    this.#stop();
    this.id = info.id;
    this.#info = info;
  }

  set(change) {
    if ("paused" in change) this.#paused = change.paused;
    if ("hidden" in change) this.#hidden = change.hidden;
    if ("box" in change) {
      this.#box = change.box;
      this.#surface.resize(change.box.width, change.box.height);
    }
    if ("options" in change) this.#configure(change.options);
    if ("ways" in change) {
      this.#ways = [...change.ways];
      this.#failures = 0;
    }
  }

  received(frame, bytes) {
    this.#stats.received(bytes);
    this.#stats.fps = frame.fps;
    if (!this.#prepare(frame)) return;
    if (frame.kind === KIND.mp4Init) {
      this.#decoder.initialize(this.#info.mime, frame.body);
      return;
    }
    this.#held.push(frame);
    this.#feed();
  }

  /** What detectors found in frames of this stream. */
  found(results) {
    const { shown } = this.#surface;
    for (const result of results) {
      if (!this.#results.add(result, pageNow())) continue;
      if (shown !== null && shown.seq === result.seq && shown.epoch === result.epoch) this.#mark();
    }
    // A picture may have waited for them.
    if (this.#playout.waitMs > 0) this.#drawQueue.request(this);
  }

  /** A message of the page's video. */
  video(message) {
    if (this.#decoder?.via === "mse") this.#decoder.received(message);
    else message.image?.close();
  }

  draw() {
    clearTimeout(this.#drawTimer);
    const now = pageNow();
    const gatewayNow = this.#link.gatewayNow(now);
    if (gatewayNow === null) return;
    const { uncertaintyMs } = this.#link.clock.describe(now);
    const complete = (each) => this.#results.complete(each, now);
    const { picture, skipped, late, waitMs } = this.#playout.take(gatewayNow, uncertaintyMs, complete);
    this.#drop(DROP.skipped, skipped);
    this.#drop(DROP.late, late);
    if (picture !== null) this.#paint(picture, now, gatewayNow);
    if (waitMs !== null) this.#drawTimer = setTimeout(() => this.draw(), waitMs);
  }

  /** A few times a second: does the picture stand still? */
  tick() {
    const change = this.#stats.change(pageNow());
    if (change !== null) this.#tell(change);
  }

  report() {
    if (this.id === null) return;
    const via = this.#decoder?.via ?? "";
    this.#link.send({ type: "report", stream: this.stream, via, ...this.#stats.report() });
  }

  tellStats() {
    this.#tell("stats", this.#stats.take(pageNow()));
  }

  snapshot() {
    return this.#surface.snapshot();
  }

  close() {
    if (this.#asked !== null) this.#link.send({ type: "unsubscribe", stream: this.stream });
    this.#stop();
    this.#surface.close();
  }

  #subscription() {
    const codec = this.#listed?.codec ?? "h264";
    // Only H.264 needs a choice: all else is pictures.
    const as = codec === "h264" ? FORMS[this.#ways[0]] : "frames";
    const message = { type: "subscribe", stream: this.stream, as };
    const width = JPEG_WIDTHS.find((each) => each >= (this.#box?.width ?? Infinity));
    if (as === "jpeg" && width !== undefined) message.max = [width, width];
    return message;
  }

  /** The decoder for this kind of frames. False if there is none. */
  #prepare(frame) {
    const kind = frame.kind === KIND.mp4Init ? KIND.mp4Fragment : frame.kind;
    if (kind === this.#kind) return true;
    const create = {
      [KIND.h264]: (handlers) => new WebCodecsDecoder(handlers),
      [KIND.jpeg]: (handlers) => new PictureDecoder(handlers),
      [KIND.mp4Fragment]: (handlers) => new RemoteVideo(this.#post, handlers),
    }[kind];
    if (create === undefined) return false;
    this.#decoder?.close();
    this.#kind = kind;
    this.#freshness = new Freshness({ intraOnly: kind === KIND.jpeg, video: kind === KIND.mp4Fragment });
    this.#decoder = create({
      onPicture: (picture) => this.#decoded(picture),
      onFailed: (error) => this.#failed(error),
      onSkipped: () => this.#stats.drop(DROP.skipped),
      onBacklog: () => this.#broken(DROP.backlog),
    });
    return true;
  }

  /** Pass frames to the decoder that are due to be. */
  #feed() {
    clearTimeout(this.#timer);
    while (this.#held.length > 0) {
      const [frame] = this.#held;
      const gatewayNow = this.#link.gatewayNow(pageNow());
      // A video has to play to have pictures: it is not held back.
      const held = frame.kind !== KIND.mp4Fragment && gatewayNow !== null && this.#held.length <= MOST_HELD;
      const waitMs = held ? this.#playout.decodeInMs(frame.gatewayMs, gatewayNow) : 0;
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#feed(), waitMs);
        return;
      }
      this.#held.shift();
      this.#decode(frame);
    }
  }

  #decode(frame) {
    const { decode, reset, reason, requestKey } = this.#freshness.offer(frame, pageNow());
    if (reset) this.#decoder.reset();
    if (requestKey) this.#requestKey();
    if (decode) this.#decoder.decode(frame);
    else this.#stats.drop(reason);
  }

  #decoded(picture) {
    this.#freshness.decoded(picture.seq);
    this.#failures = 0;
    picture.epoch = this.#info.epoch;
    this.#drop(DROP.skipped, this.#playout.put(picture));
    this.#drawQueue.request(this);
  }

  #paint(picture, now, gatewayNow) {
    const changed = this.#surface.draw(picture, this.#results.of(picture));
    this.#stats.drew(picture, gatewayNow - picture.gatewayMs, gatewayNow, pageNow() - now, now);
    if (changed) this.#tell("picture");
    if (this.#stats.change(now) === "live") this.#tell("live");
  }

  #failed(error) {
    if (this.#kind === KIND.jpeg) {
      this.#stats.drop(DROP.decode);
      return;
    }
    this.#failures += 1;
    this.#broken(DROP.decode);
    const hopeless = error.name === "NotSupportedError" || this.#failures >= MOST_FAILURES;
    if (hopeless && this.#ways.length > 1) {
      this.#ways.shift();
      this.#failures = 0;
      this.update(this.pageHidden);
    } else if (this.#kind === KIND.mp4Fragment) {
      // A new video needs the initialization segment again.
      this.#asked = null;
      this.update(this.pageHidden);
    }
  }

  #broken(reason) {
    this.#stats.drop(reason);
    if (this.#freshness.broken(pageNow())) this.#requestKey();
  }

  #requestKey() {
    this.#link.send({ type: "keyframe", stream: this.stream });
  }

  /** Nothing is received any more, or something else. The picture stays. */
  #stop() {
    this.id = null;
    clearTimeout(this.#timer);
    clearTimeout(this.#drawTimer);
    this.#held = [];
    this.#close(this.#playout.reset());
    this.#decoder?.close();
    this.#decoder = null;
    this.#kind = null;
  }

  #newPlayout() {
    const { playout, delayMs, maxAgeMs, waitMs } = this.#options;
    const delayed = playout === "sync" ? delayMs : null;
    return new Playout({ delayMs: delayed, maxAgeMs, waitMs: this.#wantsResults ? waitMs : 0 });
  }

  #configure(options) {
    const other = `${options.results}` !== `${this.#options.results}`;
    this.#options = options;
    this.#close(this.#playout.reset());
    this.#playout = this.#newPlayout();
    if (!other) return;
    this.#results = new ResultStore(options.results);
    this.#mark();
    if (this.#asked !== null) this.#askForResults();
  }

  get #wantsResults() {
    return Boolean(this.#options.results);
  }

  #askForResults() {
    this.#link.send({ type: "results", stream: this.stream, wanted: this.#wantsResults });
  }

  #mark() {
    const { shown } = this.#surface;
    if (shown !== null) this.#surface.mark(this.#results.of(shown));
  }

  #drop(reason, pictures) {
    this.#stats.drop(reason, pictures.length);
    this.#close(pictures);
  }

  #close(pictures) {
    for (const { image } of pictures) image.close();
  }

  #tell(event, { stats = this.#stats.current(), history = [] } = {}) {
    const { codec = this.#listed?.codec ?? null } = this.#info;
    const { clock } = this.#link;
    const all = {
      via: this.#decoder?.via ?? null,
      codec,
      paused: this.#paused,
      hidden: this.#hidden,
      found: this.#surface.results.map(({ name }) => name),
      clock: clock.describe(pageNow()),
      ...stats,
    };
    this.#post({ type: "tile", event, stats: all, history });
  }
}
