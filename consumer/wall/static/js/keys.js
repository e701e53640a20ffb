// What the keyboard does, wherever the focus is but in a field or a dialog.

const ARROWS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

/** `actions`: open(index), back(), step(direction), fullscreen(), pause(), snapshot(), details(), results(), view(), help(). */
export function listen(actions) {
  const plain = {
    Escape: actions.back,
    0: actions.back,
    f: actions.fullscreen,
    p: actions.pause,
    s: actions.snapshot,
    i: actions.details,
    r: actions.results,
    v: actions.view,
    "?": actions.help,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    if (document.querySelector("dialog[open]") || event.target.closest?.("input, select, textarea")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in ARROWS) actions.step(ARROWS[key]);
    else if (key >= "1" && key <= "9") actions.open(Number(key) - 1);
    else if (Object.hasOwn(plain, key)) plain[key]();
    else return;
    event.preventDefault();
  });
}
