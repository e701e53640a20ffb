// Builds the wall that the address describes, and keeps the two in step.

import { openHelp, openView, prepareDialogs } from "./dialogs.js";
import { byId, copyText } from "./dom.js";
import { Engine } from "./engine.js";
import { listen } from "./keys.js";
import { format, parse } from "./location.js";
import { Wall } from "./wall.js";

const IDLE_AFTER_MS = 3500;
const NOTICE_MS = 5000;

let { view, problems } = parse(location.search);
const engine = new Engine({
  url: new URL("/ws", location.href.replace(/^http/, "ws")).href,
  ...options(view),
});
const wall = new Wall(engine, view);
let lastResults = view.results ?? ["*"];

function options({ maxAgeMs, playout, delayMs, via, results, waitMs }) {
  return { maxAgeMs, playout, delayMs, via, results, waitMs };
}

// Address ----------------------------------------------------------------------------------------------

function go(changes) {
  const next = { ...view, ...changes };
  const address = format(next) || location.pathname;
  if (changes.one === null && history.state?.fromGrid) return history.back();
  history.pushState({ fromGrid: view.one === null }, "", address);
  show(next);
}

function show(next) {
  view = next;
  lastResults = view.results ?? lastResults;
  engine.configure(options(view));
  wall.setView(view);
  refresh();
}

window.addEventListener("popstate", () => show(parse(location.search).view));

// What is said around the pictures ---------------------------------------------------------------------

function refresh() {
  const { one } = view;
  const { streams, live } = wall;
  byId("title").textContent = one ?? "Fanlight";
  document.title = one === null ? "Fanlight" : `${one} · Fanlight`;
  byId("back").hidden = one === null;
  byId("results").setAttribute("aria-pressed", `${view.results !== null}`);
  byId("previous").hidden = byId("next").hidden = one === null || streams.length < 2;
  byId("count").textContent = one !== null || !streams.length ? "" : streams.length === 1 ? "1 stream" : `${streams.length} streams`;
  byId("empty").hidden = streams.length > 0;
  if (streams.length) return;
  const others = live?.length ?? 0;
  byId("empty-title").textContent = live === null ? "Connecting" : others ? "No such stream" : "No stream yet";
  byId("empty-text").textContent = live === null
    ? "Asking the server which streams are live."
    : others ? `None of the ${others} live streams matches “${view.streams.join(", ")}”.` : "";
  for (const line of document.querySelectorAll("#empty .start")) line.hidden = live === null || others > 0;
  byId("empty-all").hidden = others === 0;
}

let noticeTimer = 0;
function say(text) {
  byId("notice").textContent = text;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => (byId("notice").textContent = ""), NOTICE_MS);
}

async function onConnection({ detail: { connected, attempts, reason } }) {
  const banner = byId("connection");
  if (connected) return banner.replaceChildren();
  if (!attempts) return;
  banner.textContent = `No connection${reason ? ` (${reason})` : ""}. Pictures are not live; trying again.`;
  const answer = await fetch("/", { method: "HEAD", redirect: "manual" }).catch(() => null);
  if (engine.connected || (answer?.type !== "opaqueredirect" && answer?.status !== 401)) return;
  const link = document.createElement("a");
  link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  link.textContent = "Sign in again";
  banner.replaceChildren("The session has ended. ", link);
}

// Actions ----------------------------------------------------------------------------------------------

const open = (stream) => stream !== undefined && stream !== view.one && go({ one: stream });
const back = () => view.one !== null && go({ one: null });
const fullscreen = () =>
  document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen?.();
const onCurrent = (action) => () => {
  const tile = wall.current;
  if (tile) tile[action]();
  else say("Choose a stream first: with the arrow keys, or its digit");
};
/** No step back in the history: it is no other view. */
const toggleResults = () => {
  const next = { ...view, results: view.results === null ? lastResults : null };
  history.replaceState(history.state, "", format(next) || location.pathname);
  show(next);
  say(next.results === null ? "Results are not drawn" : `Drawn: results of ${next.results.join(", ").replace("*", "all detectors")}`);
};
const viewDialog = () => {
  const names = [...new Set([...wall.streams, ...(wall.live ?? [])])];
  openView(view, names.map((stream) => ({ stream, shown: wall.streams.includes(stream) })), go);
};

listen({
  open: (index) => open(wall.streams[index]),
  back,
  step: (direction) => wall.step(direction),
  fullscreen,
  pause: onCurrent("togglePause"),
  snapshot: onCurrent("snapshot"),
  details: onCurrent("toggleDetails"),
  results: toggleResults,
  view: viewDialog,
  help: openHelp,
});
byId("back").addEventListener("click", back);
byId("previous").addEventListener("click", () => wall.step("left"));
byId("next").addEventListener("click", () => wall.step("right"));
byId("fullscreen").addEventListener("click", fullscreen);
byId("fullscreen").hidden = !document.fullscreenEnabled;
byId("results").addEventListener("click", toggleResults);
byId("open-view").addEventListener("click", viewDialog);
byId("open-help").addEventListener("click", openHelp);
byId("empty-all").addEventListener("click", () => go({ streams: ["*"] }));
byId("empty-copy").addEventListener("click", async () => {
  await copyText(byId("empty-command").textContent);
  say("Copied the command");
});
for (const button of document.querySelectorAll("#bar .tool")) button.title = button.getAttribute("aria-label");
prepareDialogs(say);

wall.addEventListener("open", ({ detail }) => (detail === null ? back() : open(detail)));
wall.addEventListener("notice", ({ detail }) => say(detail));
wall.addEventListener("change", refresh);
engine.addEventListener("connection", onConnection);
engine.addEventListener("results", ({ detail }) => say(`No results of ${detail.stream}: ${detail.reason}`));

// A wall that hangs: bar and pointer leave, the screen stays on ----------------------------------------

let idleTimer = 0;
function wake() {
  document.body.classList.remove("idle");
  clearTimeout(idleTimer);
  idleTimer = setTimeout(() => document.body.classList.add("idle"), IDLE_AFTER_MS);
}
for (const type of ["pointermove", "pointerdown", "keydown", "focusin"]) document.addEventListener(type, wake);

async function stayOn() {
  if (document.hidden) return;
  await navigator.wakeLock?.request("screen").catch(() => null); // refused when the battery is low
}
document.addEventListener("visibilitychange", stayOn);

window.fanlight = {
  engine,
  get tiles() {
    return wall.handles;
  },
};
if (view.via !== null && !Engine.supports(view.via)) {
  problems.push(`via=${view.via}: this browser does not have it here`);
}
if (problems.length) say(`Left out of the address: ${problems.join("; ")}`);
wake();
stayOn();
refresh();
engine.connect();
