
const LABELS = { all: "all riders", zone: "zone (H3 7)", distance: "distance to the nearest official station", device_tier: "device tier", platform: "platform", shift: "shift" };
const MEASURES = { shortfall_per_rider_inr: "shortfall per rider, Rs", excess_per_rider_inr: "excess per rider, Rs", loss_without_payment: "riders with a loss and no payment", paid_without_loss: "riders paid without a loss" };
const COLUMNS = { riders: "riders", paid_without_loss: "paid without loss", paid_without_loss_inr: "Rs", loss_without_payment: "loss without payment", loss_without_payment_inr: "Rs", shortfall_per_rider_inr: "shortfall, Rs", shortfall_per_rider_low_inr: "from", shortfall_per_rider_high_inr: "to", excess_per_rider_inr: "excess, Rs", correlation: "correlation" };
const MAX_BARS = 20;
const bound = (measure, end) => measure.endsWith("_inr") ? measure.replace("_inr", `_${end}_inr`) : `${measure}_${end}`;
const shown = (name, value) => value === null ? "" : number(value, name.endsWith("_inr") || name === "correlation" ? 2 : 0);

/** A chart per measure: a point with its bounds for each row. */
function drawMeasures(where, rows, names) {
  const charts = Object.entries(MEASURES).map(([measure, label]) => {
    const chart = element("div", undefined, { class: "chart", id: `${where.id}-${measure}`, role: "img", "aria-label": `${label}; the table below has the numbers` });
    const figure = element("div");
    figure.append(element("h3", label), chart);
    chart.style.height = `${Math.max(9, 4 + 1.7 * rows.length)}rem`;
    return [figure, chart];
  });
  where.replaceChildren(...charts.map(([figure]) => figure)); // all are there before one is drawn: they share the width
  Object.keys(MEASURES).forEach((measure, place) => {
    const color = COLORS[place + 1], y = rows.map((row) => row[measure]);
    const reach = (end) => rows.map((row, at) => row[bound(measure, end)] === null ? 0 : Math.abs(row[bound(measure, end)] - y[at]));
    const trace = { x: y, y: names, mode: "markers", marker: { color, size: 9 }, showlegend: false, error_x: { type: "data", symmetric: false, array: reach("high"), arrayminus: reach("low"), color, thickness: 2 } };
    Plotly.react(charts[place][1], [trace], layout({ dragmode: false, xaxis: { rangemode: "tozero" }, yaxis: { type: "category", autorange: "reversed" } }), { ...CONFIG, scrollZoom: false, displayModeBar: false });
  });
}
function fillTable(where, first, rows, names) {
  const columns = Object.keys(COLUMNS);
  table(where, [first, ...Object.values(COLUMNS)], rows.map((row, at) => [names[at], ...columns.map((name) => shown(name, row[name]))]), columns.map((_, place) => place + 1));
}
function drawGroups() {
  const dimension = $("dimension").value;
  let rows = data.groups.filter((row) => row.product === $("product").value && row.dimension === dimension);
  if (dimension === "zone") rows = [...rows].sort((a, b) => b.shortfall_per_rider_inr - a.shortfall_per_rider_inr);
  const few = rows.slice(0, MAX_BARS);
  drawMeasures($("group-charts"), few, few.map((row) => row.group));
  fillTable($("groups"), LABELS[dimension], rows, rows.map((row) => row.group));
}
function drawRiders() {
  const of = data.riders[$("product").value] ?? { of: 0, lost_inr: [], paid_inr: [], is_loss: [] };
  $("drawn").textContent = `${number(of.lost_inr.length)} of ${number(of.of)} riders whose loss is measured. On the line, what is paid is what was lost; below it is a shortfall.`;
  const traces = [[true, "loss", COLORS[3], "circle"], [false, "no loss", COLORS[1], "circle-open"]].map(([loss, name, color, symbol]) => {
    const at = of.is_loss.flatMap((is, place) => is === loss ? [place] : []);
    return { name, x: at.map((place) => of.lost_inr[place]), y: at.map((place) => of.paid_inr[place]), mode: "markers", marker: { color, symbol, size: 6, opacity: 0.6 } };
  });
  const [lost, paid] = [of.lost_inr, of.paid_inr].map((values) => 1.05 * Math.max(1, ...values)), most = Math.max(lost, paid);
  const even = { name: "loss = payment", x: [0, most], y: [0, most], mode: "lines", line: { color: css("--soft"), dash: "dot" } };
  Plotly.react($("riders"), [...traces, even], layout({ dragmode: false, xaxis: { title: { text: "lost, Rs" }, range: [-0.02 * lost, lost] }, yaxis: { title: { text: "paid, Rs" }, range: [-0.02 * paid, paid] } }), { ...CONFIG, scrollZoom: false, displayModeBar: false });
}
function drawTried() {
  const rows = data.tried.filter((row) => row.product === $("product").value);
  $("tried-section").hidden = rows.length === 0;
  if (rows.length === 0) return;
  const names = rows.map((row) => `${row.variant} ${row.value}`.trim());
  drawMeasures($("tried-charts"), rows, names);
  fillTable($("tried"), "tried", rows, names);
}
function draw() { drawRiders(); drawGroups(); drawTried(); }
$("about").textContent = `A loss is ${number(100 * data.threshold)} % of the shift's income or more: ${data.loss}. Bars are bounds of 95 %.`;
options($("product"), [...new Set(data.groups.map((row) => row.product))].map((name) => [name, name]));
options($("dimension"), Object.entries(LABELS).map(([name, text]) => [name, text]));
$("dimension").value = "distance";
$("product").onchange = draw;
$("dimension").onchange = drawGroups;
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
document.body.dataset.drawn = "true";
