import assert from "node:assert/strict";
import test from "node:test";

import { Playout } from "../../../../../consumer/wall/static/js/playout.js";

const picture = (gatewayMs, seq = gatewayMs) => ({ gatewayMs, seq });
const times = (pictures) => pictures.map((each) => each.gatewayMs);

test("latest draws at once, and the newest only", () => {
  const playout = new Playout({ maxAgeMs: 500 });
  assert.deepEqual(playout.put(picture(1000)), []);
  assert.deepEqual(times(playout.put(picture(1033))), [1000]);
  const { picture: drawn, skipped, late, waitMs } = playout.take(1040);
  assert.deepEqual([drawn.gatewayMs, skipped, late, waitMs], [1033, [], [], null]);
  assert.equal(playout.take(1041).picture, null);
});

test("nothing older than max-age is drawn, whatever the playout", () => {
  for (const delayMs of [null, 150]) {
    const playout = new Playout({ delayMs, maxAgeMs: 500 });
    playout.put(picture(1000));
    const { picture: drawn, late } = playout.take(1500.5);
    assert.deepEqual([drawn, times(late)], [null, [1000]]);
  }
});

test("an age that may be too high counts as too high", () => {
  const playout = new Playout({ maxAgeMs: 500 });
  playout.put(picture(1000));
  assert.deepEqual(times(playout.take(1490, 20).late), [1000]);
});

test("nothing is drawn out of order", () => {
  const playout = new Playout({ maxAgeMs: 500 });
  playout.put(picture(1033));
  playout.take(1040);
  assert.deepEqual(times(playout.put(picture(1000))), [1000]);
  assert.deepEqual(times(playout.put(picture(1033))), [1033]);
});

test("where the gateway's clock is set back, the next pictures are drawn as before", () => {
  for (const delayMs of [null, 150]) {
    const playout = new Playout({ delayMs, maxAgeMs: 500 });
    playout.put(picture(7_200_000, 5));
    assert.equal(playout.take(7_200_200).picture?.seq, 5);
    assert.deepEqual(playout.put(picture(1000, 6)), []);
    assert.equal(playout.take(1200).picture?.seq, 6);
  }
});

test("sync draws each picture so long after its capture", () => {
  const playout = new Playout({ delayMs: 150, maxAgeMs: 500 });
  playout.put(picture(1000));
  playout.put(picture(1033));
  assert.deepEqual(playout.take(1100), { picture: null, skipped: [], late: [], waitMs: 50 });
  const step = playout.take(1150);
  assert.deepEqual([step.picture.gatewayMs, step.waitMs], [1000, 33]);
});

test("sync skips what is overdue for what is due now", () => {
  const playout = new Playout({ delayMs: 150, maxAgeMs: 500 });
  for (const at of [1000, 1033, 1066]) playout.put(picture(at));
  const { picture: drawn, skipped } = playout.take(1190);
  assert.deepEqual([drawn.gatewayMs, times(skipped)], [1033, [1000]]);
});

test("sync keeps frames encoded until shortly before they are due", () => {
  const playout = new Playout({ delayMs: 300, maxAgeMs: 500 });
  assert.equal(playout.decodeInMs(1000, 1010), 1000 + 300 - 80 - 1010);
  assert.equal(playout.decodeInMs(1000, 1290), 0);
  assert.equal(new Playout({ maxAgeMs: 500 }).decodeInMs(1000, 1010), 0);
});

test("the number of decoded pictures is bounded", () => {
  const playout = new Playout({ delayMs: 400, maxAgeMs: 500 });
  const refused = Array.from({ length: 100 }, (_, at) => playout.put(picture(1000 + at))).flat();
  assert.ok(refused.length >= 80);
  assert.ok(playout.reset().length + refused.length === 100);
});

test("a delay beyond max-age is shortened: else nothing would be drawn", () => {
  const playout = new Playout({ delayMs: 900, maxAgeMs: 500 });
  playout.put(picture(1000));
  const { waitMs } = playout.take(1000);
  assert.equal(playout.take(1000 + waitMs, 20).picture?.gatewayMs, 1000);
});

const waiting = () => {
  const playout = new Playout({ maxAgeMs: 500, waitMs: 80 });
  playout.put(picture(1000));
  playout.put(picture(1033));
  return playout;
};

test("a picture waits for what is found in it, up to the age that is said", () => {
  const playout = waiting();
  assert.deepEqual(playout.take(1050, 0, () => false), { picture: null, skipped: [], late: [], waitMs: 30 });
  const over = playout.take(1080, 0, () => false);
  assert.deepEqual([over.picture.gatewayMs, over.waitMs], [1000, 33]);
});

test("the newest picture in which all is found is drawn at once, and none before it any more", () => {
  const playout = waiting();
  const { picture: drawn, skipped } = playout.take(1050, 0, ({ seq }) => seq === 1033);
  assert.deepEqual([drawn.gatewayMs, times(skipped)], [1033, [1000]]);
});

test("a wait that is too long for max-age is shortened", () => {
  assert.equal(new Playout({ maxAgeMs: 500, waitMs: 500 }).waitMs, 400);
});

test("pictures that wait are few, and the oldest give way", () => {
  const playout = new Playout({ maxAgeMs: 5000, waitMs: 4000 });
  const skipped = Array.from({ length: 20 }, (_, seq) => playout.put(picture(1000, seq))).flat();
  assert.deepEqual(skipped.map(({ seq }) => seq), [0, 1, 2, 3, 4, 5, 6, 7]);
});

test("without a wait nothing is waited for", () => {
  const playout = new Playout({ maxAgeMs: 500 });
  playout.put(picture(1000));
  assert.equal(playout.take(1001, 0, () => false).picture.gatewayMs, 1000);
});

test("in step what is found does not count: each is drawn when it is due", () => {
  const playout = new Playout({ delayMs: 150, maxAgeMs: 500, waitMs: 80 });
  playout.put(picture(1000));
  assert.equal(playout.take(1020, 0, () => true).picture, null);
  assert.equal(playout.take(1150, 0, () => false).picture.gatewayMs, 1000);
});
