"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const COLORS = ["#56b4e9", "#0072b2", "#e69f00", "#d55e00", "#cc79a7", "#009e73", "#f0e442", "#999999"]; // Okabe and Ito
const number = (value, digits = 0) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const rupees = (paise) => "Rs " + number(paise / 100, 2);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const CONFIG = { displaylogo: false, responsive: true, scrollZoom: true, displayModeBar: true, modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]] };

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
function options(select, names, first) {
  select.replaceChildren(...(first === undefined ? [] : [element("option", first, { value: "" })]), ...names.map(([value, text]) => element("option", text, { value })));
  select.disabled = names.length === 0;
}
function table(where, heads, rows, numeric) {
  const cell = (tag) => (value, place) => {
    const made = value instanceof Node ? element(tag) : element(tag, value);
    if (value instanceof Node) made.append(value);
    if (numeric.includes(place)) made.className = "number";
    return made;
  };
  const line = (tag, values) => { const row = element("tr"); row.append(...values.map(cell(tag))); return row; };
  const head = element("thead"), body = element("tbody");
  head.append(line("th", heads));
  body.append(...rows.map((row) => line("td", row)));
  where.replaceChildren(head, body);
}
function layout(more = {}) {
  const text = css("--text"), lines = css("--line"), axis = { gridcolor: lines, zerolinecolor: lines, automargin: true };
  return { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: text, family: "system-ui, sans-serif", size: 13 },
    margin: { l: 10, r: 10, t: 10, b: 10 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, hoverlabel: { align: "left" },
    ...more, xaxis: { ...axis, ...more.xaxis }, yaxis: { ...axis, ...more.yaxis } };
}
