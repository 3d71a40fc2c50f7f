// Clients against each other, clients against the global model, and who holds what.

const PAIR_COMPARISONS = [
  { value: "same_class_across_clients", label: "circuits of the same class" },
  { value: "different_class_across_clients", label: "circuits of different classes" },
  { value: "parameter_mask_across_clients", label: "weight masks" },
];

const PAIR_FIGURES = [
  { value: "iou", label: "IoU" },
  { value: "expected_iou", label: "IoU by chance" },
  { value: "adjusted_iou", label: "IoU adjusted for chance" },
  { value: "phi", label: "φ (0 at chance)" },
];

const KEPT_FIGURES = [
  { value: "overlap/iou", label: "IoU of local and global circuit" },
  { value: "overlap/adjusted_iou", label: "the same, adjusted for chance" },
  { value: "transplant/sufficiency", label: "recall, local circuit on global weights" },
  { value: "transplant/false_positive_rate", label: "false positives, local circuit on global weights" },
  { value: "client/sufficiency", label: "recall, local circuit in its own model" },
  { value: "client/false_positive_rate", label: "false positives, local circuit in its own model" },
];

const MOST_CLIENTS = 60;

function drawClients(hosts, log, state, change) {
  const numChosen = state.clients?.size ?? log.clients.length;
  const isCut = numChosen > MOST_CLIENTS;
  fill(
    hosts.note,
    isCut ? `The first ${MOST_CLIENTS} of ${numChosen} chosen clients are shown; filters choose others.` : "",
  );
  const choose = (name) => (value) => change({ figures: { ...state.figures, [name]: value } });
  fill(
    hosts.pairControls,
    selectBox("Compare", PAIR_COMPARISONS, chosenPairs(log, state), choose("pairs")),
    selectBox("Figure", PAIR_FIGURES, state.figures.pairFigure, choose("pairFigure")),
  );
  drawClientPairs(hosts.pairs, log, state, change);
  fill(hosts.keptControls, selectBox("Figure", KEPT_FIGURES, state.figures.kept, choose("kept")));
  drawKept(hosts.kept, log, state, change);
  drawHoldings(hosts.held, log, state, change);
  drawClientTable(hosts.table, log, state);
}

// A map of thousands of rows would be slow to draw, and nobody would read it.
function chosenClients(log, state) {
  return log.clients.filter((client) => state.clients === null || state.clients.has(client)).slice(0, MOST_CLIENTS);
}

function clientLabels(clients) {
  return clients.map((client) => ({ label: client, value: client }));
}

// What is compared unless it was chosen: the first comparison that the log has, as clients may share no class.
function chosenPairs(log, state) {
  if (state.figures.pairs) return state.figures.pairs;
  log.firstPairs ??= PAIR_COMPARISONS.map(({ value }) => value).find((comparison) =>
    log.parts.overlap.some((part) => part.column("a") && part.rows({ comparison }).length > 0),
  );
  return log.firstPairs ?? PAIR_COMPARISONS[0].value;
}

function drawClientPairs(host, log, state, change) {
  const [comparison, figure] = [chosenPairs(log, state), state.figures.pairFigure];
  const cells = pairMeans(log, state, comparison, `${figure}:${state.layer}`);
  if (cells.size === 0) {
    host.replaceChildren(element("p", { class: "empty" }, whyNoPairs(log, comparison, state.round)));
    return;
  }
  const clients = chosenClients(log, state);
  const point = (a, b) => cells.get(keyOf([Math.min(a, b), Math.max(a, b)]));
  drawHeatMap(host, {
    id: "pairs",
    label: "Overlap of clients with each other",
    corner: "client",
    rows: clientLabels(clients),
    columns: clientLabels(clients),
    cell: (a, b) => point(a, b)?.mean ?? null,
    high: 1,
    digits: 2,
    describe: (a, b) =>
      a === b
        ? [`Client ${a}`, "itself"]
        : [`Clients ${a} and ${b}, round ${state.round}`, pairPoint(log, state, comparison, a, b, point(a, b))],
    onPick: (a, b) => a !== b && change({ graph: { ...state.graph, a: `client/${a}`, b: `client/${b}` } }),
  });
}

function pairPoint(log, state, comparison, a, b, point) {
  if (point) return pointText(point, 3);
  return comparison === "same_class_across_clients"
    ? whyNoClass(log, state.round, a, b, state.classId)
    : "no usable circuits of two classes";
}

function pairMeans(log, state, comparison, column) {
  const isOfClass = comparison === "same_class_across_clients" && state.classId !== null;
  const wanted = { round: state.round, comparison, class_id: isOfClass ? state.classId : undefined };
  const groups = new Map();
  for (const part of log.parts.overlap) {
    const values = part.column(column);
    if (!values || !part.column("a")) continue;
    const counts = part.column(`n:${column}`);
    for (const row of part.rows(wanted)) {
      const ends = [part.column("a")(row), part.column("b")(row)].sort((a, b) => a - b);
      if (ends.includes(null)) continue;
      addValue(groups, keyOf(ends), values(row), counts ? counts(row) : 1, counts !== null);
    }
  }
  return new Map([...groups].map(([key, group]) => [key, groupPoint(group)]));
}

