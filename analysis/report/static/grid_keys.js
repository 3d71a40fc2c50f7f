// Arrow keys within a group of cells that takes one stop of the tab key.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Lets arrow keys move between cells; `columns` lists the cells of each column from top to bottom.
function moveByArrows(host, columns) {
  const cells = columns.flat();
  cells.forEach((cell, number) => cell.setAttribute("tabindex", number === 0 ? "0" : "-1"));
  host.addEventListener("keydown", (event) => {
    const step = ARROWS[event.key];
    const next = step && neighbour(columns, document.activeElement, step);
    if (!next) return;
    event.preventDefault();
    cells.forEach((cell) => cell.setAttribute("tabindex", cell === next ? "0" : "-1"));
    next.focus();
  });
}

function neighbour(columns, current, [across, down]) {
  const number = columns.findIndex((column) => column.includes(current));
  if (number < 0) return null;
  const row = columns[number].indexOf(current);
  if (across === 0) return columns[number][row + down] ?? null;
  const other = nextFilled(columns, number, across);
  if (!other) return null;
  // Columns may differ in length: the same relative height is the nearest thing to the same row.
  const scale = columns[number].length === other.length ? 1 : other.length / columns[number].length;
  return other[Math.min(other.length - 1, Math.round(row * scale))];
}

function nextFilled(columns, number, step) {
  let next = number + step;
  while (columns[next] && columns[next].length === 0) next += step;
  return columns[next] ?? null;
}
