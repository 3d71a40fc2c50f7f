// Which circuits the graph shows: what was chosen, or the nearest thing that the round has.

const NONE = "none";

// Works out what is shown: the state's choice where the round has it, or else the nearest thing.
function graphChoice(log, state) {
  const { circuits } = log;
  const round = lastRoundUpTo(circuits.rounds, state.round);
  const before = circuits.rounds[circuits.rounds.indexOf(round) - 1];
  const sources = allSources(circuits, round, before);
  const classes = circuits.classes(round);
  const classId = state.classId ?? state.graph.classId ?? defaultClass(circuits, sources, round, classes);
  const keys = chosenKeys(circuits, sources, round, classId, state.graph);
  const find = (key) =>
    sources.has(key) ? circuits.find(sources.get(key).isBefore ? before : round, sources.get(key), classId) : null;
  const choice = {
    round,
    before,
    sources,
    classes,
    classId,
    keys,
    edges: state.graph.edges,
    marksLost: state.graph.marksLost,
  };
  choice.a = find(keys.a);
  choice.b = find(keys.b);
  choice.average = averageFor(choice, find);
  choice.names = { a: nameOf(sources, keys.a), b: nameOf(sources, keys.b) };
  return choice;
}

function lastRoundUpTo(rounds, round) {
  return rounds.filter((candidate) => candidate <= round).at(-1) ?? rounds[0];
}

// Returns the models of a round by key, and the global model as it was before the round.
function allSources(circuits, round, before) {
  const now = circuits.sources(round);
  const earlier = before === undefined ? [] : circuits.sources(before).filter((source) => source.model === "global");
  const all = [...now, ...earlier.map((source) => ({ ...source, isBefore: true }))];
  return new Map(all.map((source) => [sourceKey(source), source]));
}

function holdersOf(circuits, sources, round, classId) {
  return [...sources]
    .filter(([, source]) => source.model === "client" && circuits.find(round, source, classId))
    .map(([key]) => key);
}

function defaultClass(circuits, sources, round, classes) {
  return classes.find((classId) => holdersOf(circuits, sources, round, classId).length > 1) ?? classes[0];
}

function chosenKeys(circuits, sources, round, classId, graph) {
  const holders = holdersOf(circuits, sources, round, classId);
  const a = sources.has(graph.a) ? graph.a : (holders[0] ?? [...sources.keys()][0]);
  // Where circuits were found on the server's images alone, they stand for the global model on a client's.
  const b = graph.b?.startsWith("global/") ? averageKey(sources, a, graph.b) : graph.b;
  if (b === NONE || sources.has(b)) return { a, b };
  const others = [...holders, averageKey(sources, a)].filter((key) => key !== undefined && key !== a);
  return { a, b: others[0] ?? NONE };
}

// The global model on the images asked for, on those of a client, or else on the server's.
function averageKey(sources, clientKey, wanted) {
  const partition = sources.get(clientKey)?.partition;
  return [wanted, `global/${partition}`, `global/${SERVER}`].find((key) => sources.has(key));
}

// The circuit of the global model that tells which channels were lost; null where it is not asked for, or A is no client.
function averageFor(choice, find) {
  if (!choice.marksLost || !choice.keys.a.startsWith("client") || choice.keys.b.startsWith("before")) return null;
  if (choice.keys.b.startsWith("global")) return choice.b;
  const key = averageKey(choice.sources, choice.keys.a);
  return key ? find(key) : null;
}

function nameOf(sources, key) {
  const source = sources.get(key);
  if (!source) return "nothing";
  if (source.model === "client") return `client ${source.partition}`;
  const images = source.partition === null ? "server's images" : `client ${source.partition}'s images`;
  return `global model ${source.isBefore ? "before" : "after"} (${images})`;
}
