import assert from "node:assert/strict";
import test from "node:test";

import { TileStats } from "../../../../../consumer/wall/static/js/tile-stats.js";

const PICTURE = { seq: 5, captureUs: 1_000_000, width: 640, height: 360 };

test("what was drawn is counted, with its age", () => {
  const stats = new TileStats();
  stats.drew(PICTURE, 40, 1040, 2, 0);
  stats.drop("late");
  stats.drop("skipped", 3);
  stats.received(5000);
  const { stats: told, history } = stats.take(2000);
  assert.deepEqual([told.shown, told.seq, told.ageMs, told.width], [1, 5, 42, 640]);
  assert.deepEqual(told.dropped, { late: 1, skipped: 3 });
  assert.deepEqual(history, [5, 1_000_000, 40, 1040]);
  assert.equal(told.bytesPerS, 5000);
  assert.deepEqual(stats.take(3000).history, []);
});

test("a picture stands still after a second, or three intervals of a slower source, by a clock that is never set", () => {
  for (const [fps, stillMs] of [[30, 1000], [1, 3000]]) {
    const stats = new TileStats();
    stats.fps = fps;
    assert.equal(stats.change(0), null);
    stats.drew(PICTURE, 40, 7_200_000, 2, 10_000);
    assert.equal(stats.change(10_000 + stillMs), null);
    assert.equal(stats.change(10_001 + stillMs), "still");
    assert.equal(stats.change(10_002 + stillMs), null);
    assert.deepEqual([stats.current().live, stats.current().stillSinceMs], [false, 7_200_000]);
    stats.drew(PICTURE, 40, 3_600_000, 2, 20_000);
    assert.equal(stats.change(20_000), "live");
    assert.deepEqual([stats.current().live, stats.current().stillSinceMs], [true, null]);
  }
});

test("a report has the totals since the subscription", () => {
  const stats = new TileStats();
  stats.drew(PICTURE, 40, 1040, 2, 0);
  stats.drop("late", 2);
  assert.deepEqual(stats.report(), { shown: 1, dropped: 2, age_ms: 42 });
  stats.subscribe();
  assert.deepEqual(stats.report(), { shown: 0, dropped: 0, age_ms: 42 });
  stats.drew(PICTURE, 60, 1060, 2, 0);
  stats.drop("skipped");
  assert.deepEqual(stats.report(), { shown: 1, dropped: 1, age_ms: 62 });
});
