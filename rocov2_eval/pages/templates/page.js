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

// The tables of a board show the rows of the teams asked for, each by folder or by display name.
function makeFilter(controls) {
  const tables = [...controls.parentElement.querySelectorAll("table.sortable")];
  const teams = controls.querySelector("input");
  const status = controls.querySelector("[role=status]");
  const filter = () => {
    const wanted = teams.value.trim().toLowerCase();
    for (const row of tables.flatMap((table) => [...table.tBodies[0].rows])) {
      row.hidden = !row.dataset.names.toLowerCase().includes(wanted);
    }
    const rows = [...tables.at(-1).tBodies[0].rows];
    status.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} runs`;
  };
  teams.addEventListener("input", filter);
  controls.hidden = false;
  filter();  // browsers restore what stood in the field before a reload
}

for (const table of document.querySelectorAll("table.sortable")) makeSortable(table);
for (const controls of document.querySelectorAll(".controls")) makeFilter(controls);
