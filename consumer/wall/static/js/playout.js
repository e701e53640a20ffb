/** Decides when each decoded picture is drawn. Pure: the time is an argument, by the gateway's clock. */

// `sync` keeps frames encoded until so long before they are due: decoded ones take a hundred times the memory.
const DECODE_AHEAD_MS = 80;
const MOST_DECODED = 12;
// Timers fire up to so much early or late; the next one would come too late.
const TIMER_MS = 1;
// Of max-age, in place of a delay or wait that is no less: how old a picture is, is known to some milliseconds only.
const LONGEST_DELAY = 0.8;
const ALWAYS = () => true;

export class Playout {
  /**
   * @param {?number} delayMs draw this long after the capture; null draws the newest at once
   * @param {number} maxAgeMs nothing older is drawn
   * @param {number} waitMs of the newest: at this age a picture waits no longer for what detectors find in it
   */
  constructor({ delayMs = null, maxAgeMs, waitMs = 0 }) {
    const least = (ms) => (ms < maxAgeMs ? ms : LONGEST_DELAY * maxAgeMs);
    this.delayMs = delayMs === null ? null : least(delayMs);
    this.maxAgeMs = maxAgeMs;
    this.waitMs = least(waitMs);
  }

  #waiting = []; // by seq: capture times step back where the gateway's clock is set
  #drawnSeq = -1;

  /** How long a frame stays encoded; 0 to decode it now. */
  decodeInMs(gatewayMs, nowMs) {
    return this.delayMs === null ? 0 : Math.max(0, gatewayMs + this.delayMs - DECODE_AHEAD_MS - nowMs);
  }

  /** @returns {Array} pictures that will not be drawn since there are newer ones, or too many */
  put(picture) {
    if (picture.seq <= this.#drawnSeq) return [picture];
    if (this.delayMs === null && this.waitMs === 0) {
      const skipped = this.#waiting;
      this.#waiting = [picture];
      return skipped;
    }
    const full = this.#waiting.length >= MOST_DECODED;
    if (full && this.delayMs !== null) return [picture];
    this.#waiting.push(picture);
    this.#waiting.sort((a, b) => a.seq - b.seq);
    return full ? this.#waiting.splice(0, 1) : [];
  }

  /**
   * @param {number} uncertaintyMs by how much `nowMs` may be wrong
   * @param {function} complete whether all has been found in a picture that waits for that
   * @returns {{picture: ?object, skipped: Array, late: Array, waitMs: ?number}} what to draw now, what not to
   *     draw, and after which time to ask again
   */
  take(nowMs, uncertaintyMs = 0, complete = ALWAYS) {
    const due = 1 + this.#waiting.findLastIndex((each) => this.#due(each, nowMs, complete));
    const skipped = this.#waiting.splice(0, due);
    let picture = skipped.pop() ?? null;
    const late = [];
    if (picture !== null && nowMs - picture.gatewayMs + uncertaintyMs > this.maxAgeMs) {
      late.push(picture);
      picture = null;
    }
    if (picture !== null) this.#drawnSeq = picture.seq;
    const next = this.#waiting[0];
    const waitMs = next === undefined ? null : Math.max(0, next.gatewayMs + (this.delayMs ?? this.waitMs) - nowMs);
    return { picture, skipped, late, waitMs };
  }

  /** Forget everything: another epoch, or another clock. Returns the pictures that waited. */
  reset() {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#drawnSeq = -1;
    return waiting;
  }

  #due(picture, nowMs, complete) {
    const afterMs = this.delayMs ?? this.waitMs;
    return afterMs === 0 || nowMs >= picture.gatewayMs + afterMs - TIMER_MS || (this.delayMs === null && complete(picture));
  }
}
