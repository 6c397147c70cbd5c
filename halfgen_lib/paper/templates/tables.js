// A click on a column's title sorts by it: up, down, and back to the order of the paper.
// A column is numeric where every filled cell starts with a number: "0.017 [0.016, 0.018]", "+3 %".
// (This file stands alone: the papers hold it, and each table that a notebook shows.)
const numberIn = (text) => {
  const plain = text.replace(/\u2212/g, "-").replace(/(?<=\d),(?=\d{3}\b)/g, "");
  const found = plain.match(/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?(?![\w.])/i);
  return found ? parseFloat(found[0]) : NaN;
};
const isBlank = (text) => text === "" || text === "\u2013" || text === "\u2014" || text === "-";
const collator = new Intl.Collator(document.documentElement.lang, { numeric: true });

function sortRows(rows, column, direction) {
  const entries = rows.map((row) => {
    const text = row.cells[column].textContent.trim();
    return { row, text, value: numberIn(text) };
  });
  const numeric = entries.every((entry) => isBlank(entry.text) || !isNaN(entry.value));
  return entries.sort((a, b) => {
    if (isBlank(a.text) || isBlank(b.text)) return isBlank(a.text) - isBlank(b.text);
    return direction * (numeric ? a.value - b.value : collator.compare(a.text, b.text));
  }).map((entry) => entry.row);
}

// A row of totals, whose first cell is all bold, stays last.
const isTotal = (row) => {
  const bold = row.cells[0].querySelector("strong");
  return bold !== null && bold.textContent.trim() === row.cells[0].textContent.trim();
};

function makeSortable(table) {
  const titles = [...table.querySelectorAll("thead th")];
  const body = table.tBodies[0];
  const all = body ? [...body.rows] : [];
  if (all.length < 3 || all.some((row) => row.cells.length !== titles.length)) return;
  const totals = all.filter(isTotal);
  const rows = all.filter((row) => !isTotal(row));
  titles.forEach((title, column) => {
    if (!title.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" };
      const order = next[title.getAttribute("aria-sort")];
      titles.forEach((other) => { if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none"); });
      title.setAttribute("aria-sort", order);
      const direction = order === "descending" ? -1 : 1;
      body.append(...(order === "none" ? rows : sortRows(rows, column, direction)), ...totals);
    });
    button.append(...title.childNodes);
    title.append(button);
    title.setAttribute("aria-sort", "none");
  });
}
