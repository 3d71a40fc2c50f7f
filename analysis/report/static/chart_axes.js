// Scales and axes of charts over rounds.

const CHART = { height: 262, left: 46, right: 14, top: 12, bottom: 40 };

function chartScale(width, options, series) {
  const [low, high] = options.range || fittedRange(series);
  const [first, last] = [options.rounds[0], options.rounds[options.rounds.length - 1]];
  const inner = { width: width - CHART.left - CHART.right, height: CHART.height - CHART.top - CHART.bottom };
  const padding = last > first ? 10 : inner.width / 2;
  const perRound = last > first ? (inner.width - 2 * padding) / (last - first) : 0;
  return {
    width,
    low,
    high,
    x: (round) => CHART.left + padding + (round - first) * perRound,
    y: (value) => CHART.top + inner.height * (1 - (value - low) / (high - low)),
    perRound,
  };
}

function fittedRange(series) {
  const values = series.flatMap((one) => [...one.points.values()].map((point) => point.mean));
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const margin = 0.06 * (high - low || 1);
  return [low < 0 ? low - margin : 0, high + margin];
}

function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const found = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + 1e-9; tick += step) found.push(tick);
  return found;
}

function valueAxis(scale) {
  const right = scale.width - CHART.right;
  return ticks(scale.low, scale.high, 5).flatMap((tick) => [
    svgElement("path", { d: `M${CHART.left} ${scale.y(tick)}H${right}`, class: tick === 0 ? "axis" : "rule" }),
    svgElement(
      "text",
      { x: CHART.left - 8, y: scale.y(tick) + 4, class: "tick", "text-anchor": "end" },
      tickText(tick),
    ),
  ]);
}

function tickText(tick) {
  return String(Math.round(tick * 1e6) / 1e6);
}

function roundAxis(scale, options) {
  const step = Math.max(1, Math.ceil(34 / Math.max(scale.perRound, 1)));
  const shown = options.rounds.filter((round, place) => place % step === 0);
  const y = CHART.height - CHART.bottom;
  const labels = shown.map((round) =>
    svgElement("text", { x: scale.x(round), y: y + 17, class: "tick", "text-anchor": "middle" }, round),
  );
  const title = svgElement(
    "text",
    { x: scale.width - CHART.right, y: y + 34, class: "tick", "text-anchor": "end" },
    "round",
  );
  return [
    svgElement("path", { d: `M${CHART.left} ${y}H${scale.width - CHART.right}`, class: "axis" }),
    ...labels,
    title,
  ];
}
