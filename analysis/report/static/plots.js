// What is plotted over rounds, and how filters apply to it.

const COLOURS = {
  blue: "var(--blue)",
  orange: "var(--orange)",
  green: "var(--green)",
  purple: "var(--purple)",
  red: "var(--red)",
  sky: "var(--sky)",
};

const LAYER_STYLES = [
  [COLOURS.blue, "circle"],
  [COLOURS.orange, "triangle"],
  [COLOURS.green, "square"],
  [COLOURS.purple, "diamond"],
  [COLOURS.red, "cross"],
  [COLOURS.sky, "flag"],
];

const COMPARISONS = [
  {
    name: "same class, two clients",
    comparison: "same_class_across_clients",
    colour: COLOURS.blue,
    shape: "circle",
    hasChance: true,
  },
  {
    name: "different classes",
    comparison: "different_class_across_clients",
    colour: COLOURS.orange,
    shape: "triangle",
    hasChance: true,
  },
  {
    name: "client and global model",
    comparison: "local_vs_global",
    colour: COLOURS.green,
    shape: "square",
    hasChance: true,
  },
  {
    name: "same circuit, the time before",
    comparison: "round_to_round",
    model: "client",
    colour: COLOURS.sky,
    shape: "cross",
  },
  { name: "retest", comparison: "retest", colour: COLOURS.purple, shape: "diamond" },
];

const OVERLAP_FIGURES = [
  { value: "iou", label: "IoU" },
  { value: "adjusted_iou", label: "IoU adjusted for chance" },
  { value: "phi", label: "φ (0 at chance)" },
];

const QUALITY_FIGURES = [
  { value: "sufficiency", label: "recall and false positives, circuit alone" },
  { value: "false_positive_rate", label: "false positives, circuit alone" },
  { value: "balanced_accuracy", label: "balanced accuracy, circuit alone" },
  { value: "necessity", label: "recall, circuit off" },
  { value: "usable", label: "share of usable circuits" },
  { value: "num_channels", label: "channels of the circuit" },
];

const INTERFERENCE_FIGURES = [
  { value: "cancellation", label: "length that the mean update keeps" },
  { value: "sign_conflict", label: "sign conflict" },
  { value: "norm_retention", label: "norm kept by the average" },
  { value: "activation_retention", label: "activation kept by the average" },
];

const MODELS = [
  { name: "in the client's own model", model: "client", colour: COLOURS.blue, shape: "circle" },
  { name: "client's circuit, global weights", model: "transplant", colour: COLOURS.red, shape: "cross" },
  { name: "global model's own circuit", model: "global", colour: COLOURS.green, shape: "square" },
];

const UNIT = [0, 1];
const AROUND_CHANCE = [-0.25, 1];

// Each plot: id; title; hint, what to look for; figures to choose from; series(log, state, figure) and range(figure);
// why(log), what is said if there is nothing to draw.
const PLOTS = [
  {
    id: "accuracy",
    title: "Accuracy",
    hint: "The global model on test images, and clients' own models on their own classes before averaging. Of one class: recall, and dashed false positives.",
    series: (log, state) => (state.classId === null ? accuracySeries(log, state) : recallSeries(log, state)),
    range: () => UNIT,
  },
  {
    id: "overlap",
    title: "Overlap of circuits against chance",
    hint: "Dashed: what random circuits of the same sizes share. Circuits that are not usable are left out.",
    figures: OVERLAP_FIGURES,
    series: overlapSeries,
    range: (figure) => (figure === "iou" ? UNIT : AROUND_CHANCE),
  },
  {
    id: "quality",
    title: "What circuits can do",
    hint: "A client's circuit in its own model, the same channels in the global weights, and the average's own circuit. Dashed beside recall: false positives.",
    figures: QUALITY_FIGURES,
    series: qualitySeries,
    range: (figure) => (figure === "num_channels" ? null : UNIT),
  },
  {
    id: "interference",
    title: "What averaging does to weights",
    hint: "By layer, as a share of what clients have: 1 = nothing cancels. Of sign conflict 0 is best; dashed: chance.",
    figures: INTERFERENCE_FIGURES,
    series: interferenceSeries,
    range: () => null,
  },
  {
    id: "stability",
    title: "Agreement of all clients at once",
    hint: "Stability Φ of a class's circuits over all clients: 1 = the same channels, 0 = chance.",
    series: stabilitySeries,
    range: () => AROUND_CHANCE,
    why: (log) => (log.hasSharedClass() ? "No agreement was logged for this choice." : NO_SHARED_CLASS),
  },
];

// Draws every plot, with a choice of figures where it has some.
function drawPlots(host, log, state, change) {
  for (const plot of PLOTS) drawPlot(plotCard(host, plot, state, change), plot, log, state, change);
}

function plotCard(host, plot, state, change) {
  const known = host.querySelector(`[data-plot="${plot.id}"]`);
  if (known) return known;
  const choice = plot.figures
    ? selectBox("Figure", plot.figures, state.figures[plot.id], (figure) =>
        change({ figures: { ...state.figures, [plot.id]: figure } }),
      )
    : null;
  const head = element("div", { class: "card-head" }, element("h3", {}, plot.title), choice);
  const card = element(
    "section",
    { class: "card plot", "data-plot": plot.id },
    head,
    element("p", { class: "hint" }, plot.hint),
    element("div", { class: "drawing" }),
  );
  host.append(card);
  return card;
}

const drawnSeries = new Map();

// Lines depend on all choices but the round: a step of the slider takes those that are there.
function seriesOf(plot, log, state, figure) {
  const choices = [figure, state.classId, state.layer, state.clients, log];
  const drawn = drawnSeries.get(plot.id);
  if (drawn && choices.every((choice, place) => choice === drawn.choices[place])) return drawn.series;
  const series = plot.series(log, state, figure);
  drawnSeries.set(plot.id, { choices, series });
  return series;
}

function drawPlot(card, plot, log, state, change) {
  const figure = state.figures[plot.id];
  drawLineChart(card.querySelector(".drawing"), {
    id: plot.id,
    label: plot.title,
    series: seriesOf(plot, log, state, figure),
    range: plot.range(figure),
    rounds: log.rounds,
    current: state.round,
    digits: figure === "num_channels" ? 1 : 3,
    onPick: (round) => change({ round }),
    why: plot.why?.(log),
  });
}
