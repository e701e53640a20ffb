/** The gateway's clock, by NTP's method: of all exchanges, the one with the smallest error counts. Pure. */

const MOST_SAMPLES = 16;
// Quartz clocks drift apart by up to so much: an old sample is worth less than a new one.
const DRIFT_MS_PER_S = 0.05;
// What the resolution of timers in browsers may add.
const RESOLUTION_MS = 2;
// The page's clock stands still while the computer sleeps; the wall clock shows for how long it did.
const ASLEEP_MS = 250;

export class GatewayClock {
  #samples = [];
  #aheadMs = null; // the wall clock, of the page's

  /** @param {number} sentMs,nowMs by the page's clock; @param {number} gatewayMs the gateway's answer */
  observe(sentMs, gatewayMs, nowMs) {
    const roundTripMs = nowMs - sentMs;
    if (!(roundTripMs >= 0) || !Number.isFinite(gatewayMs)) return;
    const sample = { offsetMs: gatewayMs - (sentMs + nowMs) / 2, halfMs: roundTripMs / 2, atMs: nowMs };
    const best = this.#best(nowMs);
    if (best !== null) {
      const apartMs = Math.abs(sample.offsetMs - best.offsetMs);
      // Both cannot be true: one of the clocks was set, or this computer slept.
      if (apartMs > error(sample, nowMs) + error(best, nowMs) + RESOLUTION_MS) this.#samples = [];
    }
    this.#samples.push(sample);
    if (this.#samples.length > MOST_SAMPLES) {
      const worst = this.#samples.reduce((a, b) => (error(a, nowMs) >= error(b, nowMs) ? a : b));
      this.#samples.splice(this.#samples.indexOf(worst), 1);
    }
  }

  /** The gateway's Unix time in ms; null before the first exchange. */
  now(nowMs) {
    const best = this.#best(nowMs);
    return best === null ? null : nowMs + best.offsetMs;
  }

  /** By how much the gateway's clock is ahead of the page's, and how wrong that may be at most; null as above. */
  describe(nowMs) {
    const best = this.#best(nowMs);
    return best === null ? null : { offsetMs: best.offsetMs, uncertaintyMs: error(best, nowMs) };
  }

  /** True after sleep, or if the wall clock was set: the time is unknown then. */
  slept(wallMs, nowMs) {
    const [before, aheadMs] = [this.#aheadMs ?? wallMs - nowMs, wallMs - nowMs];
    this.#aheadMs = aheadMs;
    if (Math.abs(aheadMs - before) <= ASLEEP_MS) return false;
    this.reset();
    return true;
  }

  reset() {
    this.#samples = [];
  }

  #best(nowMs) {
    let best = null;
    for (const sample of this.#samples) {
      if (best === null || error(sample, nowMs) < error(best, nowMs)) best = sample;
    }
    return best;
  }
}

function error(sample, nowMs) {
  return sample.halfMs + ((nowMs - sample.atMs) / 1000) * DRIFT_MS_PER_S;
}
