// Builds the page's elements. Text only ever enters as text: nothing here parses markup.

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
const UNDEFINED = "–";

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svgElement(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG_NAMESPACE, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  fill(node, ...children);
  return node;
}

// Puts children in the place of those that a node has; text as text, null as nothing.
function fill(node, ...children) {
  node.replaceChildren(...children.filter((child) => child !== null).map(asNode));
}

function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

function byId(id) {
  return document.getElementById(id);
}

function formatNumber(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return UNDEFINED;
  return (Math.round(value * 10 ** digits) / 10 ** digits + 0).toFixed(digits);
}

function selectBox(label, options, chosen, onChange) {
  const select = element("select", {
    "aria-label": label,
    change: () => onChange(options[select.selectedIndex].value),
  });
  for (const option of options) {
    select.append(element("option", { selected: option.value === chosen }, option.label));
  }
  return element("label", { class: "field" }, element("span", {}, label), select);
}

function checkBox(label, isChecked, onChange) {
  const box = element("input", {
    type: "checkbox",
    checked: isChecked,
    "data-focus": `check/${label}`,
    change: () => onChange(box.checked),
  });
  return element("label", { class: "check" }, box, element("span", {}, label));
}

function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

// Draws a mark of the given shape: shapes tell series and nodes apart where colours cannot.
function markPath(shape, x, y, size) {
  const s = size;
  switch (shape) {
    case "square":
      return `M${x - s} ${y - s}h${2 * s}v${2 * s}h${-2 * s}z`;
    case "triangle":
      return `M${x} ${y - 1.25 * s}L${x + 1.25 * s} ${y + s}H${x - 1.25 * s}z`;
    case "flag":
      return `M${x} ${y + 1.25 * s}L${x - 1.25 * s} ${y - s}H${x + 1.25 * s}z`;
    case "diamond":
      return `M${x} ${y - 1.35 * s}L${x + 1.35 * s} ${y}L${x} ${y + 1.35 * s}L${x - 1.35 * s} ${y}z`;
    case "cross":
      return `M${x - s} ${y - s}L${x + s} ${y + s}M${x + s} ${y - s}L${x - s} ${y + s}`;
    default:
      return `M${x - s} ${y}a${s} ${s} 0 1 0 ${2 * s} 0a${s} ${s} 0 1 0 ${-2 * s} 0z`;
  }
}
