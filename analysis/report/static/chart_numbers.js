// The numbers of a chart: under the pointer, and as a table.

const openTables = new Set();

function chartTooltip(options, series, round) {
  return [`Round ${round}`, ...series.map((one) => `${one.name}: ${pointText(one.points.get(round), options.digits)}`)];
}

function pointText(point, digits) {
  if (!point) return UNDEFINED;
  const spread =
    point.low === undefined
      ? ""
      : ` (80 % lie in ${formatNumber(point.low, digits)}…${formatNumber(point.high, digits)})`;
  const count = point.count > 1 ? `, n = ${point.count}` : "";
  return `${formatNumber(point.mean, digits)}${count}${spread}`;
}

function numbersTable(options, series) {
  const details = element(
    "details",
    { class: "numbers", open: openTables.has(options.id) },
    element("summary", {}, "Numbers"),
  );
  const showRows = () => {
    if (details.open) openTables.add(options.id);
    else openTables.delete(options.id);
    if (details.open && details.children.length === 1) details.append(numbersBody(options, series));
  };
  details.addEventListener("toggle", showRows);
  if (details.open) showRows();
  return details;
}

function numbersBody(options, series) {
  const head = element("tr", {}, element("th", {}, "round"), ...series.map((one) => element("th", {}, one.name)));
  const rows = options.rounds.map((round) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, round),
      ...series.map((one) => element("td", {}, valueAt(one, round, options.digits))),
    ),
  );
  return element(
    "div",
    { class: "scroll" },
    element("table", { class: "plain" }, element("thead", {}, head), element("tbody", {}, ...rows)),
  );
}
