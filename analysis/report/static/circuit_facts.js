// What the log says about the circuits in the graph: their sizes, what they can do, how they overlap.

function circuitFacts(log, choice) {
  const rows = [
    ["A", choice.keys.a, choice.a],
    ["B", choice.keys.b, choice.b],
  ]
    .filter(([, , circuit]) => circuit)
    .map(([letter, key, circuit]) => factsRow(log, choice, letter, key, circuit));
  const titles = ["", "channels by layer", "edges", "recall alone", "false positives", "recall without", "usable"];
  const head = element("thead", {}, element("tr", {}, ...titles.map((title) => element("th", {}, title))));
  return element(
    "div",
    {},
    element("p", { class: "hint" }, pairText(log, choice)),
    element(
      "div",
      { class: "scroll" },
      element("table", { class: "plain facts" }, head, element("tbody", {}, ...rows)),
    ),
  );
}

function factsRow(log, choice, letter, key, circuit) {
  const source = choice.sources.get(key);
  const quality = qualityOf(log, source.isBefore ? choice.before : choice.round, source, choice.classId);
  const sizes = log.circuits.layers.map((_, layer) => log.circuits.channels(circuit, layer).length);
  const verdict = { 1: "yes", 0: "no" }[quality.usable];
  const usable = [verdict, quality.reason].filter((part) => part).join(": ") || "unknown";
  const figures = ["sufficiency", "false_positive_rate", "necessity"].map((name) => formatNumber(quality[name], 2));
  const cells = [sizes.join(" + "), log.circuits.edges(circuit).length.toLocaleString("en"), ...figures, usable];
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, `${letter}: ${nameOf(choice.sources, key)}`),
    ...cells.map((cell) => element("td", {}, cell)),
  );
}

function qualityOf(log, round, source, classId) {
  const [part] = log.parts.quality;
  const [row] = part.rows({ round, model: source.model, partition_id: source.partition, class_id: classId });
  if (row === undefined) return {};
  const names = ["sufficiency", "false_positive_rate", "necessity", "usable", "reason"];
  return Object.fromEntries(names.map((name) => [name, part.column(name)(row)]));
}

// Says how the two overlap, as far as the log compares them.
function pairText(log, choice) {
  if (!choice.b) return "";
  const [a, b] = [choice.keys.a, choice.keys.b].map((key) => choice.sources.get(key));
  const isClients = a.model === "client" && b.model === "client";
  const isAverage = a.model === "client" && b.model === "global" && !b.isBefore && a.partition === b.partition;
  if (!isClients && !isAverage) return "The log does not compare these two.";
  const comparison = isClients ? "same_class_across_clients" : "local_vs_global";
  const row = pairRow(log, { round: choice.round, comparison, class_id: choice.classId }, a.partition, b.partition);
  if (!row) {
    const why = whyNoCircuits(log, choice.round) || `${whyNotCompared(log, choice.round, [a, b], choice.classId)}.`;
    return `Their overlap is not in this page: ${why}`;
  }
  return `Overlap as logged: IoU ${formatNumber(row("iou:all"))}, chance ${formatNumber(row("expected_iou:all"))}, adjusted ${formatNumber(row("adjusted_iou:all"))}, φ ${formatNumber(row("phi:all"))}.`;
}

function pairRow(log, wanted, a, b) {
  const [part] = log.parts.overlap;
  const [row] = [...part.rows({ ...wanted, a, b }), ...part.rows({ ...wanted, a: b, b: a })];
  return row === undefined ? null : (name) => part.column(name)?.(row) ?? null;
}
