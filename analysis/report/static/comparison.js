// Several runs side by side: the figures of their summaries over rounds.

const COMPARED = [
  { id: "compared-accuracy", title: "Accuracy of the global model", figure: "accuracy", range: UNIT },
  { id: "compared-trained", title: "The same over trained classes", figure: "accuracy_trained", range: UNIT },
  {
    id: "compared-same",
    title: "Same class in two clients, IoU",
    figure: "same_class_iou",
    chance: "same_class_expected_iou",
    range: UNIT,
  },
  {
    id: "compared-global",
    title: "Client against global model, IoU",
    figure: "local_vs_global_iou",
    chance: "local_vs_global_expected_iou",
    range: UNIT,
  },
  {
    id: "compared-same-adjusted",
    title: "Same class in two clients, adjusted for chance",
    figure: "same_class_adjusted_iou",
    range: AROUND_CHANCE,
  },
  {
    id: "compared-global-adjusted",
    title: "Client against global model, adjusted for chance",
    figure: "local_vs_global_adjusted_iou",
    range: AROUND_CHANCE,
  },
];

function drawComparison(host, logs, state, change) {
  const rounds = [...new Set(logs.flatMap((log) => log.rounds))].sort((a, b) => a - b);
  for (const one of COMPARED) {
    const card = plotCard(host, { ...one, hint: one.chance ? "Dashed: what chance would give." : "" }, state, change);
    drawLineChart(card.querySelector(".drawing"), {
      id: one.id,
      label: one.title,
      series: logs.flatMap((log, place) => comparedSeries(log, place, one)),
      range: one.range,
      rounds,
      current: Math.min(state.round, rounds.at(-1)),
      digits: 3,
      onPick: (round) => change({ round }),
    });
  }
}

function comparedSeries(log, place, one) {
  const [colour, shape] = LAYER_STYLES[place % LAYER_STYLES.length];
  const series = [{ name: log.name, colour, shape, points: log.measured(one.figure) }];
  if (one.chance) series.push({ name: `chance, ${log.name}`, colour, shape, of: log.name, points: log.measured(one.chance) });
  return series;
}
