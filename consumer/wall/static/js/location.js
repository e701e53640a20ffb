// What the address of the page says: which streams, which layout, which options. Pure.

const VIAS = ["webcodecs", "mse", "mjpeg"];
const MOST_PATTERNS = 64;
const PLAYOUTS = ["latest", "sync"];
const DETECTOR = /^(\*|[A-Za-z0-9_-]{1,64})$/;

export const DEFAULTS = Object.freeze({
  streams: ["*"], // patterns, in the order in which their streams are shown
  one: null, // the stream that is shown alone
  via: null, // null: whatever the browser does best
  playout: "latest",
  delayMs: 150,
  maxAgeMs: null, // null: what the gateway says
  results: null, // names of detectors whose results are drawn, "*" for all; null: none
  waitMs: 80, // up to which age a picture waits for them
});

/** `{view, problems}` of `location.search`; a value that is not allowed is left out and named. */
export function parse(search) {
  const query = new URLSearchParams(search);
  const view = { ...DEFAULTS };
  const problems = [];

  const patterns = (query.get("streams") ?? "").split(",").map((text) => text.trim()).filter(Boolean);
  if (patterns.length) view.streams = patterns.slice(0, MOST_PATTERNS);
  if (patterns.length > MOST_PATTERNS) problems.push(`streams: allowed are ${MOST_PATTERNS} names or patterns`);

  const layout = query.get("layout") ?? "grid";
  if (layout.startsWith("one:") && layout.length > 4) view.one = layout.slice(4);
  else if (layout !== "grid") problems.push(`layout=${layout}: allowed are grid and one:STREAM`);

  const choose = (name, allowed, fallback) => {
    const text = query.get(name);
    if (text === null || allowed.includes(text)) return text ?? fallback;
    problems.push(`${name}=${text}: allowed are ${allowed.join(", ")}`);
    return fallback;
  };
  view.via = choose("via", VIAS, DEFAULTS.via);
  view.playout = choose("playout", PLAYOUTS, DEFAULTS.playout);

  const number = (name, least, most, fallback) => {
    const text = query.get(name);
    if (text === null) return fallback;
    const value = Number(text);
    if (text.trim() && value >= least && value <= most) return value;
    problems.push(`${name}=${text}: allowed are ${least} to ${most} ms`);
    return fallback;
  };
  view.delayMs = number("delay", 0, 10_000, DEFAULTS.delayMs);
  view.maxAgeMs = number("max-age", 20, 60_000, DEFAULTS.maxAgeMs);
  view.waitMs = number("wait", 0, 10_000, DEFAULTS.waitMs);
  if (query.has("results")) view.results = detectors(query.get("results"));
  if (query.get("results") && view.results === null) {
    problems.push(`results=${query.get("results")}: allowed are names of detectors, or *`);
  }
  return { view, problems };
}

/** Names of detectors separated by commas, or null where there is none or one that is not allowed. */
export function detectors(text) {
  const names = text.split(",").map((name) => name.trim()).filter(Boolean);
  return names.length && names.length <= MOST_PATTERNS && names.every((name) => DETECTOR.test(name)) ? names : null;
}

/** The shortest query that `parse` reads back as this view: "" or "?…". */
export function format(view) {
  const query = new URLSearchParams();
  if (view.streams.join() !== DEFAULTS.streams.join()) query.set("streams", view.streams.join());
  if (view.one !== null) query.set("layout", `one:${view.one}`);
  if (view.via !== DEFAULTS.via) query.set("via", view.via);
  if (view.playout !== DEFAULTS.playout) query.set("playout", view.playout);
  if (view.delayMs !== DEFAULTS.delayMs) query.set("delay", view.delayMs);
  if (view.maxAgeMs !== DEFAULTS.maxAgeMs) query.set("max-age", view.maxAgeMs);
  if (view.results !== DEFAULTS.results) query.set("results", view.results.join());
  if (view.waitMs !== DEFAULTS.waitMs) query.set("wait", view.waitMs);
  const text = query.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
  return text && `?${text}`;
}

/** Streams of the view, in its order: first by pattern, then by name. What is named without a wildcard is
 * there even if it is not live. */
export function selected(patterns, live) {
  const found = new Set();
  for (const pattern of patterns) {
    if (!isWildcard(pattern)) found.add(pattern);
    else live.filter((name) => matches(pattern, name)).sort().forEach((name) => found.add(name));
  }
  return [...found];
}

function isWildcard(pattern) {
  return /[*?]/.test(pattern);
}

/** Like fnmatch, in linear steps per `*`: a link must not be able to stop the page. */
function matches(pattern, name) {
  let [at, position, star, from] = [0, 0, -1, 0];
  while (position < name.length) {
    if (pattern[at] === "*") {
      star = at++;
      from = position;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === name[position])) {
      at++;
      position++;
    } else if (star >= 0) {
      at = star + 1;
      position = ++from;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(at));
}
