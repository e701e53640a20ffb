// The two dialogs: help, and what this view is (its link, QR code and options).

import { byId, copyText, element } from "./dom.js";
import { detectors, format } from "./location.js";

export function openHelp() {
  byId("help").showModal();
}

/** `streams`: names that can be chosen; `apply(view)` is called with what was chosen. */
export function openView(view, streams, apply) {
  const link = new URL(format(view) || location.pathname, location.href).href;
  byId("view-link").value = link;
  byId("view-qr").src = `/qr.svg?u=${encodeURIComponent(link)}`;
  byId("view-local").hidden = !/^(localhost|127\..*|\[::1\])$/.test(location.hostname);
  byId("option-streams").replaceChildren(...streams.map(({ stream, shown }) => choice(stream, shown)));
  byId("option-playout").value = view.playout;
  byId("option-delay").value = view.delayMs;
  byId("option-age").value = view.maxAgeMs ?? "";
  byId("option-via").value = view.via ?? "";
  byId("option-results").value = view.results?.join() ?? "";
  byId("option-wait").value = view.waitMs;
  byId("options").onsubmit = (event) => {
    event.preventDefault();
    byId("view").close();
    apply(chosen(view, streams));
  };
  byId("view").showModal();
}

/** `say(line)` tells that something was copied. */
export function prepareDialogs(say) {
  byId("view-copy").addEventListener("click", async () => {
    await copyText(byId("view-link").value);
    say("Copied the link");
  });
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close(); // beside it
    });
  }
}

function choice(stream, checked) {
  const label = element("label", "choice");
  const box = element("input");
  Object.assign(box, { type: "checkbox", value: stream, checked });
  label.append(box, element("span", "", stream));
  return label;
}

/** The view of what is filled in; patterns stay as they were unless other streams were ticked. */
function chosen(view, streams) {
  const ticked = [...byId("option-streams").querySelectorAll("input:checked")].map((box) => box.value);
  const before = streams.filter(({ shown }) => shown).map(({ stream }) => stream);
  const same = ticked.join() === before.join();
  const all = ticked.length === 0 || ticked.length === streams.length;
  return {
    ...view,
    streams: same ? view.streams : all ? ["*"] : ticked,
    playout: byId("option-playout").value,
    delayMs: byId("option-delay").valueAsNumber,
    maxAgeMs: byId("option-age").value ? byId("option-age").valueAsNumber : null,
    via: byId("option-via").value || null,
    results: detectors(byId("option-results").value),
    waitMs: byId("option-wait").valueAsNumber,
  };
}
