import assert from "node:assert/strict";
import test from "node:test";

import { KIND, parseMessage } from "../../../../../consumer/wall/static/js/message.js";

function message({ version = 1, flags = 3 } = {}) {
  const buffer = new ArrayBuffer(43);
  const view = new DataView(buffer);
  view.setUint8(0, version);
  view.setUint8(1, KIND.h264);
  view.setUint8(2, flags);
  view.setUint32(4, 0xfffffffe);
  view.setBigUint64(8, 12345678901n);
  view.setBigUint64(16, 1_795_866_781_632_282n);
  view.setBigUint64(24, 1_795_866_781_632_500n);
  view.setUint16(32, 641);
  view.setUint16(34, 361);
  view.setFloat32(36, 29.97);
  new Uint8Array(buffer).set([7, 8, 9], 40);
  return buffer;
}

test("every field of the header is read", () => {
  const { body, fps, ...rest } = parseMessage(message());
  assert.deepEqual(rest, {
    kind: KIND.h264,
    key: true,
    discontinuity: true,
    id: 0xfffffffe,
    seq: 12345678901,
    captureUs: 1_795_866_781_632_282,
    gatewayMs: 1_795_866_781_632.5,
    width: 641,
    height: 361,
  });
  assert.deepEqual([...body], [7, 8, 9]);
  assert.ok(Math.abs(fps - 29.97) < 1e-5);
  assert.deepEqual([parseMessage(message({ flags: 1 })).discontinuity, parseMessage(message({ flags: 2 })).key], [false, false]);
});

test("an unknown version and a short message are ignored", () => {
  assert.equal(parseMessage(message({ version: 2 })), null);
  assert.equal(parseMessage(new ArrayBuffer(39)), null);
});
