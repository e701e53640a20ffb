/** Decides which frames of one subscription are decoded. Pure: the time is an argument. */

// What a decoder may hold: more means that it cannot keep up, and that all it will give is old.
const MOST_PENDING = 32; // somebody who joins gets all frames since the keyframe at once
const LONGEST_PENDING_MS = 300;
// A <video> gives only the pictures that it paints, and takes its time to start.
const MOST_PENDING_VIDEO = 120;
const LONGEST_PENDING_VIDEO_MS = 2000;
const REQUEST_INTERVAL_MS = 500;

export const DROP = Object.freeze({
  late: "late", // older than max-age when it was to be drawn
  skipped: "skipped", // a newer one was there
  decode: "decode", // damaged
  backlog: "backlog", // the decoder could not keep up
  awaitingKey: "awaitingKey", // what it refers to is missing
});

export class Freshness {
  /** @param {boolean} intraOnly every frame can be decoded on its own; @param {boolean} video by a <video> */
  constructor({ intraOnly = false, video = false } = {}) {
    this.#intraOnly = intraOnly;
    this.#most = video ? MOST_PENDING_VIDEO : MOST_PENDING;
    this.#longestMs = video ? LONGEST_PENDING_VIDEO_MS : LONGEST_PENDING_MS;
  }

  #intraOnly;
  #most;
  #longestMs;
  #awaitingKey = true;
  #pending = new Map(); // seq -> when it was passed to the decoder
  #requestedMs = -Infinity;
  #seq = -1;

  get awaitingKey() {
    return this.#awaitingKey;
  }

  get pending() {
    return this.#pending.size;
  }

  /**
   * A frame arrived, or is due to be decoded.
   * @returns {{decode: boolean, reset: boolean, reason: ?string, requestKey: boolean}} with `reset` the decoder
   *     is to be emptied before anything else.
   */
  offer({ seq, key, discontinuity }, nowMs) {
    const gap = discontinuity || (this.#seq >= 0 && seq !== this.#seq + 1);
    this.#seq = seq;
    if (this.#intraOnly) return { decode: true, reset: false, reason: null, requestKey: false };
    const reset = this.#overloaded(nowMs);
    if (reset) this.#pending.clear();
    if (reset || gap) this.#awaitingKey = true;
    if (this.#awaitingKey && !key) {
      const reason = reset ? DROP.backlog : DROP.awaitingKey;
      return { decode: false, reset, reason, requestKey: this.#mayRequest(nowMs) };
    }
    this.#awaitingKey = false;
    this.#pending.set(seq, nowMs);
    return { decode: true, reset, reason: null, requestKey: false };
  }

  /** The decoder has finished this frame; earlier ones that it swallowed are finished too. */
  decoded(seq) {
    for (const earlier of this.#pending.keys()) {
      if (earlier > seq) break;
      this.#pending.delete(earlier);
    }
  }

  /** The decoder failed. True if a keyframe is to be requested now. */
  broken(nowMs) {
    this.#pending.clear();
    this.#awaitingKey = true;
    return this.#mayRequest(nowMs);
  }

  #overloaded(nowMs) {
    if (this.#pending.size >= this.#most) return true;
    const [oldestMs] = this.#pending.values();
    return oldestMs !== undefined && nowMs - oldestMs > this.#longestMs;
  }

  #mayRequest(nowMs) {
    if (nowMs - this.#requestedMs < REQUEST_INTERVAL_MS) return false;
    this.#requestedMs = nowMs;
    return true;
  }
}
