// Sorting and filtering of the tables marked `sortable`. Without script they stay as they are: sorted by rank.
"use strict";

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function valueOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.textContent.trim();
}

// Numbers by size, words by the alphabet, empty cells last in either direction.
function compare(a, b, sign) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const difference = Number(a) - Number(b);
  return sign * (Number.isNaN(difference) ? collator.compare(a, b) : difference);
}

function sort(table, header) {
  const opposite = { ascending: "descending", descending: "ascending" };
  const direction = opposite[header.getAttribute("aria-sort")] ?? header.dataset.first;
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  rows.sort((a, b) => compare(valueOf(a, header.cellIndex), valueOf(b, header.cellIndex), sign));
  body.append(...rows);
}

function makeSortable(table) {
  for (const header of table.tHead.rows[0].cells) {
    if (!header.dataset.first) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(table, header));
    header.append(button);
  }
}

function makeFilter(table, controls) {
  const runs = controls.querySelector("select");
  const teams = controls.querySelector("input");
  const status = controls.querySelector("[role=status]");
  const filter = () => {
    const wanted = teams.value.trim().toLowerCase();
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const isWanted = row.dataset.team.toLowerCase().includes(wanted);
      row.hidden = !isWanted || (runs.value === "best" && row.dataset.best === undefined);
      shown += !row.hidden;
    }
    status.textContent = `${shown} of ${table.tBodies[0].rows.length} runs`;
  };
  runs.addEventListener("change", filter);
  teams.addEventListener("input", filter);
  controls.hidden = false;
  filter();  // browsers restore what stood in the fields before a reload
}

for (const controls of document.querySelectorAll(".controls")) {
  const table = document.getElementById(controls.querySelector("select").dataset.runs);
  makeSortable(table);
  makeFilter(table, controls);
}
