// The global model's recall by class and round, beside its false positives: a class that is the answer to every image
// has a recall of 1.

const GLOBAL_RATES = [
  { id: "recall", column: "recall", title: "Recall (1 is best)", isBad: false },
  { id: "false-positives", column: "false_positive_rate", title: "False positives (0 is best)", isBad: true },
];

function drawRecallMap(host, log, state, change) {
  const rates = (log.globalRates ??= globalRates(log));
  if (rates.size === 0) {
    host.replaceChildren(element("p", { class: "empty" }, "No recall by class was logged."));
    return;
  }
  const maps = GLOBAL_RATES.map((kind) => {
    const map = element("div", {});
    drawGlobalRate(map, kind, rates, log, state, change);
    return element("div", {}, element("h4", {}, kind.title), map);
  });
  host.classList.toggle("is-stacked", log.rounds.length > MOST_NUMBERED_COLUMNS);
  host.replaceChildren(...maps);
}

function drawGlobalRate(host, kind, rates, log, state, change) {
  const rate = (classId, round, { column }) => rates.get(`${classId}/${round}`)?.[column] ?? null;
  drawHeatMap(host, {
    id: kind.id,
    label: `${kind.title} of the global model, by class and round`,
    corner: "class",
    rows: log.classes.map((classId) => ({ label: log.isHeld(classId) ? classId : `${classId}*`, value: classId })),
    columns: log.rounds.map((round) => ({ label: round, value: round })),
    cell: (classId, round) => rate(classId, round, kind),
    high: 1,
    isBad: kind.isBad,
    digits: 2,
    describe: (classId, round) => [
      `Class ${classId}, round ${round}`,
      ...GLOBAL_RATES.map((each) => `${each.column.replaceAll("_", " ")} ${formatNumber(rate(classId, round, each))}`),
      ...(log.isHeld(classId) ? [] : ["no client holds it"]),
    ],
    chosen: { row: state.classId, column: state.round },
    onPick: (classId, round) => change({ round, classId }),
  });
}

function globalRates(log) {
  const found = new Map();
  for (const part of log.parts.recall) {
    for (const row of part.rows({ model: "global" })) {
      const rates = GLOBAL_RATES.map(({ column }) => [column, part.column(column)(row)]);
      found.set(`${part.column("class_id")(row)}/${part.column("round")(row)}`, Object.fromEntries(rates));
    }
  }
  return found;
}
