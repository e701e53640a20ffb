import assert from "node:assert/strict";
import test from "node:test";

import { DROP, Freshness } from "../../../../../consumer/wall/static/js/freshness.js";

const frame = (seq, { key = false, discontinuity = false } = {}) => ({ seq, key, discontinuity });

function begun() {
  const freshness = new Freshness();
  freshness.offer(frame(0, { key: true }), 0);
  freshness.decoded(0);
  return freshness;
}

test("it begins with a keyframe, and asks for one", () => {
  const freshness = new Freshness();
  const first = freshness.offer(frame(7), 0);
  assert.deepEqual(first, { decode: false, reset: false, reason: DROP.awaitingKey, requestKey: true });
  assert.equal(freshness.offer(frame(8, { key: true }), 1).decode, true);
  assert.equal(freshness.offer(frame(9), 2).decode, true);
});

test("a keyframe is asked for at most twice a second", () => {
  const freshness = new Freshness();
  const asked = [0, 100, 499, 500, 900, 1000].map((nowMs, seq) => freshness.offer(frame(seq), nowMs).requestKey);
  assert.deepEqual(asked, [true, false, false, true, false, true]);
});

test("after a gap nothing is decoded before the next keyframe", () => {
  const freshness = begun();
  assert.equal(freshness.offer(frame(2), 10).reason, DROP.awaitingKey);
  assert.equal(freshness.offer(frame(3), 20).decode, false);
  assert.equal(freshness.offer(frame(4, { key: true }), 30).decode, true);
});

test("a frame that is marked as a discontinuity has no references", () => {
  const freshness = begun();
  assert.equal(freshness.offer(frame(1, { discontinuity: true }), 10).decode, false);
});

test("a decoder that cannot keep up is emptied, up to the next keyframe", () => {
  const freshness = begun();
  let decoded = 0;
  let overloaded = null;
  for (let seq = 1; overloaded === null; seq++) {
    const offer = freshness.offer(frame(seq), seq);
    if (offer.decode) decoded += 1;
    else overloaded = offer;
    assert.ok(decoded < 100, "the number of frames in the decoder has no bound");
  }
  assert.deepEqual(overloaded, { decode: false, reset: true, reason: DROP.backlog, requestKey: true });
  assert.equal(freshness.pending, 0);
  assert.equal(freshness.awaitingKey, true);
});

test("a decoder that gives nothing for long is emptied too, and takes the keyframe", () => {
  const freshness = begun();
  freshness.offer(frame(1), 1000);
  const offer = freshness.offer(frame(2, { key: true }), 1500);
  assert.deepEqual([offer.reset, offer.decode], [true, true]);
});

test("pictures that the decoder swallowed are not waited for", () => {
  const freshness = begun();
  for (const seq of [1, 2, 3]) freshness.offer(frame(seq), 10);
  freshness.decoded(2);
  assert.equal(freshness.pending, 1);
});

test("after a failure the next keyframe is awaited", () => {
  const freshness = begun();
  assert.equal(freshness.broken(10), true);
  assert.equal(freshness.broken(20), false);
  assert.equal(freshness.offer(frame(1), 30).decode, false);
});

test("frames without references are all decoded", () => {
  const freshness = new Freshness({ intraOnly: true });
  assert.ok([3, 9, 4].every((seq) => freshness.offer(frame(seq), 0).decode));
});
