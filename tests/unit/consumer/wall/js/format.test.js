import assert from "node:assert/strict";
import { test } from "node:test";

import * as words from "../../../../../consumer/wall/static/js/format.js";

test("a duration has the unit that suits it", () => {
  assert.deepEqual([0, 34.4, 999.4, 1234, 61000].map(words.duration), ["0 ms", "34 ms", "999 ms", "1.2 s", "61.0 s"]);
  assert.deepEqual([null, undefined, NaN].map(words.duration), ["–", "–", "–"]);
});

test("a rate has the unit that suits it", () => {
  assert.deepEqual([0, 361234, 12.5e6, null].map(words.rate), ["0 kB/s", "361 kB/s", "12.5 MB/s", "–"]);
});

test("a snapshot is named by stream and capture time, to the microsecond", () => {
  assert.equal(words.snapshotName("cam", 1795866996462595), "cam-2026-11-28T11-56-36.462595Z.png");
  assert.equal(words.snapshotName("cam", 1795866996000005), "cam-2026-11-28T11-56-36.000005Z.png");
});

test("no name of a stream leaves the folder of the snapshot", () => {
  assert.equal(words.snapshotName("../a b<", 0), "___a_b_-1970-01-01T00-00-00.000000Z.png");
});

test("what was dropped is said by reason", () => {
  assert.equal(words.dropped({ late: 3, decode: 0, awaitingKey: 1 }), "late 3, awaiting key 1");
  assert.equal(words.dropped({}), "none");
  assert.equal(words.dropped(undefined), "none");
});
