// Lines over rounds: exact numbers under the pointer and in a table, the chosen round marked, a click chooses another.

const hiddenSeries = new Set();

// Draws a chart into `host`.
// options: id; label; series, each {name, colour, shape, points: Map of round to {mean, low, high, count}} or, to be
// drawn dashed, with hollow marks, and shown and hidden together with another one, {…, of: the other's name};
// range [low, high], or null to fit; rounds; current; digits; onPick(round).
function drawLineChart(host, options) {
  const series = options.series.filter((one) => one.points.size > 0);
  if (series.length === 0) {
    host.replaceChildren(element("p", { class: "empty" }, options.why || "Nothing was logged for this choice."));
    return;
  }
  const redraw = () => keepingFocus(() => drawLineChart(host, options));
  const shown = series.filter((one) => !hiddenSeries.has(seriesKey(options, one)));
  host.replaceChildren(
    chartLegend(options, series, redraw),
    chartPicture(host.clientWidth || 480, options, shown),
    numbersTable(options, series),
  );
}

function seriesKey(options, one) {
  return `${options.id}/${one.of ?? one.name}`;
}

function chartLegend(options, series, redraw) {
  const entries = series
    .filter((one) => !one.of)
    .map((one) => {
      const key = seriesKey(options, one);
      const toggle = () => {
        if (!hiddenSeries.delete(key)) hiddenSeries.add(key);
        redraw();
      };
      const isShown = !hiddenSeries.has(key);
      return element(
        "button",
        {
          type: "button",
          class: "legend-entry",
          "data-focus": `legend/${key}`,
          "aria-pressed": String(isShown),
          click: toggle,
        },
        legendSample(one),
        one.name,
      );
    });
  return element("div", { class: "legend" }, ...entries);
}

function legendSample(one) {
  const line = svgElement("path", { d: "M1 8H27", class: "line", stroke: one.colour });
  return svgElement("svg", { width: 28, height: 16, "aria-hidden": "true" }, line, seriesMark(one, 14, 8));
}

function seriesMark(one, x, y, size = 3.6) {
  return svgElement("path", {
    d: markPath(one.shape, x, y, size),
    class: one.of ? "mark is-hollow" : "mark",
    fill: one.colour,
    stroke: one.colour,
  });
}

function chartPicture(width, options, series) {
  const scale = chartScale(width, options, series);
  const picture = svgElement("svg", {
    class: "chart",
    width,
    height: CHART.height,
    viewBox: `0 0 ${width} ${CHART.height}`,
    role: "img",
    tabindex: "0",
    "data-focus": `chart/${options.id}`,
    "aria-label": chartSummary(options, series),
  });
  picture.append(...valueAxis(scale), ...roundAxis(scale, options), currentLine(scale, options));
  for (const one of series) picture.append(...seriesShapes(one, scale, options.rounds.length));
  addChartPointer(picture, scale, options, series);
  return picture;
}

function chartSummary(options, series) {
  const values = series.map((one) => `${one.name} ${valueAt(one, options.current, options.digits)}`);
  return `${options.label}. Round ${options.current}: ${values.join("; ")}. Arrow keys choose the round.`;
}

function valueAt(one, round, digits) {
  const point = one.points.get(round);
  return formatNumber(point ? point.mean : null, digits);
}

function currentLine(scale, options) {
  const x = scale.x(options.current);
  return svgElement("path", { d: `M${x} ${CHART.top}V${CHART.height - CHART.bottom}`, class: "current" });
}

function seriesShapes(one, scale, numRounds) {
  const points = [...one.points.entries()].sort(([a], [b]) => a - b);
  const places = points.map(([round, point]) => [scale.x(round), scale.y(point.mean)]);
  const line = svgElement("path", {
    d: places.length > 1 ? `M${places.map((place) => place.join(" ")).join("L")}` : shortLine(places[0]),
    class: "line",
    stroke: one.colour,
    "stroke-dasharray": one.of ? "5 4" : null,
  });
  const size = (numRounds > 25 ? 2.2 : 3.6) - (one.of ? 0.8 : 0);
  return [line, ...places.map(([x, y]) => seriesMark(one, x, y, size))];
}

// One point makes no line, so a short level one stands for it.
function shortLine([x, y]) {
  return `M${x - 9} ${y}H${x + 9}`;
}

function addChartPointer(picture, scale, options, series) {
  const guide = svgElement("path", { class: "guide" });
  picture.append(guide);
  const nearest = (event) => {
    const x = event.clientX - picture.getBoundingClientRect().left;
    return options.rounds.reduce((best, round) =>
      Math.abs(scale.x(round) - x) < Math.abs(scale.x(best) - x) ? round : best,
    );
  };
  picture.addEventListener("pointermove", (event) => {
    const round = nearest(event);
    guide.setAttribute("d", `M${scale.x(round)} ${CHART.top}V${CHART.height - CHART.bottom}`);
    showTooltip(chartTooltip(options, series, round), event.clientX, event.clientY);
  });
  picture.addEventListener("pointerleave", () => {
    guide.setAttribute("d", "");
    hideTooltip();
  });
  picture.addEventListener("click", (event) => options.onPick(nearest(event)));
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const next = options.rounds[options.rounds.indexOf(options.current) + step];
    if (step === undefined || next === undefined) return;
    event.preventDefault();
    options.onPick(next);
  });
}
