// Starts the page: reads the data of its runs, and redraws what the state says.

const logs = [];
const state = {
  run: 0,
  round: 0,
  classId: null,
  layer: "all",
  clients: null,
  figures: {
    overlap: "iou",
    quality: "sufficiency",
    interference: "cancellation",
    pairs: null,
    pairFigure: "iou",
    kept: "overlap/iou",
  },
  graph: { classId: null, a: undefined, b: undefined, edges: "all", marksLost: true },
};

function readLogs() {
  for (const script of document.querySelectorAll("script.run-data")) {
    const log = new RunLog(JSON.parse(script.textContent));
    log.weightLayers = [
      ...new Set([...Array(log.interference.length).keys()].map((row) => log.interference.column("layer")(row))),
    ];
    logs.push(log);
  }
}

function changeState(changes) {
  // A class chosen for the graph alone gives way to one chosen for the page.
  if (changes.classId !== undefined && changes.classId !== null)
    changes.graph = { ...state.graph, classId: changes.classId };
  if (changes.graph && changes.classId === undefined && changes.graph.classId !== state.graph.classId)
    changes.classId = state.classId === null ? null : changes.graph.classId;
  Object.assign(state, changes);
  keepingFocus(draw);
}

// Redraws, and puts the focus back on what took the place of the focused element.
function keepingFocus(redraw) {
  const place = focusPlace(document.activeElement);
  redraw();
  if (place) document.querySelector(place)?.focus({ preventScroll: true });
}

// Returns where an element will be found again: by its own mark, or as a choice of the panel that it stands in.
function focusPlace(focused) {
  if (focused?.dataset?.focus) return `[data-focus="${CSS.escape(focused.dataset.focus)}"]`;
  const panel = focused?.closest("[id]");
  const label = focused?.getAttribute("aria-label");
  return panel && label ? `#${CSS.escape(panel.id)} [aria-label="${CSS.escape(label)}"]` : null;
}

function draw() {
  hideTooltip();
  const isComparison = state.run === logs.length;
  byId("single").hidden = isComparison;
  byId("sections").hidden = isComparison;
  if (byId("comparison")) byId("comparison").hidden = !isComparison;
  showRun(state.run);
  if (isComparison) drawComparison(byId("comparison-plots"), logs, state, changeState);
  else drawRun(logs[state.run]);
}

function showRun(number) {
  for (const block of document.querySelectorAll("[data-run]")) block.hidden = Number(block.dataset.run) !== number;
  for (const tab of document.querySelectorAll("[role=tab]"))
    tab.setAttribute("aria-selected", String(Number(tab.dataset.tab) === number));
}

function drawRun(log) {
  byId("interactive").hidden = log.rounds.length === 0;
  if (log.rounds.length === 0) return;
  updateControls(byId("controls"), log, state);
  drawPlots(byId("plots"), log, state, changeState);
  drawRecallMap(byId("recall-map"), log, state, changeState);
  drawGraphPanel(byId("graph"), log, state, changeState);
  drawClients(clientHosts(), log, state, changeState);
}

function clientHosts() {
  return {
    note: byId("client-note"),
    pairControls: byId("pair-controls"),
    pairs: byId("pair-map"),
    keptControls: byId("kept-controls"),
    kept: byId("kept-map"),
    held: byId("held-map"),
    table: byId("client-table"),
  };
}

function openRun(number) {
  state.run = number;
  const log = logs[number];
  if (log && log.rounds.length > 0) {
    Object.assign(state, { round: log.rounds.at(-1), classId: null, layer: "all", clients: null });
    state.graph = { ...state.graph, classId: null, a: undefined, b: undefined };
    buildControls(byId("controls"), log, state, changeState);
  }
  draw();
}

function startTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  for (const tab of tabs) tab.addEventListener("click", () => openRun(Number(tab.dataset.tab)));
}

function startTheme() {
  const root = document.documentElement;
  const isDark = () =>
    (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  byId("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
  });
}

function startCopying() {
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const text = byId(button.dataset.source).textContent;
      button.textContent = (await copyText(text)) ? "Copied" : "Select and copy by hand";
      setTimeout(() => {
        button.textContent = "Copy";
      }, 2000);
    });
  }
}

// Browsers may keep the clipboard from pages that lie on disk; then the old command does.
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = element("textarea", { class: "offscreen" });
    field.value = text;
    document.body.append(field);
    field.select();
    const isCopied = document.execCommand("copy");
    field.remove();
    return isCopied;
  }
}

function startResizing() {
  let width = window.innerWidth;
  window.addEventListener("resize", () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    keepingFocus(draw);
  });
}

function start() {
  document.documentElement.classList.add("has-script");
  document.body.append(tooltip);
  readLogs();
  startTabs();
  startTheme();
  startCopying();
  startResizing();
  byId("print").addEventListener("click", () => window.print());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    hideTooltip();
    byId("clients")?.removeAttribute("open");
  });
  openRun(0);
}

start();
