"use strict";
// A heading's button sorts its table by that column; what is empty comes last either way.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = Array.from(table.tHead.rows[0].cells);
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sort(table, headings, column));
  });
}

function sort(table, headings, column) {
  const wasAscending = headings[column].getAttribute("aria-sort") === "ascending";
  headings.forEach((heading) => heading.removeAttribute("aria-sort"));
  headings[column].setAttribute("aria-sort", wasAscending ? "descending" : "ascending");
  const sign = wasAscending ? -1 : 1;
  const rows = Array.from(table.tBodies[0].rows);
  rows.sort((a, b) => compare(a.cells[column], b.cells[column], sign));
  table.tBodies[0].append(...rows);
}

function compare(a, b, sign) {
  const empty = (a.textContent === "") - (b.textContent === "");
  if (empty !== 0) {
    return empty;
  }
  if ("value" in a.dataset && "value" in b.dataset) {
    return sign * (Number(a.dataset.value) - Number(b.dataset.value));
  }
  return sign * a.textContent.localeCompare(b.textContent, "en", { numeric: true });
}

// Tabs: the section that the address names is shown alone, else the first one.
if (document.body.classList.contains("tabs")) {
  const links = Array.from(document.querySelectorAll("nav a"));
  const sections = Array.from(document.querySelectorAll("main section"));
  const show = () => {
    const chosen = Math.max(0, links.findIndex((link) => link.hash === location.hash));
    links.forEach((link, i) => link.toggleAttribute("aria-current", i === chosen));
    sections.forEach((section, i) => { section.hidden = i !== chosen; });
  };
  addEventListener("hashchange", show);
  show();
}
