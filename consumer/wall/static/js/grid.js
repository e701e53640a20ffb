// Where the tiles go: rows in which every tile keeps its aspect, as large as they fit. Pure; sizes in CSS px.
// A row is a list of cells; a cell is one tile, or some on top of each other, and given as their aspects.

const NARROW_PX = 600; // below it rows span the whole width, and the page scrolls
const NARROW_SCREENS = 1.25; // as many screens may be scrolled there before tiles share rows
const LEAST_WIDTH_PX = 150;
const LEAST_HEIGHT_PX = 96;
const COLUMNS = [2, 3]; // so many tiles may stand beside a large first one
const MOST_BALANCED = 64; // balancing takes time to the power of three: more are put so many in a row
const SIZES = Array.from({ length: 40 }, (_, index) => 40 - index);
const MOST_FEATURED = 16; // with more tiles it gains nothing

/** `{boxes: [{x, y, width, height}], height}` of tiles with these aspects (width / height), in reading order.
 * `height` is larger than what is there when the page has to scroll. */
export function arrange(aspects, width, height, gap) {
  if (!aspects.length || width <= 0 || height <= 0) return { boxes: [], height: 0 };
  const usable = aspects.map((aspect) => Math.min(Math.max(aspect || 16 / 9, 0.2), 5));
  const plain = partitions(usable).map((rows) => sized(rows, width, height, gap));
  if (width < NARROW_PX) return placed(bestScrolled(plain, height), width, height, gap);
  const featured = COLUMNS.filter((count) => count < usable.length && usable.length <= MOST_FEATURED).flatMap((count) => {
    const first = [[usable[0]], usable.slice(1, count + 1)];
    return partitions(usable.slice(count + 1)).map((rows) => sized([first, ...rows], width, height, gap));
  });
  return placed(bestFitted(plain, featured, width, gap), width, height, gap);
}

/** Index of the next tile in a direction (`left`, `right`, `up`, `down`) from one; the same at the border. */
export function neighbour(boxes, index, direction) {
  if (direction === "left") return Math.max(0, index - 1);
  if (direction === "right") return Math.min(boxes.length - 1, index + 1);
  const from = boxes[index];
  const beyond = (box) => (direction === "up" ? box.y < from.y - 1 : box.y > from.y + 1);
  const distance = (box) => Math.abs(box.y - from.y) * 1e4 + Math.abs(middle(box) - middle(from));
  const others = boxes.filter(beyond).sort((a, b) => distance(a) - distance(b));
  return others.length ? boxes.indexOf(others[0]) : index;
}

const middle = (box) => box.x + box.width / 2;
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const slenderness = (cell) => sum(cell.map((aspect) => 1 / aspect)); // height of a cell that is 1 wide
const cellWidth = (cell, height, gap) => (height - gap * (cell.length - 1)) / slenderness(cell);
const rowWidth = (cells, height, gap) =>
  sum(cells.map((cell) => cellWidth(cell, height, gap))) + gap * (cells.length - 1);

/** For 1, 2, … rows: the tiles in that many rows, none much wider than another (least squares), and the
 * shorter rows first. */
function partitions(aspects) {
  if (!aspects.length) return [[]];
  if (aspects.length > MOST_BALANCED) return SIZES.map((size) => chunks(aspects, size));
  const before = [0];
  aspects.forEach((aspect, index) => before.push(before[index] + aspect));
  const all = [];
  let best = [{ cost: 0 }]; // best[n]: of the first n tiles in so many rows
  for (let count = 1; count <= aspects.length; count++) {
    const next = [];
    for (let start = count - 1; start < aspects.length && best[start]; start++) {
      for (let end = start + 1; end <= aspects.length; end++) {
        const cost = best[start].cost + (before[end] - before[start]) ** 2;
        if (!next[end] || cost < next[end].cost - 1e-9) next[end] = { cost, start, end, above: best[start] };
      }
    }
    best = next;
    const rows = [];
    for (let row = best[aspects.length]; row.above; row = row.above) {
      rows.unshift(aspects.slice(row.start, row.end).map((aspect) => [aspect]));
    }
    all.push(rows);
  }
  return all;
}