function drawKept(host, log, state, change) {
  const [kind, figure] = state.figures.kept.split("/");
  const values = kind === "overlap" ? keptOverlaps(log, state, figure) : keptQuality(log, state, kind, figure);
  if (values.size === 0) {
    const why = whyNoCircuits(log, state.round) || noneKept(kind, state.round);
    host.replaceChildren(element("p", { class: "empty" }, why));
    return;
  }
  const value = (client, classId) => values.get(keyOf([client, classId])) ?? null;
  drawHeatMap(host, {
    id: "kept",
    label: "What averaging leaves of each client's circuits",
    corner: "client \\ class",
    rows: clientLabels(chosenClients(log, state)),
    columns: log.classes.map((classId) => ({ label: classId, value: classId })),
    cell: value,
    high: 1,
    isBad: figure === "false_positive_rate",
    digits: 2,
    describe: (client, classId) => [
      `Client ${log.clientName(client)}, class ${classId}, round ${state.round}`,
      ...keptLines(log, state, kind, client, classId, value(client, classId)),
    ],
    chosen: { column: state.classId },
    onPick: (client, classId) =>
      change({ graph: { ...state.graph, classId, a: `client/${client}`, b: `global/${client}` } }),
  });
}

function noneKept(kind, round) {
  return kind === "overlap"
    ? `In round ${round} no client and the global model have usable circuits of one class.`
    : `In round ${round} no circuit was tried on these weights.`;
}

// Says what a cell shows, or why it shows nothing.
function keptLines(log, state, kind, client, classId, value) {
  const source = { model: "client", partition: client };
  if (value === null) {
    const sources = kind === "overlap" ? [source, globalSource(log, state.round, client)] : [source];
    return [whyNotCompared(log, state.round, sources, classId)];
  }
  return kind === "overlap" ? [formatNumber(value)] : keptRates(log, state, kind, client, classId);
}

// The global model on the images of a client, or else on the server's.
function globalSource(log, round, client) {
  const own = { model: "global", partition: client };
  const hasOwn = log.classes.some((classId) => qualityOf(log, round, own, classId).usable !== undefined);
  return hasOwn ? own : { model: "global", partition: null };
}

function keptOverlaps(log, state, figure) {
  const [part] = log.parts.overlap;
  const values = part.column(`${figure}:${state.layer}`);
  const rows = values ? part.rows({ round: state.round, comparison: "local_vs_global" }) : [];
  return new Map(rows.map((row) => [keyOf([part.column("a")(row), part.column("class_id")(row)]), values(row)]));
}

// Recall is never told without false positives.
function keptRates(log, state, model, client, classId) {
  const rate = (figure) => keptQuality(log, state, model, figure).get(keyOf([client, classId])) ?? null;
  return [`recall ${formatNumber(rate("sufficiency"))}`, `false positives ${formatNumber(rate("false_positive_rate"))}`];
}

function keptQuality(log, state, model, figure) {
  const [part] = log.parts.quality;
  const rows = part.length ? part.rows({ round: state.round, model }) : [];
  return new Map(
    rows.map((row) => [
      keyOf([part.column("partition_id")(row), part.column("class_id")(row)]),
      part.column(figure)(row),
    ]),
  );
}

function drawHoldings(host, log, state, change) {
  if (log.held.length === 0) {
    host.replaceChildren(element("p", { class: "empty" }, "Clients did not say what they hold."));
    return;
  }
  const images = new Map(log.held.map(({ client, images: counts }) => [client, counts]));
  const classes = log.held[0].images.map((_, classId) => ({ label: classId, value: classId }));
  const count = (client, classId) => images.get(client)?.[classId] || null;
  drawHeatMap(host, {
    id: "held",
    label: "Training images of each class that clients hold",
    corner: "client \\ class",
    rows: clientLabels(chosenClients(log, state).filter((client) => images.has(client))),
    columns: classes,
    cell: count,
    high: Math.max(...log.held.flatMap((row) => row.images)),
    digits: 0,
    describe: (client, classId) => [
      `Client ${log.clientName(client)}, class ${classId}`,
      plural(images.get(client)?.[classId] ?? 0, "image"),
    ],
    chosen: { column: state.classId },
    onPick: (client, classId) => change({ classId }),
  });
}

const CLIENT_COLUMNS = [
  { name: "num_examples", title: "images", digits: 0 },
  { name: "train_loss", title: "loss", digits: 3 },
  { name: "density", title: "density", digits: 3 },
  { name: "train_seconds", title: "training, s", digits: 1 },
  { name: "discovery_seconds", title: "discovery, s", digits: 1 },
];

function drawClientTable(host, log, state) {
  const table = log.clientTable;
  const chosen = new Set(chosenClients(log, state));
  const rows = table.rows({ round: state.round }).filter((row) => chosen.has(table.column("partition_id")(row)));
  const titles = ["client", ...CLIENT_COLUMNS.map(({ title }) => title), "reply"];
  const head = element("tr", {}, ...titles.map((title) => element("th", {}, title)));
  const body = rows.map((row) => clientRow(log, row));
  fill(
    host,
    element(
      "div",
      { class: "scroll" },
      element("table", { class: "plain" }, element("thead", {}, head), element("tbody", {}, ...body)),
    ),
  );
}

function clientRow(log, row) {
  const value = (name) => log.clientTable.column(name)(row);
  const cells = CLIENT_COLUMNS.map(({ name, digits }) => element("td", {}, formatNumber(value(name), digits)));
  const verdict = value("accepted") ? "accepted" : "set aside";
  const reason = value("reason") === null ? verdict : `${verdict}: ${value("reason")}`;
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, log.clientName(value("partition_id"))),
    ...cells,
    element("td", { class: "text" }, reason),
  );
}
