// Why a box is empty: its one cause, in words.

const NO_SHARED_CLASS = "No two clients hold the same class, so there is nothing to compare.";

// Says why a round has no circuits in this page; "" where it has some.
function whyNoCircuits(log, round) {
  const [single, means] = log.parts.quality;
  if (single.rowsOfRound(round).length > 0) return "";
  return means.rowsOfRound(round).length > 0
    ? `Single circuits of round ${round} are not in this page: of a large run it keeps those of some rounds.`
    : `No circuits were found in round ${round}.`;
}

// Says why a model's circuit of a class does not count; "" where it does. A source is {model, partition, isBefore}.
function whyNotUsable(log, round, source, classId) {
  const whose = source.model === "client" ? `client ${source.partition}` : "the global model";
  const { usable, reason } = qualityOf(log, round, source, classId);
  if (usable === undefined) {
    const isWithout = log.heldClasses.get(source.partition)?.has(classId) === false;
    return isWithout ? `${whose} holds no class ${classId}` : `${whose} has no circuit of class ${classId}`;
  }
  if (usable === 1) return "";
  return usable === 0
    ? `the circuit of ${whose} is not usable (${reason ?? "for a reason that was not logged"})`
    : `whether the circuit of ${whose} is usable is not known`;
}

// Says why the circuits of two models are not compared; meaningless where they are.
function whyNotCompared(log, round, sources, classId) {
  const why = sources.map((source) => whyNotUsable(log, round, source, classId)).find((text) => text);
  return why ?? "no overlap was logged";
}

// Says why no class of two clients is compared; meaningless where one is.
function whyNoClass(log, round, a, b, classId) {
  const sources = [a, b].map((partition) => ({ model: "client", partition }));
  if (classId !== null) return whyNotCompared(log, round, sources, classId);
  const has = (source, one) => qualityOf(log, round, source, one).usable !== undefined;
  const shared = log.classes.filter((one) => sources.every((source) => has(source, one)));
  if (shared.length === 0) return "no class has circuits in both";
  return `of the classes with circuits in both (${shared.join(", ")}) none is usable in both`;
}

// Says why no two clients are compared in a round; meaningless where some are.
function whyNoPairs(log, comparison, round) {
  if (comparison === "same_class_across_clients" && !log.hasSharedClass()) return NO_SHARED_CLASS;
  if (comparison === "parameter_mask_across_clients") return "No weight masks were logged.";
  return whyNoCircuits(log, round) || `In round ${round} no two clients have usable circuits to compare.`;
}
