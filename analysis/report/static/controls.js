// The bar of filters: round, class, layer, clients.

const PLAY_MS = 800;
let playing = null;

function buildControls(host, log, state, change) {
  stopPlaying();
  host.replaceChildren(
    roundControl(log, state, change),
    selectBox("Class", classOptions(log), state.classId, (classId) => change({ classId })),
    selectBox("Layer", layerOptions(log), state.layer, (layer) => change({ layer })),
    clientControl(log, change),
  );
  updateControls(host, log, state);
}

function classOptions(log) {
  return [
    { value: null, label: "all classes" },
    ...log.classes.map((classId) => ({ value: classId, label: `class ${classId}` })),
  ];
}

function layerOptions(log) {
  return log.layers.map((layer) => ({ value: layer, label: layer === "all" ? "all layers" : layer }));
}

function roundControl(log, state, change) {
  const slider = element("input", {
    type: "range",
    id: "round",
    min: log.rounds[0],
    max: log.rounds.at(-1),
    step: 1,
    "aria-label": "Round",
    input: () => change({ round: Number(slider.value) }),
  });
  const play = element(
    "button",
    { type: "button", id: "play", "aria-label": "Play the rounds", click: () => togglePlaying(slider) },
    "▶",
  );
  return element(
    "div",
    { class: "field round" },
    element("span", {}, "Round ", element("output", { id: "round-shown", for: "round" })),
    element("div", { class: "round-row" }, play, slider),
  );
}

function togglePlaying(slider) {
  if (playing !== null) {
    stopPlaying();
    return;
  }
  byId("play").textContent = "⏸";
  playing = setInterval(() => {
    slider.value = Number(slider.value) >= Number(slider.max) ? slider.min : Number(slider.value) + 1;
    slider.dispatchEvent(new Event("input"));
    if (slider.value === slider.max) stopPlaying();
  }, PLAY_MS);
}

function stopPlaying() {
  clearInterval(playing);
  playing = null;
  if (byId("play")) byId("play").textContent = "▶";
}

function clientControl(log, change) {
  const boxes = log.clients.map((client) => [client, checkBox(`client ${log.clientName(client)}`, true, apply)]);
  const isChecked = ([, box]) => box.firstChild.checked;
  function apply() {
    const chosen = boxes.filter(isChecked).map(([client]) => client);
    change({ clients: chosen.length === log.clients.length ? null : new Set(chosen) });
  }
  const setAll = (isOn) => () => {
    for (const [, box] of boxes) box.firstChild.checked = isOn;
    apply();
  };
  const all = element("button", { type: "button", click: setAll(true) }, "all");
  const none = element("button", { type: "button", click: setAll(false) }, "none");
  const list = element(
    "div",
    { class: "client-list" },
    element("div", { class: "presets" }, all, none),
    ...boxes.map(([, box]) => box),
  );
  return element(
    "div",
    { class: "field" },
    element("span", {}, "Clients"),
    element("details", { class: "clients", id: "clients" }, element("summary", { id: "clients-shown" }), list),
  );
}

// Brings what the bar shows in line with the state, which plots and maps change too.
function updateControls(host, log, state) {
  byId("round").value = state.round;
  byId("round-shown").textContent = `${state.round} of ${log.rounds.at(-1)}`;
  const [classes, layers] = host.querySelectorAll("select");
  classes.selectedIndex = classOptions(log).findIndex(({ value }) => value === state.classId);
  layers.selectedIndex = log.layers.indexOf(state.layer);
  byId("clients-shown").textContent =
    state.clients === null ? `all ${log.clients.length}` : `${state.clients.size} of ${log.clients.length}`;
  byId("on-paper").textContent = choicesText(log, state);
}

// Says what was chosen: on paper the bar is not there.
function choicesText(log, state) {
  const classes = state.classId === null ? "all classes" : `class ${state.classId}`;
  const layer = state.layer === "all" ? "all layers" : state.layer;
  const clients = state.clients === null ? "all clients" : `clients ${[...state.clients].join(", ") || "none"}`;
  return `Round ${state.round} of ${log.rounds.at(-1)}; ${classes}, ${layer}, ${clients}.`;
}
