/** What detectors found, until its frame is drawn and as long as that is shown. Pure: the time is an argument. */

const MOST_RESULTS = 128;
// A detector that has published nothing for so long is not waited for, where all are wanted.
const ABSENT_MS = 2000;

export class ResultStore {
  /** @param {?string[]} names of detectors, or "*" for all; null for none */
  constructor(names) {
    this.#names = names ?? [];
  }

  #names;
  #found = []; // in the order in which they came
  #latest = new Map(); // detector -> its latest answer: {epoch, seq, atMs}

  /** True if it is wanted, and the first one of its detector for this frame. */
  add(result, nowMs) {
    const { name, epoch, seq } = result;
    if (this.of(result).some((each) => each.name === name)) return false;
    if (!this.#names.includes("*") && !this.#names.includes(name)) return false;
    for (const [each, { atMs }] of this.#latest) if (nowMs - atMs > ABSENT_MS) this.#latest.delete(each);
    if (this.#latest.size >= MOST_RESULTS && !this.#latest.has(name)) return false;
    const before = this.#latest.get(name);
    const late = before?.epoch === epoch && before.seq > seq;
    this.#latest.set(name, { epoch, seq: late ? before.seq : seq, atMs: nowMs });
    this.#found.push(result);
    if (this.#found.length > MOST_RESULTS) this.#found.shift();
    return true;
  }

  /** The results of this frame, one of each detector, by name. */
  of({ epoch, seq }) {
    const found = this.#found.filter((each) => each.seq === seq && each.epoch === epoch);
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Whether nothing more is to be expected: all wanted detectors have answered this frame or a later one. */
  complete({ epoch, seq }, nowMs) {
    const answered = (name) => {
      const latest = this.#latest.get(name);
      return latest !== undefined && latest.epoch === epoch && latest.seq >= seq;
    };
    const present = [...this.#latest].filter(([, { atMs }]) => nowMs - atMs <= ABSENT_MS).map(([name]) => name);
    const expected = this.#names.includes("*") ? present : this.#names;
    return expected.every(answered);
  }
}
