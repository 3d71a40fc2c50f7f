// One run's tables, and means of them by round for the chosen clients and class.

const SERVER = "server";

class RunLog {
  constructor(data) {
    Object.assign(this, data);
    const single = ["overlap", "quality", "sizes", "recall"];
    this.parts = Object.fromEntries(single.map((name) => [name, data.tables[name].map((part) => new Table(part))]));
    this.interference = new Table(data.tables.interference);
    this.stability = new Table(data.tables.stability);
    this.clientTable = new Table(data.tables.clients);
    this.clientAccuracy = new Table(data.tables.clientAccuracy);
    this.circuits = data.graphs ? new Circuits(data.graphs) : null;
    this.heldClasses = new Map(
      data.held.map(({ client, images }) => [client, new Set(images.flatMap((count, id) => (count ? [id] : [])))]),
    );
  }

  // Returns a client's number, and the name that it gave itself if it did.
  clientName(client) {
    return `${client}${this.labels[client] ?? ""}`;
  }

  // False where clients said what they hold, and none holds this class.
  isHeld(classId) {
    return this.heldClasses.size === 0 || [...this.heldClasses.values()].some((classes) => classes.has(classId));
  }

  // False where clients said what they hold, and no class is held by two.
  hasSharedClass() {
    const held = [...this.heldClasses.values()].flatMap((classes) => [...classes]);
    return held.length === 0 || new Set(held).size < held.length;
  }

  // Returns the figures of the summary as points by round.
  measured(name) {
    return pointsOf(this.measures.map((row) => [row.round, row[name]]));
  }

  // Returns the mean of a column by round over the rows that have the wanted values and chosen clients.
  byRound(parts, column, wanted, chosen = null, clientColumns = ["partition_id"]) {
    const groups = new Map();
    for (const part of parts) {
      const values = part.column(column);
      if (!values) continue;
      const counts = part.column(`n:${column}`);
      for (const row of chosenRows(part, wanted, chosen, clientColumns)) {
        addValue(groups, part.column("round")(row), values(row), counts ? counts(row) : 1, counts !== null);
      }
    }
    return new Map([...groups].sort(([a], [b]) => a - b).map(([round, group]) => [round, groupPoint(group)]));
  }
}

function chosenRows(table, wanted, chosen, clientColumns) {
  const rows = table.rows(wanted);
  if (chosen === null) return rows;
  const columns = clientColumns.map((name) => table.column(name)).filter((column) => column);
  return rows.filter((row) => columns.length > 0 && columns.every((column) => chosen.has(column(row))));
}

function pointsOf(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && !Number.isNaN(value));
  return new Map(known.map(([round, mean]) => [round, { mean, count: 1 }]));
}

function addValue(groups, round, value, count, isMean) {
  if (Number.isNaN(value) || value === null || count === 0) return;
  if (!groups.has(round)) groups.set(round, { sum: 0, count: 0, values: [] });
  const group = groups.get(round);
  group.sum += value * count;
  group.count += count;
  if (isMean) group.values = null;
  else group.values?.push(value);
}

function groupPoint({ sum, count, values }) {
  const point = { mean: sum / count, count };
  if (!values || values.length < 3) return point;
  values.sort((a, b) => a - b);
  return { ...point, low: quantile(values, 0.1), high: quantile(values, 0.9) };
}

function quantile(sorted, share) {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}
