/** Draws results onto a picture, with the colours of the sink `window` (consumer/drawing.py). Runs in the worker. */

const COLOURS = ["#50d8ff", "#ffb43c", "#78e678", "#ff78c8", "#ffe65a", "#b496ff"];
const SHADE = "rgb(8 9 11 / 74%)";
const INK = "#fff";
// Relative to the height of the picture, and at least so many pixels.
const LINE = 1 / 300;
const TEXT = 1 / 32;
const LEAST_TEXT_PX = 11;

/** The colour of a detector: the same in every window and on every page. */
export function colourOf(name) {
  const sum = [...new TextEncoder().encode(name)].reduce((total, byte) => total + byte, 0);
  return COLOURS[sum % COLOURS.length];
}

/** What stands beside each box: `face 0.93`. */
export function captionOf({ labels = [], scores = [] }, index) {
  const score = scores[index];
  return [labels[index], score === undefined ? undefined : score.toFixed(2)].filter(Boolean).join(" ");
}

/**
 * @param {OffscreenCanvasRenderingContext2D} context with the picture, `width` x `height` pixels large
 * @param {Array} results as docs/web.md has them; each is in pixels of its own `width` and `height`
 */
export function drawResults(context, results, width, height) {
  if (results.length === 0) return;
  context.save();
  context.lineWidth = Math.max(2, Math.round(height * LINE));
  context.lineJoin = "round";
  const textPx = Math.max(LEAST_TEXT_PX, Math.round(height * TEXT));
  context.font = `600 ${textPx}px system-ui, sans-serif`;
  context.textBaseline = "alphabetic";
  for (const result of results) drawOne(context, result, width / result.width, height / result.height, textPx);
  context.restore();
}

function drawOne(context, result, scaleX, scaleY, textPx) {
  const { boxes = [], points = [], polygons = [], texts = [] } = result;
  const place = ([x, y]) => [x * scaleX, y * scaleY];
  context.strokeStyle = context.fillStyle = colourOf(result.name);
  for (const polygon of polygons) {
    context.beginPath();
    for (const point of polygon) context.lineTo(...place(point));
    context.closePath();
    context.stroke();
  }
  for (const [left, top, right, bottom] of boxes) {
    context.strokeRect(left * scaleX, top * scaleY, (right - left) * scaleX, (bottom - top) * scaleY);
  }
  for (const point of points) {
    context.beginPath();
    context.arc(...place(point), context.lineWidth * 1.5, 0, 2 * Math.PI);
    context.fill();
  }
  boxes.forEach(([left, top], index) => say(context, captionOf(result, index), ...place([left, top]), textPx));
  for (const [x, y, text] of texts) say(context, text, ...place([x, y]), textPx);
}

/** A text whose lower left corner is there; inside the picture if that is its upper edge. */
function say(context, text, x, y, textPx) {
  if (!text) return;
  const colour = context.fillStyle;
  const high = Math.round(textPx * 1.3);
  const bottom = Math.max(high, y);
  context.fillStyle = SHADE;
  context.fillRect(x, bottom - high, context.measureText(text).width + textPx * 0.6, high);
  context.fillStyle = INK;
  context.fillText(text, x + textPx * 0.3, bottom - textPx * 0.35);
  context.fillStyle = colour;
}
