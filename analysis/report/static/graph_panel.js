// The circuit graph with its choices: class, one model or two, and what is said about them.

const EDGE_CHOICES = [
  { value: "all", label: "all" },
  { value: "chosen", label: "of the pointed-at channel" },
];

function drawGraphPanel(host, log, state, change) {
  if (!log.circuits) {
    host.replaceChildren(
      element("p", { class: "empty" }, "No channels of circuits were logged, so there is no graph to draw."),
    );
    return;
  }
  const choice = graphChoice(log, state);
  const update = (changes) => change({ graph: { ...state.graph, ...changes } });
  fill(
    host,
    graphControls(log, choice, update),
    graphNote(choice, state),
    choice.a
      ? comparedCircuits(log, choice)
      : element(
          "p",
          { class: "empty" },
          `${choice.names.a} has no circuit of class ${choice.classId} in round ${choice.round}.`,
        ),
  );
}

function graphControls(log, choice, update) {
  const options = [...choice.sources.keys()].map((key) => ({ value: key, label: nameOf(choice.sources, key) }));
  const others = [{ value: NONE, label: "nothing" }, ...options.filter(({ value }) => value !== choice.keys.a)];
  const classes = choice.classes.map((classId) => ({ value: classId, label: `class ${classId}` }));
  return element(
    "div",
    { class: "panel-controls" },
    selectBox("Class", classes, choice.classId, (classId) => update({ classId })),
    selectBox("A", options, choice.keys.a, (a) => update({ a, b: choice.keys.b === a ? undefined : choice.keys.b })),
    selectBox("B", others, choice.keys.b, (b) => update({ b })),
    selectBox("Edges", EDGE_CHOICES, choice.edges, (edges) => update({ edges })),
    checkBox("mark channels lost in averaging", choice.marksLost, (marksLost) => update({ marksLost })),
    element("div", { class: "presets" }, ...graphPresets(choice, update)),
  );
}

function graphPresets(choice, update) {
  const clients = [...choice.sources.keys()].filter((key) => key.startsWith("client"));
  const average = averageKey(choice.sources, choice.keys.a.startsWith("client") ? choice.keys.a : clients[0]);
  const before = average?.replace("global", "before");
  const presets = [
    ["two clients", clients[0], clients[1]],
    ["before and after averaging", choice.keys.a.startsWith("client") ? choice.keys.a : clients[0], average],
    ["global model, last time and now", choice.sources.has(before) ? before : undefined, average],
  ];
  return presets
    .filter(([, a, b]) => a !== undefined && b !== undefined)
    .map(([label, a, b]) =>
      element("button", { type: "button", "data-focus": `preset/${label}`, click: () => update({ a, b }) }, label),
    );
}

function graphNote(choice, state) {
  if (choice.round === state.round) return null;
  return element(
    "p",
    { class: "hint" },
    `No circuits of round ${state.round} are in this page; shown are those of round ${choice.round}.`,
  );
}

function comparedCircuits(log, choice) {
  const compared = compareCircuits(log.circuits, choice.a, choice.b, choice.average);
  const drawing = element("div", { class: "drawing" });
  drawGraph(drawing, {
    circuits: log.circuits,
    a: choice.a,
    compared,
    edges: choice.edges,
    label: `Circuit graph. ${graphSummary(compared, choice)} Arrow keys move between channels.`,
    describe: (node, near) => describeNode(log, choice, node, near),
  });
  return element(
    "div",
    {},
    element("p", { class: "graph-summary", "aria-live": "polite" }, graphSummary(compared, choice)),
    graphLegend(compared, choice),
    drawing,
    circuitFacts(log, choice),
  );
}

function kindNames(choice) {
  if (!choice.b) return { a: `in ${choice.names.a}` };
  if (choice.keys.a.startsWith("client") && choice.keys.b.startsWith("global")) {
    return { shared: "kept by averaging", a: "lost in averaging", b: "only in the global model" };
  }
  return { shared: "shared", a: `only in ${choice.names.a}`, b: `only in ${choice.names.b}` };
}

function countKinds(items) {
  const counts = { shared: 0, a: 0, b: 0 };
  for (const item of items) counts[item.kind] += 1;
  return counts;
}

function graphSummary(compared, choice) {
  const counts = countKinds(compared.nodes);
  const parts = Object.entries(kindNames(choice)).map(([kind, name]) => `${counts[kind]} ${name}`);
  const numLost = compared.nodes.filter((node) => node.isLost).length;
  const lost =
    choice.average && choice.average !== choice.b
      ? `; ${numLost} of these ${compared.nodes.length} are not in the global model's circuit`
      : "";
  const missing =
    choice.keys.b !== NONE && !choice.b
      ? ` ${choice.names.b} has no circuit of class ${choice.classId} in this round.`
      : "";
  return `Class ${choice.classId}, round ${choice.round}, channels: ${parts.join(", ")}${lost}.${missing}`;
}

function graphLegend(compared, choice) {
  const isPlain = !choice.average || choice.average === choice.b;
  const isLost = (kind) => choice.average !== null && isPlain && kind === "a";
  const entries = Object.entries(kindNames(choice)).map(([kind, name]) => legendItem(kind, name, isLost(kind)));
  if (!isPlain) entries.push(legendItem("lost", "not in the global model's circuit"));
  entries.push(legendItem("reachable", "other channel"), legendItem("dead", "carries no signal"));
  return element("div", { class: "legend graph-legend" }, ...entries);
}

function legendItem(kind, name, isLost = false) {
  const picture = svgElement("svg", { width: 38, height: 18, "aria-hidden": "true", class: "graph" });
  if (KIND_SHAPES[kind]) {
    picture.append(svgElement("path", { d: "M0 9H38", class: `edge is-${kind} is-sample` }));
    picture.append(svgElement("g", { class: `node is-${kind}` }, ...nodeShapes(kind, isLost, 19, 9)));
  } else if (kind === "lost") {
    picture.append(svgElement("path", { d: markPath("cross", 19, 9, NODE_SIZE), class: "lost-mark" }));
  } else {
    picture.append(svgElement("path", { d: markPath("circle", 19, 9, 2.4), class: `dot is-${kind}` }));
  }
  return element("span", { class: "legend-entry" }, picture, name);
}

function describeNode(log, choice, node, near) {
  const { circuits } = log;
  if (node.kind === "end")
    return [node.column === 0 ? `Image channel ${node.channel}` : `Class ${node.channel}`, plural(near.length, "edge")];
  const layer = node.column - 1;
  const score = (circuit) => formatNumber(circuits.score(circuit, layer, node.channel), 2);
  const scores = [
    ["A", choice.a],
    ["B", choice.b],
    ["global model", choice.average === choice.b ? null : choice.average],
  ]
    .filter(([, circuit]) => circuit)
    .map(([name, circuit]) => `score ${score(circuit)} in ${name}`);
  const numIn = near.filter((edge) => edge.column + 1 === node.column).length;
  return [
    `${circuits.layers[layer]}, channel ${node.channel}`,
    kindNames(choice)[node.kind],
    node.isLost ? "not in the global model's circuit" : "",
    ...(circuits.hasScores ? scores : []),
    `${plural(numIn, "edge")} in, ${near.length - numIn} out`,
  ].filter((line) => line);
}
