// Loads the page again where a part of it was not loaded: at a screen on a wall there is nobody who does.
// No module, so that it depends on no other part.

const LONGEST_START_MS = 10_000;
const RETRY_MS = 2000;

async function checkStarted() {
  if (window.fanlight?.engine.started) return;
  // Not while the server is away: the browser would show an error, for ever.
  const answer = await fetch("/", { method: "HEAD", cache: "no-store" }).catch(() => null);
  if (answer?.ok) location.reload();
  else setTimeout(checkStarted, RETRY_MS);
}

setTimeout(checkStarted, LONGEST_START_MS);
