"use strict";
// Tables: a click on a head sorts by it, numbers by size and what has none at the end; a word keeps its rows.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const numeric = head.classList.contains("n");
    const keyed = [...body.rows].map(row => {
      const cell = row.cells[at];
      return [numeric ? parseFloat(cell.dataset.n ?? "NaN") : cell.textContent, row];
    });
    keyed.sort(([a], [b]) => {
      if (!numeric) return (up ? 1 : -1) * a.localeCompare(b, "en", {numeric: true});
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return up ? a - b : b - a;
    });
    body.append(...keyed.map(([, row]) => row));
  }));
  const filter = table.closest("section").querySelector("input[data-filter]");
  if (filter) filter.addEventListener("input", () => {
    let shown = 0;
    for (const row of body.rows) {
      const fits = filter.value.toLowerCase().split(/\s+/).every(word => row.textContent.toLowerCase().includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    filter.closest("p").querySelector("[role=status]").textContent = `${shown} of ${body.rows.length} rows`;
  });
}
// Cards of units, in another order.
for (const choice of document.querySelectorAll("select[data-order]")) {
  const cards = document.getElementById(choice.dataset.order);
  choice.addEventListener("change", () => {
    const sign = choice.value === "unit" ? 1 : -1;
    const key = card => sign * parseFloat(card.dataset[choice.value]);
    cards.append(...[...cards.children].sort((a, b) => key(a) - key(b)));
  });
}
// Links within the page: in a frame of another page, as MLflow's, the address that they stand for would be that page's.
for (const link of document.querySelectorAll('a[href^="#"]')) link.addEventListener("click", event => {
  const target = document.getElementById(link.getAttribute("href").slice(1));
  event.preventDefault();
  target.setAttribute("tabindex", "-1");
  target.focus({preventScroll: true});
  target.scrollIntoView();
});
