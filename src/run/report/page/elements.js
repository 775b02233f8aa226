"use strict";
// What the page is made of. All that is shown is put there as text, never as markup.

const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}
const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
const section = (title, ...children) => el("section", {}, el("h2", {}, title), ...children);
const scroll = (table, label) => el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label }, table);

function table(attributes, head, rows) {
  const cells = (row, kind) =>
    row.map((cell) => (cell instanceof Element ? cell : el(kind, kind === "th" ? { scope: "col" } : {}, cell)));
  return el(
    "table",
    attributes,
    el("thead", {}, el("tr", {}, cells(head, "th"))),
    el(
      "tbody",
      {},
      rows.map((row) => el("tr", {}, cells(row, "td"))),
    ),
  );
}
const leftHead = (name) => el("th", { scope: "col", class: "left" }, name);
const rowHead = (colour, name) => el("th", { scope: "row", class: "name" }, colour ? swatch(colour) : null, name);
function swatch(colour) {
  const node = el("span", { class: "swatch", "aria-hidden": "true" });
  node.style.color = colour;
  return node;
}

// Words.

const list = (value) => (Array.isArray(value) ? value : []);
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const number = (value, digits = 2) => (isNumber(value) ? value.toFixed(digits) : "–");
const percent = (value) => (isNumber(value) ? `${(100 * value).toFixed(1)}\u00a0%` : "–");
const whole = (value) => (isNumber(value) ? value.toLocaleString("en") : "–");
const facts = (pairs) =>
  el(
    "dl",
    { class: "facts" },
    pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );
const stepOf = (run) => `step ${whole(run.step)} of ${whole(run.steps)}`;

// What one part cannot show keeps no other from being shown.
function append(...parts) {
  for (const part of parts) {
    try {
      const node = part();
      if (node) page.append(node);
    } catch (error) {
      console.error(error);
    }
  }
}
