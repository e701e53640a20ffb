/** Decodes fragmented MP4 by Media Source Extensions: a hidden <video>, in the page; see `RemoteVideo` too. */

// Behind the newest frame: less, and the video would stop and start again with every frame.
const BEHIND_S = 0.03;
const FAR_BEHIND_S = 0.35;
const MOST_WAITING = 30;
const KEPT_S = 2;
const DECODE_TIME_OFFSET = 60;
const TIMESCALE = 90000;
// Firefox calls back before the frame can be copied: its clock passes the frame's time a little later.
const CALLS_EARLY = "mozPaintedFrames" in HTMLVideoElement.prototype;
const MOST_PAINTS = 10; // while it does not play

export class MseVideo {
  static get supported() {
    return typeof MediaSource !== "undefined" && "requestVideoFrameCallback" in HTMLVideoElement.prototype;
  }

  /** @param {{onPicture, onFailed, onBacklog}} handlers */
  constructor(mime, handlers) {
    this.mime = mime;
    this.#handlers = handlers;
    const video = (this.#video = document.createElement("video"));
    video.muted = true;
    video.playsInline = true;
    video.disableRemotePlayback = true;
    video.setAttribute("aria-hidden", "true");
    video.tabIndex = -1;
    // Browsers do not paint, and then do not call back for, a video that is not in the view.
    Object.assign(video.style, { position: "fixed", inset: "0 auto auto 0", width: "2px", height: "2px" });
    Object.assign(video.style, { opacity: "0.01", pointerEvents: "none", zIndex: "-1" });
    this.#source = new MediaSource();
    this.#source.addEventListener("sourceopen", () => this.#opened(), { once: true });
    video.addEventListener("error", () => this.#failed(video.error?.message || "the video cannot be decoded"));
    this.#url = URL.createObjectURL(this.#source);
    video.src = this.#url;
    document.body.append(video);
    this.#expect();
  }

  #handlers;
  #video;
  #source;
  #url;
  #buffer = null;
  #waiting = []; // {data, frame}: to be appended; frame is null for the initialization segment
  #frames = new Map(); // time in the media, in ticks -> frame
  #newestTicks = 0;
  #keyTicks = null; // of a keyframe after a backlog
  #shownAny = false;
  #shownFrames = 0;
  #skipping = false; // a keyframe was asked for, and is not there yet
  #closed = false;

  append(data, frame) {
    if (this.#closed) return;
    if (frame !== null) {
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
      const ticks = Number(view.getBigUint64(DECODE_TIME_OFFSET));
      this.#frames.set(ticks, frame);
      this.#newestTicks = ticks;
      if (this.#skipping && frame.key) this.#keyTicks = ticks;
      if (this.#frames.size > 600) this.#frames.delete(this.#frames.keys().next().value);
      if (this.#waiting.length >= MOST_WAITING) {
        this.reset();
        this.#handlers.onBacklog();
        return;
      }
    }
    this.#waiting.push({ data, frame });
    this.#pump();
  }

  /** Forget what waits; a keyframe comes next. */
  reset() {
    this.#waiting = this.#waiting.filter((each) => each.frame === null);
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = [];
    this.#frames.clear();
    this.#video.pause();
    this.#video.removeAttribute("src");
    this.#video.load();
    this.#video.remove();
    URL.revokeObjectURL(this.#url);
  }

  #opened() {
    if (this.#closed) return;
    try {
      this.#buffer = this.#source.addSourceBuffer(this.mime);
    } catch (error) {
      this.#failed(error.message);
      return;
    }
    this.#buffer.addEventListener("updateend", () => this.#appended());
    this.#pump();
  }

  #pump() {
    if (this.#buffer === null || this.#buffer.updating || this.#waiting.length === 0) return;
    try {
      this.#buffer.appendBuffer(this.#waiting.shift().data);
    } catch (error) {
      this.#failed(error.message);
    }
  }

  #appended() {
    if (this.#closed) return;
    this.#follow();
    const { buffered } = this.#buffer;
    const oldest = buffered.length > 0 ? buffered.start(0) : 0;
    const unneeded = this.#video.currentTime - KEPT_S;
    if (unneeded > oldest + KEPT_S && !this.#buffer.updating) this.#buffer.remove(oldest, unneeded);
    this.#pump();
  }

  /** Keep the playback position just behind the newest frame. */
  #follow() {
    const video = this.#video;
    const { buffered } = this.#buffer;
    if (buffered.length === 0) return;
    const start = buffered.start(buffered.length - 1);
    const newest = this.#newestTicks / TIMESCALE;
    const behind = newest - video.currentTime;
    if (this.#keyTicks !== null) {
      video.currentTime = this.#keyTicks / TIMESCALE;
      this.#keyTicks = null;
      this.#skipping = false;
    } else if (video.currentTime < start || (behind > FAR_BEHIND_S && !this.#shownAny)) {
      video.currentTime = Math.max(start, newest - BEHIND_S);
    } else if (behind > FAR_BEHIND_S && !this.#skipping) {
      // To seek to the newest frame would take longer still: all since its keyframe would be decoded.
      this.#skipping = true;
      this.#handlers.onBacklog();
    }
    video.playbackRate = behind > BEHIND_S * 2 ? 1.5 : behind > BEHIND_S ? 1.1 : 1;
    if (video.paused) video.play().catch(() => {});
  }

  #expect() {
    if (!this.#closed) this.#video.requestVideoFrameCallback((_, shown) => this.#shown(shown));
  }

  async #shown({ mediaTime }) {
    this.#expect();
    this.#shownAny = true;
    const frame = this.#find(Math.round(mediaTime * TIMESCALE));
    if (frame === null) return;
    const number = (this.#shownFrames += 1);
    for (let paints = 0; CALLS_EARLY && paints < MOST_PAINTS; paints += 1) {
      await new Promise((done) => requestAnimationFrame(done));
      if (number !== this.#shownFrames || this.#closed) return; // the picture would be the next one
      if (this.#video.currentTime > mediaTime) break;
    }
    const image = await createImageBitmap(this.#video);
    if (this.#closed) image.close();
    else this.#handlers.onPicture(image, frame);
  }

  #find(ticks) {
    let found = null;
    for (const [each, frame] of this.#frames) {
      if (each > ticks + 2) break;
      this.#frames.delete(each);
      if (each >= ticks - 2) found = frame;
    }
    return found;
  }

  #failed(reason) {
    if (this.#closed) return;
    this.close();
    this.#handlers.onFailed(new Error(reason));
  }
}