function chunks(aspects, size) {
  const rows = [];
  for (let start = 0; start < aspects.length; start += size) {
    rows.push(aspects.slice(start, start + size).map((aspect) => [aspect]));
  }
  return rows;
}

/** Rows as high as the width allows (`full`), and cut to what fits the height (`height`): the highest first, or
 * all of them where little is cut, so that their ends stay in line. */
function sized(rows, width, height, gap) {
  const full = rows.map((cells) => {
    const zero = rowWidth(cells, 0, gap);
    return (width - zero) / (rowWidth(cells, 1, gap) - zero);
  });
  const available = height - gap * (rows.length - 1);
  const scale = available / sum(full);
  if (scale < 1 && scale > 0.97) {
    return rows.map((cells, index) => ({ cells, full: full[index], height: full[index] * scale }));
  }
  let rest = available;
  let cap = Infinity;
  [...full].sort((a, b) => a - b).some((rowHeight, index) => {
    if (rowHeight * (full.length - index) > rest) cap = rest / (full.length - index);
    rest -= rowHeight;
    return cap < Infinity;
  });
  return rows.map((cells, index) => ({ cells, full: full[index], height: Math.min(full[index], cap) }));
}

/** What gives the tiles the largest mean size, in length: in area, one huge tile would outweigh many. */
function bestFitted(plain, featured, width, gap) {
  const size = (rows) => sum(rows.map((row) => sum(row.cells.map((cell) =>
    sum(cell.map((aspect) => cellWidth(cell, row.height, gap) / Math.sqrt(aspect)))))));
  const larger = (best, rows) => (size(rows) > size(best) * 1.02 ? rows : best);
  const best = [...plain, ...featured].reduce(larger);
  const visible = (name) => (rows) => rows.every((row) => row[name] >= LEAST_HEIGHT_PX);
  if (!visible("height")(best)) return scrolled(plain.find(visible("full")) ?? plain.at(-1));
  const even = plain.includes(best) && best.every((row) => Math.abs(row.height - best[0].height) < 0.01 && row.height < row.full);
  return even ? filled(best, width, gap) : best;
}

/** Where all rows are of one height they are filled one after the other, so that the tiles stand in columns. */
function filled(rows, width, gap) {
  const { height } = rows[0];
  const result = [];
  for (const cell of rows.flatMap((row) => row.cells)) {
    const last = result.at(-1);
    if (last && rowWidth([...last.cells, cell], height, gap) <= width + 0.01) last.cells.push(cell);
    else result.push({ cells: [cell], height });
  }
  return result;
}

function bestScrolled(plain, height) {
  const total = (rows) => sum(rows.map((row) => row.full));
  const wide = (rows) => rows.every((row) => row.cells.every(([tile]) => tile * row.full >= LEAST_WIDTH_PX));
  const short = plain.filter((rows) => wide(rows) && total(rows) <= height * NARROW_SCREENS);
  return scrolled(short.at(-1) ?? plain.find(wide) ?? plain.at(-1));
}

const scrolled = (rows) => rows.map((row) => ({ ...row, height: row.full }));

function placed(rows, width, height, gap) {
  const total = sum(rows.map((row) => row.height)) + gap * (rows.length - 1);
  const boxes = [];
  let top = Math.max(0, (height - total) / 2);
  for (const row of rows) {
    let x = (width - rowWidth(row.cells, row.height, gap)) / 2;
    for (const cell of row.cells) {
      const wide = cellWidth(cell, row.height, gap);
      let y = top;
      for (const aspect of cell) {
        boxes.push({ x, y, width: wide, height: wide / aspect });
        y += wide / aspect + gap;
      }
      x += wide + gap;
    }
    top += row.height + gap;
  }
  return { boxes, height: Math.max(height, total) };
}
