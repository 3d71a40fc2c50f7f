// A table whose cells are coloured by value: numbers stand in the cells where they fit, and under the pointer always.

const MOST_NUMBERED_COLUMNS = 14;

// Draws a heat map into `host`.
// options: id; label; corner; rows and columns, lists of {label, value}; cell(row, column), a number or null; high, the
// value of the full colour; isBad, whether values are better the lower; digits; describe(row, column), lines of text; chosen {row, column}; onPick(row, column).
function drawHeatMap(host, options) {
  const isNumbered = options.columns.length <= MOST_NUMBERED_COLUMNS;
  const columns = options.columns.map(() => []);
  const body = options.rows.map((row) => {
    const cells = options.columns.map((column, place) => {
      const cell = heatCell(options, row, column, isNumbered);
      columns[place].push(cell);
      return cell;
    });
    return element("tr", {}, heatTitle("row", row, row.label, options), ...cells);
  });
  const table = element(
    "table",
    { class: isNumbered ? "heat" : "heat is-dense", role: "grid", "aria-label": options.label },
    element("thead", {}, heatHead(options, isNumbered)),
    element("tbody", {}, ...body),
  );
  // Wide enough to fill the card, but cells of few columns stay cells.
  table.style.setProperty("--most-width", `${5 + 4.5 * options.columns.length}rem`);
  moveByArrows(table, columns);
  host.replaceChildren(element("div", { class: "scroll" }, table));
}

function heatHead(options, isNumbered) {
  const step = isNumbered ? 1 : Math.ceil(options.columns.length / 12);
  const titles = options.columns.map((column, place) =>
    heatTitle("column", column, place % step === 0 ? column.label : "", options),
  );
  return element("tr", {}, element("td", { class: "corner" }, options.corner), ...titles);
}

function heatTitle(side, entry, text, options) {
  const isChosen = options.chosen?.[side] === entry.value;
  const scope = side === "row" ? "row" : "col";
  return element("th", { scope, class: isChosen ? "is-chosen" : null }, isChosen ? entry.label : text);
}

function heatCell(options, row, column, isNumbered) {
  const value = options.cell(row.value, column.value);
  const isKnown = value !== null && !Number.isNaN(value);
  const lines = options.describe(row.value, column.value);
  const text = isNumbered && isKnown ? formatNumber(value, options.digits) : "";
  const cell = element(
    "td",
    {
      role: "gridcell",
      "data-focus": `${options.id}/${row.value}/${column.value}`,
      class: heatClass(value, isKnown, options),
      "aria-label": lines.join(", "),
      pointermove: (event) => showTooltip(lines, event.clientX, event.clientY),
      pointerleave: hideTooltip,
      focus: () => showTooltipAt(lines, cell),
      blur: hideTooltip,
    },
    text,
  );
  if (isKnown) cell.style.setProperty("--share", String(heatShare(value, options)));
  if (options.onPick) addPick(cell, () => options.onPick(row.value, column.value));
  return cell;
}

function heatShare(value, options) {
  return Math.min(1, Math.abs(value) / (options.high || 1));
}

function heatClass(value, isKnown, options) {
  if (!isKnown) return "is-missing";
  const strength = heatShare(value, options) > 0.55 ? " is-strong" : "";
  return (value < 0 || options.isBad ? "is-negative" : "is-positive") + strength;
}

function addPick(cell, pick) {
  cell.classList.add("can-pick");
  cell.addEventListener("click", pick);
  cell.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    pick();
  });
}
