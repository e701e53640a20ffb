import assert from "node:assert/strict";
import { test } from "node:test";

import { arrange, neighbour } from "../../../../../consumer/wall/static/js/grid.js";

const GAP = 6;
const SCREENS = [[1920, 1080], [1280, 720], [1080, 1920], [390, 790], [844, 390]];
const WIDE = 16 / 9;
const MIXED = [WIDE, 4 / 3, 9 / 16, 1, WIDE, 2.4];
const wides = (count) => Array(count).fill(WIDE);
const mixed = (count) => Array.from({ length: count }, (_, index) => MIXED[index % MIXED.length]);
const counts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 16, 17, 25, 64, 65];

function everyArrangement(check) {
  for (const [width, height] of SCREENS) {
    for (const count of counts) {
      for (const aspects of [wides(count), mixed(count)]) {
        const arranged = arrange(aspects, width, height, GAP);
        check({ ...arranged, aspects, width, available: height, name: `${count} tiles at ${width}x${height}` });
      }
    }
  }
}

test("every tile keeps its aspect and lies within the page", () => {
  everyArrangement(({ boxes, height, aspects, width, name }) => {
    assert.equal(boxes.length, aspects.length, name);
    boxes.forEach((box, index) => {
      assert.ok(Math.abs(box.width / box.height / aspects[index] - 1) < 0.001, name);
      assert.ok(box.x >= -0.1 && box.x + box.width <= width + 0.1, `${name}: ${JSON.stringify(box)}`);
      assert.ok(box.y >= -0.1 && box.y + box.height <= height + 0.1, `${name}: ${JSON.stringify(box)}`);
    });
  });
});

test("no tile covers another, and gaps are kept", () => {
  everyArrangement(({ boxes, name }) => {
    boxes.forEach((a, index) => {
      for (const b of boxes.slice(index + 1)) {
        const apartX = Math.max(a.x, b.x) - Math.min(a.x + a.width, b.x + b.width);
        const apartY = Math.max(a.y, b.y) - Math.min(a.y + a.height, b.y + b.height);
        assert.ok(Math.max(apartX, apartY) >= GAP - 0.01, `${name}: ${JSON.stringify([a, b])}`);
      }
    });
  });
});

test("up to sixteen tiles fit a large screen without scrolling, and fill most of it", () => {
  for (const [width, height] of SCREENS.slice(0, 2)) {
    for (let count = 1; count <= 16; count++) {
      const { boxes, height: used } = arrange(wides(count), width, height, GAP);
      const area = boxes.reduce((sum, box) => sum + box.width * box.height, 0) / (width * height);
      assert.equal(used, height, `${count}`);
      assert.ok(area > (count === 2 ? 0.49 : 0.7), `${count} tiles fill ${area}`);
    }
  }
});

test("square numbers of equal tiles stand in a square", () => {
  for (const side of [2, 3, 4]) {
    const { boxes } = arrange(wides(side * side), 1920, 1080, GAP);
    assert.equal(new Set(boxes.map((box) => Math.round(box.x))).size, side);
    assert.equal(new Set(boxes.map((box) => Math.round(box.y))).size, side);
  }
});

test("on a phone rows span the width, and only the length scrolls", () => {
  for (const count of counts) {
    const { boxes } = arrange(wides(count), 390, 790, GAP);
    assert.ok(Math.abs(Math.min(...boxes.map((box) => box.x))) < 0.1);
    assert.ok(Math.abs(Math.max(...boxes.map((box) => box.x + box.width)) - 390) < 0.1);
    assert.ok(boxes.every((box) => box.width >= 150), `${count}`);
  }
  assert.ok(arrange(wides(64), 390, 790, GAP).height > 790);
});

test("tiles never get too small to be seen: the page scrolls instead", () => {
  for (const count of [64, 200, 1000]) {
    const { boxes, height } = arrange(wides(count), 1280, 720, GAP);
    assert.ok(height > 720);
    assert.ok(boxes.every((box) => box.height >= 96 && box.height < 200));
  }
});

test("sizes that nobody has do no harm", () => {
  assert.deepEqual(arrange([], 100, 100, GAP).boxes, []);
  assert.deepEqual(arrange([1], 0, 0, GAP).boxes, []);
  for (const aspect of [NaN, 0, Infinity, 1e-9]) {
    const [box] = arrange([aspect], 1280, 720, GAP).boxes;
    assert.ok(box.width > 10 && box.height > 10, `${aspect}`);
  }
});

test("arrows move to the tile that lies there, and stay at the border", () => {
  const { boxes } = arrange(wides(9), 1920, 1080, GAP); // 3 × 3
  assert.deepEqual(["left", "right", "up", "down"].map((way) => neighbour(boxes, 4, way)), [3, 5, 1, 7]);
  assert.deepEqual(["left", "up"].map((way) => neighbour(boxes, 0, way)), [0, 0]);
  assert.deepEqual(["right", "down"].map((way) => neighbour(boxes, 8, way)), [8, 8]);
});
