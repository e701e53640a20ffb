import assert from "node:assert/strict";
import { test } from "node:test";

import { DEFAULTS, format, parse, selected } from "../../../../../consumer/wall/static/js/location.js";

test("an empty address is the default view", () => {
  assert.deepEqual(parse(""), { view: { ...DEFAULTS }, problems: [] });
  assert.equal(format(DEFAULTS), "");
});

test("every view is read back from its own address", () => {
  for (const view of [
    { ...DEFAULTS, streams: ["door", "cam*"] },
    { ...DEFAULTS, one: "cam-1_x" },
    { ...DEFAULTS, one: "<img src=x>&layout=grid:é" },
    { streams: ["a?"], one: "a1", via: "mse", playout: "sync", delayMs: 0, maxAgeMs: 200 },
  ]) {
    assert.deepEqual(parse(format(view)), { view, problems: [] });
  }
});

test("an address stays readable", () => {
  assert.equal(format({ ...DEFAULTS, streams: ["cam", "door*"], one: "cam" }), "?streams=cam,door*&layout=one:cam");
});

test("a value that is not allowed is left out and named", () => {
  for (const [search, name] of [
    ["?layout=two", "layout=two"],
    ["?layout=one:", "layout=one:"],
    ["?via=flash", "via=flash"],
    ["?playout=late", "playout=late"],
    ["?delay=", "delay="],
    ["?delay=-1", "delay=-1"],
    ["?delay=soon", "delay=soon"],
    ["?max-age=0", "max-age=0"],
    ["?max-age=NaN", "max-age=NaN"],
    ["?max-age=1e9", "max-age=1e9"],
  ]) {
    const { view, problems } = parse(search);
    assert.deepEqual(view, { ...DEFAULTS }, search);
    assert.equal(problems.length, 1, search);
    assert.ok(problems[0].startsWith(`${name}: allowed are `), problems[0]);
  }
});

test("what the address does not know is ignored", () => {
  assert.deepEqual(parse("?utm=x&streams=,,&__proto__=1"), { view: { ...DEFAULTS }, problems: [] });
});

test("streams are shown in the order of their patterns, then by name", () => {
  const live = ["cam2", "door", "cam1", "Cam3"];
  assert.deepEqual(selected(["*"], live), ["Cam3", "cam1", "cam2", "door"]);
  assert.deepEqual(selected(["door", "cam*"], live), ["door", "cam1", "cam2"]);
  assert.deepEqual(selected(["cam?", "cam1"], live), ["cam1", "cam2"]);
  assert.deepEqual(selected(["x*"], live), []);
});

test("a stream that is named is there before it is live", () => {
  assert.deepEqual(selected(["roof", "c*"], ["cam"]), ["roof", "cam"]);
});

test("a link cannot stop the page by its patterns", () => {
  assert.deepEqual(selected([`${"*a".repeat(30)}*b`], ["a".repeat(64)]), []);
  const { view, problems } = parse(`?streams=${Array(1000).fill("x").join()}`);
  assert.equal(view.streams.length, 64);
  assert.deepEqual(problems, ["streams: allowed are 64 names or patterns"]);
});

test("wildcards stand for any characters, none among them", () => {
  for (const [pattern, yes, no] of [
    ["a*", ["a", "ab"], ["ba"]],
    ["*a", ["a", "ba"], ["ab"]],
    ["a**b", ["ab", "axxb"], ["a", "axbx"]],
    ["?*", ["a", "ab"], [""]],
    ["a?c*e", ["abcde", "abce"], ["ace", "abcd"]],
  ]) {
    assert.deepEqual(selected([pattern], [...yes, ...no]), [...yes].sort(), pattern);
  }
});

test("a pattern is no regular expression", () => {
  assert.deepEqual(selected(["a.*", "(b", "[c]*"], ["abc", "a.b"]), ["a.b", "(b"]);
});
