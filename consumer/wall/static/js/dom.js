// Elements without innerHTML: what comes from the server is text, whatever it says.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** A button with a picture of `icons.svg`; `label` is what it does. */
export function iconButton(icon, label, onClick) {
  const button = element("button", "tool");
  button.type = "button";
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "use"));
  button.append(svg);
  button.addEventListener("click", onClick);
  setIcon(button, icon, label);
  return button;
}

export function setIcon(button, icon, label) {
  setText(button.querySelector("use"), "href", `/static/icons.svg#${icon}`);
  setText(button, "aria-label", label);
  setText(button, "title", label);
}

/** Written only where it changes: an element that is written is laid out again, an icon fetched. */
export function setText(node, attribute, text) {
  if (attribute === null) {
    if (node.textContent !== text) node.textContent = text;
  } else if (node.getAttribute(attribute) !== text) node.setAttribute(attribute, text);
}

/** Into the clipboard, also where the page is no secure context. */
export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = element("textarea", "", text);
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
