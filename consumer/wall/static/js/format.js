// Words for numbers, times and files. Pure.

/** `34 ms`, `1.2 s`; `–` if there is none. */
export function duration(ms) {
  if (!Number.isFinite(ms)) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Time of day of a Unix time, as the reader's clock shows it: `14:03:09`. */
export function timeOfDay(unixMs) {
  const time = new Date(unixMs);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((n) => `${n}`.padStart(2, "0")).join(":");
}

/** `1.2 MB/s`, `340 kB/s`. */
export function rate(bytesPerS) {
  if (!Number.isFinite(bytesPerS)) return "–";
  return bytesPerS < 1e6 ? `${Math.round(bytesPerS / 1000)} kB/s` : `${(bytesPerS / 1e6).toFixed(1)} MB/s`;
}

/** `cam-2026-11-28T14-03-09.123456Z.png`: sorts by time, and is a file name on every system. */
export function snapshotName(stream, captureUs) {
  const us = BigInt(Math.round(Number(captureUs)));
  const second = new Date(Number(us / 1000n)).toISOString().slice(0, 19).replaceAll(":", "-");
  const fraction = `${us % 1_000_000n}`.padStart(6, "0");
  return `${stream.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 64)}-${second}.${fraction}Z.png`;
}

/** What was dropped, by reason, without the zeros: `late 3, awaiting key 1`; `none`. */
export function dropped(counts) {
  const words = Object.entries(counts ?? {}).filter(([, count]) => count > 0);
  return words.map(([reason, count]) => `${spaced(reason)} ${count}`).join(", ") || "none";
}

const spaced = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
