// One tooltip for the whole page. It repeats what labels for assistive technology say, so it is hidden from that.

const tooltip = element("div", { class: "tooltip", "aria-hidden": "true", hidden: true });

function showTooltip(lines, x, y) {
  const [first, ...rest] = lines.filter((line) => line);
  tooltip.replaceChildren(element("strong", {}, first), ...rest.map((line) => element("div", {}, line)));
  tooltip.hidden = false;
  const box = tooltip.getBoundingClientRect();
  const isLeft = x + 16 + box.width > document.documentElement.clientWidth;
  const left = isLeft ? Math.max(4, x - box.width - 12) : x + 14;
  const top = Math.min(Math.max(4, y + 14), window.innerHeight - box.height - 4);
  tooltip.style.transform = `translate(${left}px, ${top}px)`;
}

function showTooltipAt(lines, node) {
  const box = node.getBoundingClientRect();
  showTooltip(lines, box.right, box.top);
}

function hideTooltip() {
  tooltip.hidden = true;
}
