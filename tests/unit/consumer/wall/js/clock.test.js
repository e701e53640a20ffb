import assert from "node:assert/strict";
import test from "node:test";

import { GatewayClock } from "../../../../../consumer/wall/static/js/clock.js";

const OFFSET_MS = 5000;

/** An exchange at `atMs` that took so long on its way there, and back. */
function exchange(clock, atMs, thereMs, backMs, offsetMs = OFFSET_MS) {
  clock.observe(atMs, atMs + thereMs + offsetMs, atMs + thereMs + backMs);
}

test("before the first exchange the time is unknown", () => {
  const clock = new GatewayClock();
  assert.equal(clock.now(1), null);
  assert.equal(clock.describe(1), null);
});

test("the exchange with the shortest way counts", () => {
  const clock = new GatewayClock();
  exchange(clock, 0, 1, 80);
  exchange(clock, 100, 1, 1);
  exchange(clock, 200, 90, 1);
  assert.equal(clock.now(1000), 1000 + OFFSET_MS);
});

test("a slow line that lasts does not spoil what a fast one has shown", () => {
  const clock = new GatewayClock();
  exchange(clock, 0, 1, 1);
  for (let at = 1000; at <= 60_000; at += 1000) exchange(clock, at, 1, 300);
  assert.ok(Math.abs(clock.now(60_000) - 60_000 - OFFSET_MS) < 1);
  assert.ok(clock.describe(60_000).uncertaintyMs < 5);
});

test("the error is within what the clock says of it", () => {
  const clock = new GatewayClock();
  exchange(clock, 0, 0, 40);
  assert.ok(Math.abs(clock.now(40) - 40 - OFFSET_MS) <= clock.describe(40).uncertaintyMs);
});

test("after a clock was set, the new time counts at once", () => {
  const clock = new GatewayClock();
  exchange(clock, 0, 1, 1);
  exchange(clock, 1000, 2, 2, OFFSET_MS - 3600_000);
  assert.equal(clock.now(2000), 2000 + OFFSET_MS - 3600_000);
});

test("answers that make no sense are ignored", () => {
  const clock = new GatewayClock();
  clock.observe(100, 5000, 50);
  clock.observe(Number.NaN, 5000, 50);
  clock.observe(1, Number.NaN, 2);
  assert.equal(clock.now(1), null);
});

test("after sleep the time is unknown until the next exchange", () => {
  const clock = new GatewayClock();
  exchange(clock, 0, 1, 1);
  assert.equal(clock.slept(50_000, 10), false);
  assert.equal(clock.slept(51_000, 1010), false);
  assert.equal(clock.now(1010), 1010 + OFFSET_MS);
  assert.equal(clock.slept(3_651_000, 1010), true);
  assert.equal(clock.now(1010), null);
  assert.equal(clock.slept(3_651_001, 1011), false);
});
