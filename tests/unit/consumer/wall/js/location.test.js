import assert from "node:assert/strict";
import test from "node:test";

import { format, parse } from "../../../../../consumer/wall/static/js/location.js";

test("results are drawn where the address says so", () => {
  assert.deepEqual([parse("").view.results, parse("").view.waitMs], [null, 80]);
  const { view, problems } = parse("?results=faces,*&wait=120");
  assert.deepEqual([view.results, view.waitMs, problems], [["faces", "*"], 120, []]);
  assert.equal(format(view), "?results=faces,*&wait=120");
});

test("a name that no detector has is left out and named", () => {
  const { view, problems } = parse("?results=a%20b&wait=soon");
  assert.deepEqual([view.results, view.waitMs], [null, 80]);
  assert.deepEqual(problems, [
    "wait=soon: allowed are 0 to 10000 ms",
    "results=a b: allowed are names of detectors, or *",
  ]);
});
