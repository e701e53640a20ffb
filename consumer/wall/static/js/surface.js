/** Draws pictures to one canvas, and keeps the one that is shown. Runs in the worker. */

import { drawResults } from "./drawing.js";

export class Surface {
  /** @param {OffscreenCanvas} canvas of a tile */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
  }

  #canvas;
  #context;
  #box = null; // what the page has room for, in device pixels
  /** The picture that is shown; it stays open, for a snapshot and for another size. */
  shown = null;
  /** What is drawn on it: what detectors found in this very picture. */
  results = [];

  resize(width, height) {
    this.#box = { width, height };
    if (this.shown !== null) this.#paint(this.shown);
  }

  /** Takes the picture over. True if its size is another one than before. */
  draw(picture, results = []) {
    const before = this.shown;
    this.results = results;
    this.#paint(picture);
    this.shown = picture;
    before?.image.close();
    return before === null || before.width !== picture.width || before.height !== picture.height;
  }

  /** Other results of the picture that is shown. */
  mark(results) {
    this.results = results;
    if (this.shown !== null) this.#paint(this.shown);
  }

  /** The whole picture that is shown, with what is drawn on it, as PNG; null before the first one. */
  async snapshot() {
    const { shown: picture, results } = this;
    if (picture === null) return null;
    const { width, height, seq, captureUs } = picture;
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { alpha: false });
    context.drawImage(picture.image, 0, 0, width, height, 0, 0, width, height);
    drawResults(context, results, width, height);
    const blob = await canvas.convertToBlob({ type: "image/png" });
    return { blob, seq, captureUs, results: results.map(({ name }) => name) };
  }

  close() {
    this.shown?.image.close();
    this.shown = null;
  }

  #paint({ image, width, height }) {
    // Not more pixels than can be seen: the rest would be scaled away.
    const box = this.#box ?? { width, height };
    const scale = Math.min(1, box.width / width, box.height / height);
    const drawnWidth = Math.max(1, Math.round(width * scale));
    const drawnHeight = Math.max(1, Math.round(height * scale));
    // Setting it clears the canvas.
    if (this.#canvas.width !== drawnWidth) this.#canvas.width = drawnWidth;
    if (this.#canvas.height !== drawnHeight) this.#canvas.height = drawnHeight;
    // Odd sizes are coded one pixel larger.
    this.#context.drawImage(image, 0, 0, width, height, 0, 0, drawnWidth, drawnHeight);
    drawResults(this.#context, this.results, drawnWidth, drawnHeight);
  }
}
