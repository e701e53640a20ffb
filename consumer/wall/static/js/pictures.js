/** Decodes JPEG pictures; while one is being decoded, the newest of those that come waits. Runs in the worker. */

export class PictureDecoder {
  /** @param {{onPicture, onFailed, onSkipped}} handlers */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  via = "mjpeg";
  #handlers;
  #busy = false;
  #next = null;
  #generation = 0;

  decode(frame) {
    if (this.#busy) {
      if (this.#next !== null) this.#handlers.onSkipped(this.#next);
      this.#next = frame;
      return;
    }
    this.#busy = true;
    this.#start(frame, this.#generation);
  }

  reset() {
    this.#next = null;
    this.#generation += 1;
    this.#busy = false;
  }

  close() {
    this.reset();
  }

  async #start(frame, generation) {
    let image = null;
    let failure = null;
    try {
      image = await createImageBitmap(new Blob([frame.body], { type: "image/jpeg" }));
    } catch (error) {
      failure = error;
    }
    if (generation !== this.#generation) {
      image?.close();
      return;
    }
    const next = this.#next;
    this.#next = null;
    this.#busy = next !== null;
    if (next !== null) this.#start(next, generation);
    if (failure !== null) {
      this.#handlers.onFailed(failure);
      return;
    }
    const { seq, captureUs, gatewayMs } = frame;
    this.#handlers.onPicture({ seq, captureUs, gatewayMs, image, width: image.width, height: image.height });
  }
}
