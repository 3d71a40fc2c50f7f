// Reads what analysis/report/embedding.py wrote: columns of 32-bit floats, or of codes that point into levels.

const CODE_ARRAYS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array };

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

class Table {
  constructor(encoded) {
    this.length = encoded.rows;
    this.encoded = encoded.columns;
    this.columns = new Map();
  }

  // Returns a function from a row to its value: null, or NaN in a column of floats, where it is missing.
  column(name) {
    if (!this.columns.has(name)) this.columns.set(name, this.readColumn(this.encoded[name]));
    return this.columns.get(name);
  }

  readColumn(column) {
    if (column === undefined) return null;
    if (column.floats !== undefined) {
      const values = new Float32Array(bytesOf(column.floats).buffer);
      return (row) => values[row];
    }
    const codes = new CODE_ARRAYS[column.bytes](bytesOf(column.codes).buffer);
    return (row) => column.levels[codes[row]];
  }

  // Returns the rows whose columns have the wanted values; a wanted value that is undefined allows every one.
  rows({ round, ...others }) {
    const tests = Object.entries(others)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [this.column(name), value]);
    return this.rowsOfRound(round).filter((row) => tests.every(([column, value]) => column(row) === value));
  }

  // Rows are looked up by their round at every step of the slider, so they are sorted by it once.
  rowsOfRound(round) {
    if (round === undefined) return [...Array(this.length).keys()];
    if (this.length === 0) return [];
    this.byRound ??= Map.groupBy(Array(this.length).keys(), this.column("round"));
    return this.byRound.get(round) ?? [];
  }
}

class BitRows {
  constructor(base64, numRows) {
    this.bytes = bytesOf(base64);
    this.stride = this.bytes.length / numRows;
  }

  has(row, position) {
    return ((this.bytes[row * this.stride + (position >> 3)] >> (position & 7)) & 1) === 1;
  }
}
