import assert from "node:assert/strict";
import test from "node:test";

import { captionOf, colourOf } from "../../../../../consumer/wall/static/js/drawing.js";
import { ResultStore } from "../../../../../consumer/wall/static/js/results.js";

const result = (seq, name = "faces", epoch = "7") => ({ name, epoch, seq, width: 64, height: 48 });
const names = (results) => results.map(({ name }) => name);

test("a frame gets its own results, by name, and no others", () => {
  const store = new ResultStore(["*"]);
  for (const each of [result(5, "motion"), result(5), result(6), result(5, "faces", "8")]) store.add(each, 0);
  assert.deepEqual(store.of({ epoch: "7", seq: 5 }), [result(5), result(5, "motion")]);
  assert.deepEqual(store.of({ epoch: "8", seq: 6 }), []);
});

test("of two results of one detector for a frame the first one counts", () => {
  const store = new ResultStore(["faces"]);
  assert.equal(store.add(result(5), 0), true);
  assert.equal(store.add({ ...result(5), boxes: [[1, 2, 3, 4]] }, 1), false);
  assert.deepEqual(store.of({ epoch: "7", seq: 5 }), [result(5)]);
});

test("only the detectors that are named count, and none if none is", () => {
  const store = new ResultStore(["faces"]);
  assert.deepEqual([store.add(result(5, "motion"), 0), store.add(result(5), 0)], [false, true]);
  assert.deepEqual(names(store.of({ epoch: "7", seq: 5 })), ["faces"]);
  assert.equal(new ResultStore(null).add(result(5), 0), false);
  assert.equal(new ResultStore(null).complete({ epoch: "7", seq: 5 }, 0), true);
});

test("a frame is complete when all named have answered it, or a later one", () => {
  const store = new ResultStore(["faces", "motion"]);
  const complete = (seq, epoch = "7") => store.complete({ epoch, seq }, 0);
  store.add(result(5), 0);
  assert.equal(complete(5), false);
  store.add(result(6, "motion"), 0);
  assert.deepEqual([complete(5), complete(6), complete(4, "8")], [true, false, false]);
  store.add(result(4), 0); // late: it has answered 5 already
  assert.equal(complete(5), true);
});

test("of all detectors those are waited for that are there", () => {
  const store = new ResultStore(["*"]);
  assert.equal(store.complete({ epoch: "7", seq: 5 }, 0), true);
  store.add(result(5), 0);
  assert.equal(store.complete({ epoch: "7", seq: 6 }, 1000), false);
  assert.equal(store.complete({ epoch: "7", seq: 6 }, 2001), true);
});

test("memory is bounded, whoever publishes", () => {
  const store = new ResultStore(["*"]);
  for (let seq = 0; seq < 1000; seq += 1) store.add(result(seq, `detector-${seq}`), 0);
  assert.deepEqual(names(store.of({ epoch: "7", seq: 0 })), ["detector-0"]);
  assert.deepEqual(store.of({ epoch: "7", seq: 999 }), []);
  for (let seq = 0; seq < 1000; seq += 1) store.add(result(seq, "detector-1"), 0);
  assert.deepEqual(store.of({ epoch: "7", seq: 0 }), []);
});

test("a caption has what there is", () => {
  assert.equal(captionOf({ labels: ["face"], scores: [0.934] }, 0), "face 0.93");
  assert.equal(captionOf({ labels: ["face"] }, 0), "face");
  assert.equal(captionOf({ scores: [1] }, 0), "1.00");
  assert.equal(captionOf({}, 0), "");
});

test("a detector has one colour", () => {
  assert.equal(colourOf("faces"), colourOf("faces"));
  assert.match(colourOf("faces"), /^#[0-9a-f]{6}$/);
});
