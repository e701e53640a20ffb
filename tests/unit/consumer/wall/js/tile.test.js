import assert from "node:assert/strict";
import test from "node:test";

import { WorkerTile } from "../../../../../consumer/wall/static/js/tile.js";

function paused(tile, wanted) {
  tile.set({ paused: wanted });
  tile.update(false);
}

test("an answer that comes after the pause begins nothing", () => {
  const sent = [];
  const link = { connected: true, send: ({ type }) => sent.push(type), clock: { describe: () => ({}) } };
  const canvas = { getContext: () => ({}) };
  const tile = new WorkerTile(
    { stream: "cam", canvas, ways: ["mjpeg"], options: { playout: "latest", maxAgeMs: 500, results: null, waitMs: 0 } },
    { link, drawQueue: null, post: () => {} },
  );
  tile.update(false);
  tile.subscribed({ id: 1 });
  assert.equal(tile.id, 1);
  paused(tile, true);
  paused(tile, false);
  paused(tile, true);
  tile.subscribed({ id: 2 }); // to the question in between
  assert.equal(tile.id, null);
  paused(tile, false);
  tile.subscribed({ id: 3 });
  assert.equal(tile.id, 3);
  assert.deepEqual(sent, ["subscribe", "unsubscribe", "subscribe", "unsubscribe", "subscribe"]);
});
