// Where the nodes of a circuit graph stand. A channel has one place in every round, class and model.

const PITCH = { x: 19, y: 17 };
const GRAPH_MARGIN = { x: 26, top: 44, bottom: 14 };
const LAYER_GAP = 205;

// Returns the picture's size, titles of its columns, and place(column, channel).
function graphLayout(circuits) {
  const widest = Math.max(...circuits.widths);
  const numRows = widest <= 128 ? Math.min(32, widest) : Math.ceil(Math.sqrt(widest * 8));
  const blocks = [circuits.kernels[circuits.layers[0]][1], ...circuits.widths, 1].map((width) =>
    blockOf(width, numRows),
  );
  let x = GRAPH_MARGIN.x;
  for (const block of blocks) {
    block.left = x;
    x += (block.numColumns - 1) * PITCH.x + LAYER_GAP;
  }
  const height = GRAPH_MARGIN.top + numRows * PITCH.y + GRAPH_MARGIN.bottom;
  return {
    width: x - LAYER_GAP + GRAPH_MARGIN.x,
    height,
    columns: ["image", ...circuits.layers, "class"].map((title, column) => ({ title, x: blockMiddle(blocks[column]) })),
    place: (column, channel) => placeIn(blocks[column], channel, numRows),
  };
}

function blockOf(width, numRows) {
  return { width, numColumns: Math.ceil(width / numRows), numUsedRows: Math.min(width, numRows) };
}

function blockMiddle(block) {
  return block.left + ((block.numColumns - 1) * PITCH.x) / 2;
}

function placeIn(block, channel, numRows) {
  const first = GRAPH_MARGIN.top + ((numRows - block.numUsedRows) / 2) * PITCH.y;
  return {
    x: block.left + Math.floor(channel / numRows) * PITCH.x,
    y: first + ((channel % numRows) + 0.5) * PITCH.y,
  };
}
