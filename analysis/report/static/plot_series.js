// The lines of every plot, for the chosen class, layer and clients.

function accuracySeries(log, state) {
  const own = log.byRound([log.clientAccuracy], "accuracy", {}, state.clients);
  const series = [
    { name: "global model, all classes", colour: COLOURS.blue, shape: "circle", points: log.measured("accuracy") },
    {
      name: "global model, trained classes",
      colour: COLOURS.green,
      shape: "square",
      points: log.measured("accuracy_trained"),
    },
    { name: "clients' own models", colour: COLOURS.orange, shape: "triangle", points: own },
  ];
  // Where clients have trained on every class, one line would lie on the other.
  const isSame = log.measures.every((row) => row.accuracy === row.accuracy_trained);
  return isSame ? [series[0], series[2]] : series;
}

function recallSeries(log, state) {
  const holders = log.clients.filter((client) => log.heldClasses.get(client)?.has(state.classId));
  const chosen = new Set(holders.filter((client) => state.clients === null || state.clients.has(client)));
  const rate = (column, model, clients) =>
    log.byRound(log.parts.recall, column, { model, class_id: state.classId }, clients);
  const kinds = [
    { name: `global model, class ${state.classId}`, colour: COLOURS.blue, shape: "circle", whose: ["global", null] },
    { name: "models of clients that hold it", colour: COLOURS.orange, shape: "triangle", whose: ["client", chosen] },
  ];
  return kinds.flatMap(({ whose, ...kind }) =>
    withFalsePositives({ ...kind, points: rate("recall", ...whose) }, rate("false_positive_rate", ...whose)),
  );
}

// Recall says something only as far as it lies above the false positives, which are drawn dashed.
function withFalsePositives(series, points) {
  return [series, { ...series, name: `false positives, ${series.name}`, of: series.name, points }];
}

function qualitySeries(log, state, figure) {
  return MODELS.flatMap((kind) => {
    const series = { ...kind, points: circuitPoints(log, state, kind.model, figure) };
    if (figure !== "sufficiency" || series.points.size === 0) return [series];
    return withFalsePositives(series, circuitPoints(log, state, kind.model, "false_positive_rate"));
  });
}

function overlapSeries(log, state, figure) {
  return COMPARISONS.flatMap((kind) => {
    const points = overlapPoints(log, state, kind, figure);
    if (points.size === 0 || figure !== "iou" || !kind.hasChance) return [{ ...kind, points }];
    const chance = overlapPoints(log, state, kind, "expected_iou");
    return [
      { ...kind, points },
      { ...kind, name: `chance, ${kind.name}`, of: kind.name, points: chance },
    ];
  });
}

function overlapPoints(log, state, { comparison, model }, figure) {
  // Pairs of different classes are in the page as means over classes, so a class cannot be chosen for them.
  const isOfClass = state.classId !== null && comparison !== "different_class_across_clients";
  const wanted = { comparison, model, class_id: isOfClass ? state.classId : undefined };
  return log.byRound(log.parts.overlap, `${figure}:${state.layer}`, wanted, state.clients, ["a", "b"]);
}

function circuitPoints(log, state, model, figure) {
  const wanted = { model, class_id: state.classId ?? undefined };
  if (figure === "num_channels")
    return log.byRound(log.parts.sizes, `num_channels:${state.layer}`, wanted, state.clients);
  return log.byRound(log.parts.quality, figure, wanted, state.clients);
}

function interferenceSeries(log, state, figure) {
  const layers = log.weightLayers.filter((layer) => state.layer === "all" || layer === state.layer);
  return layers.flatMap((layer) => {
    const [colour, shape] = LAYER_STYLES[log.weightLayers.indexOf(layer) % LAYER_STYLES.length];
    const one = { name: layer, colour, shape, points: log.byRound([log.interference], figure, { layer }) };
    if (figure !== "sign_conflict") return [one];
    const chance = log.byRound([log.interference], "sign_conflict_null", { layer });
    return [one, { ...one, name: `chance, ${layer}`, of: layer, points: chance }];
  });
}

function stabilitySeries(log, state) {
  const wanted = { layer: state.layer, class_id: state.classId ?? undefined };
  const name = state.classId === null ? "mean over classes" : `class ${state.classId}`;
  return [{ name, colour: COLOURS.blue, shape: "circle", points: log.byRound([log.stability], "stability", wanted) }];
}
