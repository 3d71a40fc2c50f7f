// Circuits as the page holds them: bits for members, kernels and reachable channels, a byte for a score.
//
// An edge of a circuit is a kernel of its model that joins two of its nodes.

class Circuits {
  constructor(encoded) {
    Object.assign(this, encoded);
    this.table = new Table(encoded.circuits);
    this.modelTable = new Table(encoded.models);
    this.offsets = this.layers.map((layer, place) =>
      this.widths.slice(0, place).reduce((sum, width) => sum + width, 0),
    );
    this.numChannels = this.widths.reduce((sum, width) => sum + width, 0);
    this.memberBits = new BitRows(encoded.members, this.table.length);
    this.reachableBits = new BitRows(encoded.reachable, this.modelTable.length);
    this.usedKernels = new BitRows(encoded.kernelBits, this.modelTable.length);
    this.scoreBytes = bytesOf(encoded.scores);
    this.rowsByKey = keyedRows(this.table, ["round", "model", "partition_id", "class_id"]);
    this.modelsByKey = keyedRows(this.modelTable, ["round", "model", "owner"]);
  }

  // Returns the circuit of a class, null if there is none. A source is a model and on whose images it was searched.
  find(round, source, classId) {
    const row = this.rowsByKey.get(keyOf([round, source.model, source.partition, classId]));
    if (row === undefined) return null;
    const owner = source.model === "client" ? source.partition : null;
    return { row, classId, model: this.modelsByKey.get(keyOf([round, source.model, owner])) };
  }

  has(circuit, layer, channel) {
    return this.memberBits.has(circuit.row, this.offsets[layer] + channel);
  }

  score(circuit, layer, channel) {
    return this.scoreBytes[circuit.row * this.numChannels + this.offsets[layer] + channel] / 255;
  }

  isReachable(circuit, layer, channel) {
    return this.reachableBits.has(circuit.model, this.offsets[layer] + channel);
  }

  channels(circuit, layer) {
    return [...Array(this.widths[layer]).keys()].filter((channel) => this.has(circuit, layer, channel));
  }

  // Returns a circuit's edges as [column, source, target]; column 0 is the image, the last column is the class.
  edges(circuit) {
    const columns = [
      [...Array(this.kernels[this.layers[0]][1]).keys()],
      ...this.layers.map((_, layer) => this.channels(circuit, layer)),
      [circuit.classId],
    ];
    const found = [];
    let offset = 0;
    Object.values(this.kernels).forEach(([numTargets, numSources], column) => {
      for (const target of columns[column + 1]) {
        for (const source of columns[column]) {
          if (this.usedKernels.has(circuit.model, offset + target * numSources + source))
            found.push([column, source, target]);
        }
      }
      offset += numTargets * numSources;
    });
    return found;
  }

  // Returns the sources that have circuits in a round: clients first, then the global model.
  sources(round) {
    const found = new Map();
    for (const row of this.table.rows({ round })) {
      const source = { model: this.table.column("model")(row), partition: this.table.column("partition_id")(row) };
      found.set(sourceKey(source), source);
    }
    return [...found.values()].sort(
      (a, b) => a.model.localeCompare(b.model) || (a.partition ?? -1) - (b.partition ?? -1),
    );
  }

  classes(round) {
    const found = new Set(this.table.rows({ round }).map((row) => this.table.column("class_id")(row)));
    return [...found].sort((a, b) => a - b);
  }
}

function keyedRows(table, names) {
  const columns = names.map((name) => table.column(name));
  return new Map([...Array(table.length).keys()].map((row) => [keyOf(columns.map((column) => column(row))), row]));
}

function keyOf(values) {
  return values.map(String).join("/");
}

function sourceKey(source) {
  return `${source.isBefore ? "before" : source.model}/${source.partition ?? SERVER}`;
}

// Compares two circuits, or shows one where `b` is null. `average` is the global model's circuit, null if not asked.
// Returns nodes {column, channel, kind, isLost} of members of either, and edges {column, source, target, kind}.
function compareCircuits(circuits, a, b, average) {
  return { nodes: comparedNodes(circuits, a, b, average), edges: comparedEdges(circuits, a, b) };
}

function kindOf(isInA, isInB, hasB) {
  if (!hasB) return "a";
  if (isInA && isInB) return "shared";
  return isInA ? "a" : "b";
}

function comparedNodes(circuits, a, b, average) {
  const nodes = [];
  circuits.layers.forEach((_, layer) => {
    for (let channel = 0; channel < circuits.widths[layer]; channel += 1) {
      const isInA = a !== null && circuits.has(a, layer, channel);
      const isInB = b !== null && circuits.has(b, layer, channel);
      if (!isInA && !isInB) continue;
      const isLost = average !== null && !circuits.has(average, layer, channel);
      nodes.push({ column: layer + 1, channel, kind: kindOf(isInA, isInB, b !== null), isLost });
    }
  });
  return nodes;
}

function comparedEdges(circuits, a, b) {
  const inA = new Map((a ? circuits.edges(a) : []).map((edge) => [edge.join("/"), edge]));
  const inB = new Map((b ? circuits.edges(b) : []).map((edge) => [edge.join("/"), edge]));
  return [...new Map([...inA, ...inB])].map(([key, [column, source, target]]) => ({
    column,
    source,
    target,
    kind: kindOf(inA.has(key), inB.has(key), b !== null),
  }));
}
