// The global model's recall by class and round.

function drawRecallMap(host, log, state, change) {
  const recalls = (log.recallsByClass ??= recallsByClass(log));
  if (recalls.size === 0) {
    host.replaceChildren(element("p", { class: "empty" }, "No recall by class was logged."));
    return;
  }
  byId("recall").classList.toggle("is-wide", log.rounds.length > MOST_NUMBERED_COLUMNS);
  const recall = (classId, round) => recalls.get(`${classId}/${round}`) ?? null;
  drawHeatMap(host, {
    id: "recall",
    label: "Recall of the global model, by class and round",
    corner: "class",
    rows: log.classes.map((classId) => ({ label: log.isHeld(classId) ? classId : `${classId}*`, value: classId })),
    columns: log.rounds.map((round) => ({ label: round, value: round })),
    cell: recall,
    high: 1,
    digits: 2,
    describe: (classId, round) => [
      `Class ${classId}, round ${round}`,
      `recall ${formatNumber(recall(classId, round))}`,
      ...(log.isHeld(classId) ? [] : ["no client holds it"]),
    ],
    chosen: { row: state.classId, column: state.round },
    onPick: (classId, round) => change({ round, classId }),
  });
}

function recallsByClass(log) {
  const found = new Map();
  for (const part of log.parts.recall) {
    for (const row of part.rows({ model: "global" })) {
      found.set(`${part.column("class_id")(row)}/${part.column("round")(row)}`, part.column("recall")(row));
    }
  }
  return found;
}
