/** What a tile tells about itself. Pure: times are arguments. */

const KEPT = 100; // for the median
const STILL_MS = 1000;
const STILL_INTERVALS = 3;

export class TileStats {
  #ages = [];
  #history = []; // what was drawn since the last report, flat: seq, captureUs, ageMs, shownMs
  #bytes = 0;
  #before = { shown: 0, dropped: 0 };
  #bytesSinceMs = null;
  #still = false;
  #drawnMs = 0;
  shown = 0;
  dropped = {};
  last = null;
  fps = 0;
  drawMs = 0;

  received(bytes) {
    this.#bytes += bytes;
  }

  drop(reason, count = 1) {
    if (count > 0) this.dropped[reason] = (this.dropped[reason] ?? 0) + count;
  }

  /**
   * A picture was drawn; `ageMs` is that at the decision to draw, which took `drawMs` more.
   * @param {number} shownMs by the gateway's clock; @param {number} nowMs the same by the page's, which is never set
   */
  drew({ seq, captureUs, width, height }, ageMs, shownMs, drawMs, nowMs) {
    this.shown += 1;
    this.drawMs = drawMs;
    this.#drawnMs = nowMs;
    this.last = { seq, captureUs, width, height, ageMs, shownMs };
    this.#ages.push(ageMs + drawMs);
    if (this.#ages.length > KEPT) this.#ages.shift();
    this.#history.push(seq, captureUs, ageMs, shownMs);
  }

  /** "still", "live" or null: whether the picture has begun to stand still, or to move again. */
  change(nowMs) {
    const still = this.last !== null && nowMs - this.#drawnMs > this.#stillAfterMs();
    if (still === this.#still) return null;
    this.#still = still;
    return still ? "still" : "live";
  }

  /** Everything, and the history since the last call. */
  take(nowMs) {
    const seconds = this.#bytesSinceMs === null ? 1 : Math.max(0.001, (nowMs - this.#bytesSinceMs) / 1000);
    const bytesPerS = Math.round(this.#bytes / seconds);
    this.#bytes = 0;
    this.#bytesSinceMs = nowMs;
    const history = this.#history;
    this.#history = [];
    return { stats: { ...this.current(), bytesPerS }, history };
  }

  current() {
    const { last, shown, dropped, fps, drawMs } = this;
    const ages = [...this.#ages].sort((a, b) => a - b);
    return {
      width: last?.width ?? 0,
      height: last?.height ?? 0,
      fps,
      ageMs: last === null ? null : last.ageMs + drawMs,
      ageP50Ms: ages.length === 0 ? null : ages[ages.length >> 1],
      drawMs,
      shown,
      dropped: { ...dropped },
      seq: last?.seq ?? null,
      captureUs: last?.captureUs ?? null,
      live: last !== null && !this.#still,
      stillSinceMs: this.#still ? last.shownMs : null,
    };
  }

  /** A subscription begins: reports have totals since then. */
  subscribe() {
    this.#before = { shown: this.shown, dropped: this.#droppedSum() };
  }

  report() {
    const shown = this.shown - this.#before.shown;
    const dropped = this.#droppedSum() - this.#before.dropped;
    return { shown, dropped, age_ms: this.current().ageP50Ms };
  }

  #droppedSum() {
    return Object.values(this.dropped).reduce((sum, count) => sum + count, 0);
  }

  #stillAfterMs() {
    return Math.max(STILL_MS, this.fps > 0 ? (STILL_INTERVALS * 1000) / this.fps : 0);
  }
}
