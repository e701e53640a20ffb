import assert from "node:assert/strict";
import test from "node:test";

import { codecString } from "../../../../../consumer/wall/static/js/h264.js";

const SPS = [0x67, 0x42, 0xc0, 0x1f, 0xd9];

test("the codec string is read from the SPS", () => {
  const unit = Uint8Array.from([0, 0, 0, 1, 0x09, 0x10, 0, 0, 0, 1, ...SPS, 0, 0, 1, 0x68, 0xce]);
  assert.equal(codecString(unit), "avc1.42C01F");
});

test("bytes of zero keep their two digits", () => {
  assert.equal(codecString(Uint8Array.from([0, 0, 1, 0x27, 0x64, 0x00, 0x0a, 0xff])), "avc1.64000A");
});

test("without an SPS there is no codec string", () => {
  assert.equal(codecString(Uint8Array.from([0, 0, 1, 0x65, 1, 2, 3, 4, 5])), null);
  assert.equal(codecString(new Uint8Array(0)), null);
  assert.equal(codecString(Uint8Array.from([0, 0, 1, 0x67, 0x42])), null);
});
