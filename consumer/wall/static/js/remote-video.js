/** The worker's side of `MseVideo`: fragments go to the page, pictures come back. */

export class RemoteVideo {
  /**
   * @param {function} post sends a message to the page, with a list of what is transferred
   * @param {{onPicture, onFailed, onBacklog}} handlers
   */
  constructor(post, handlers) {
    this.#post = post;
    this.#handlers = handlers;
  }

  via = "mse";
  #post;
  #handlers;

  initialize(mime, body) {
    this.#send("init", { mime, data: body }, [body.buffer]);
  }

  decode(frame) {
    const { seq, captureUs, gatewayMs, width, height, key, body } = frame;
    this.#send("fragment", { data: body, frame: { seq, captureUs, gatewayMs, width, height, key } }, [body.buffer]);
  }

  reset() {
    this.#send("reset");
  }

  close() {
    this.#send("close");
  }

  /** A message of the page. */
  received(message) {
    if (message.event === "picture") {
      const { image, frame } = message;
      const width = Math.min(frame.width, image.width);
      const height = Math.min(frame.height, image.height);
      this.#handlers.onPicture({ ...frame, image, width, height });
    } else if (message.event === "backlog") {
      this.#handlers.onBacklog();
    } else {
      this.#handlers.onFailed(new Error(message.reason));
    }
  }

  #send(action, details = {}, transferred = []) {
    this.#post({ type: "video", action, ...details }, transferred);
  }
}
