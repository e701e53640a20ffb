/** Decodes H.264 by WebCodecs, without delay. Runs in the worker. */

import { codecString } from "./h264.js";

export class WebCodecsDecoder {
  static get supported() {
    return typeof VideoDecoder !== "undefined" && typeof EncodedVideoChunk !== "undefined";
  }

  /** @param {{onPicture, onFailed}} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  via = "webcodecs";
  #handlers;
  #decoder = null;
  #codec = null;
  #frames = new Map(); // time stamp -> the frame that is being decoded
  #count = 0;

  decode(frame) {
    if (frame.key && !this.#prepare(frame)) return;
    if (this.#decoder?.state !== "configured") return;
    // Time stamps only name the pictures here: they come back as they went in.
    const timestamp = this.#count++;
    const { seq, captureUs, gatewayMs, width, height } = frame;
    this.#frames.set(timestamp, { seq, captureUs, gatewayMs, width, height });
    const type = frame.key ? "key" : "delta";
    try {
      this.#decoder.decode(new EncodedVideoChunk({ type, timestamp, data: frame.body }));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Forget what is being decoded; the next frame is a keyframe. */
  reset() {
    this.#frames.clear();
    this.#codec = null;
    if (this.#decoder !== null && this.#decoder.state !== "closed") this.#decoder.reset();
  }

  close() {
    this.#frames.clear();
    this.#codec = null;
    if (this.#decoder !== null && this.#decoder.state !== "closed") this.#decoder.close();
    this.#decoder = null;
  }

  #prepare(frame) {
    const codec = codecString(frame.body);
    if (codec === null) {
      this.#failed(new Error("a keyframe without parameter sets"));
      return false;
    }
    if (codec === this.#codec) return true;
    if (this.#decoder === null || this.#decoder.state === "closed") this.#decoder = this.#create();
    this.#codec = codec;
    // Without a description: Annex B.
    this.#decoder.configure({ codec, optimizeForLatency: true });
    return true;
  }

  #create() {
    const decoder = new VideoDecoder({
      output: (image) => this.#decoded(image),
      error: (error) => decoder === this.#decoder && this.#failed(error),
    });
    return decoder;
  }

  #decoded(image) {
    const frame = this.#frames.get(image.timestamp);
    if (frame === undefined) {
      image.close();
      return;
    }
    // What it left out will not come.
    for (const timestamp of this.#frames.keys()) {
      if (timestamp > image.timestamp) break;
      this.#frames.delete(timestamp);
    }
    const width = Math.min(frame.width, image.displayWidth);
    const height = Math.min(frame.height, image.displayHeight);
    this.#handlers.onPicture({ ...frame, image, width, height });
  }

  #failed(error) {
    this.close();
    this.#handlers.onFailed(error);
  }
}
