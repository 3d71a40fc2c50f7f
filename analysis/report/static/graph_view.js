// Draws one circuit, or two laid over each other: kinds of nodes differ in colour and shape, kinds of edges in dashes.

const NODE_SIZE = 6.2;
const KIND_SHAPES = { shared: "circle", a: "square", b: "triangle" };
const KIND_ORDER = ["shared", "a", "b"];

// Draws a graph into `host`.
// options: circuits; a, the first circuit; compared, from compareCircuits; label; edges, "all" or "chosen";
// describe(node), lines of text.
function drawGraph(host, options) {
  const layout = graphLayout(options.circuits);
  const picture = svgElement("svg", {
    class: `graph edges-${options.edges}`,
    viewBox: `0 0 ${layout.width} ${layout.height}`,
    role: "group",
    "aria-label": options.label,
  });
  const nodes = [...endNodes(options), ...options.compared.nodes];
  const touching = edgesByNode(options.compared.edges);
  const highlight = svgElement("g", { class: "highlight" });
  picture.append(
    ...columnTitles(layout),
    ...channelDots(options, layout),
    edgePaths(options.compared.edges, layout),
    highlight,
  );
  const marks = new Map(nodes.map((node) => [node, nodeMark(node, layout)]));
  for (const [node, mark] of marks) {
    const near = touching.get(nodeKey(node.column, node.channel)) ?? [];
    addNodeEvents(
      mark,
      () => options.describe(node, near),
      (isOn) => {
        picture.classList.toggle("has-choice", isOn);
        highlight.replaceChildren(...(isOn ? edgePaths(near, layout).children : []));
      },
    );
  }
  picture.append(...marks.values());
  moveByArrows(
    picture,
    layout.columns.map((_, column) => [...marks].filter(([node]) => node.column === column).map(([, mark]) => mark)),
  );
  host.replaceChildren(element("div", { class: "scroll" }, picture));
}

function nodeKey(column, channel) {
  return `${column}:${channel}`;
}

// The image's channels and the class: the two ends that every circuit has.
function endNodes({ circuits, a }) {
  const inputs = [...Array(circuits.kernels[circuits.layers[0]][1]).keys()];
  const last = circuits.layers.length + 1;
  return [
    ...inputs.map((channel) => ({ column: 0, channel, kind: "end", isLost: false })),
    { column: last, channel: a.classId, kind: "end", isLost: false },
  ];
}

function edgesByNode(edges) {
  const found = new Map();
  for (const edge of edges) {
    for (const key of [nodeKey(edge.column, edge.source), nodeKey(edge.column + 1, edge.target)]) {
      if (!found.has(key)) found.set(key, []);
      found.get(key).push(edge);
    }
  }
  return found;
}

function columnTitles(layout) {
  return layout.columns.map(({ title, x }) =>
    svgElement("text", { x, y: 20, class: "column-title", "text-anchor": "middle" }, title),
  );
}

// Every channel of the network as a dot, so that the places of those outside the circuits can be seen.
function channelDots({ circuits, a }, layout) {
  const dots = { reachable: [], dead: [] };
  circuits.layers.forEach((_, layer) => {
    for (let channel = 0; channel < circuits.widths[layer]; channel += 1) {
      const { x, y } = layout.place(layer + 1, channel);
      dots[circuits.isReachable(a, layer, channel) ? "reachable" : "dead"].push(markPath("circle", x, y, 1.6));
    }
  });
  return Object.entries(dots).map(([kind, paths]) =>
    svgElement("path", { d: paths.join(""), class: `dot is-${kind}` }),
  );
}

function edgePaths(edges, layout) {
  const group = svgElement("g", { class: "edges" });
  for (const kind of KIND_ORDER) {
    const own = edges.filter((edge) => edge.kind === kind);
    if (own.length === 0) continue;
    const path = svgElement("path", {
      d: own.map((edge) => edgeCurve(edge, layout)).join(""),
      class: `edge is-${kind}`,
    });
    path.style.setProperty("--density", String(Math.min(0.7, Math.max(0.07, 60 / own.length))));
    group.append(path);
  }
  return group;
}

function edgeCurve({ column, source, target }, layout) {
  const from = endPlace(layout, column, source);
  const to = endPlace(layout, column + 1, target);
  const bend = 0.45 * (to.x - from.x);
  return `M${from.x} ${from.y}C${from.x + bend} ${from.y} ${to.x - bend} ${to.y} ${to.x} ${to.y}`;
}

// There is one node for the class, whatever its number.
function endPlace(layout, column, channel) {
  return layout.place(column, column === layout.columns.length - 1 ? 0 : channel);
}

function nodeMark(node, layout) {
  const { x, y } = endPlace(layout, node.column, node.channel);
  const key = nodeKey(node.column, node.channel);
  const group = svgElement("g", {
    class: `node is-${node.kind}`,
    role: "img",
    "data-node": key,
    "data-focus": `node/${key}`,
  });
  if (node.kind === "end") {
    group.append(
      svgElement("path", { d: markPath("circle", x, y, 10) }),
      svgElement("text", { x, y: y + 4, "text-anchor": "middle" }, node.channel),
    );
  } else {
    group.append(...nodeShapes(node.kind, node.isLost, x, y));
  }
  return group;
}

// The shape of a kind of node: hollow, with a cross in it, if averaging has lost it.
function nodeShapes(kind, isLost, x, y) {
  const shape = svgElement("path", {
    d: markPath(KIND_SHAPES[kind], x, y, NODE_SIZE),
    class: isLost ? "is-lost" : null,
  });
  return isLost
    ? [shape, svgElement("path", { d: markPath("cross", x, y, NODE_SIZE - 2.4), class: "lost-mark" })]
    : [shape];
}

function addNodeEvents(mark, describe, choose) {
  const label = () => mark.setAttribute("aria-label", describe().join(", "));
  const leave = () => {
    hideTooltip();
    choose(false);
  };
  label();
  mark.addEventListener("pointerenter", (event) => {
    showTooltip(describe(), event.clientX, event.clientY);
    choose(true);
  });
  mark.addEventListener("pointerleave", leave);
  mark.addEventListener("focus", () => {
    showTooltipAt(describe(), mark);
    choose(true);
  });
  mark.addEventListener("blur", leave);
}
