
const LABELS = { disruptions: "disruptions", claims: "claims", claims_approved: "claims approved", riders_paid: "riders paid", paid_inr: "paid, Rs", queued_inr: "queued for a reserve, Rs", reserve_share: "share of the reserve", honest_missed: "honest riders missed", attackers_paid: "attackers paid" };
const DASHES = ["solid", "dash", "dot", "dashdot"];
const label = (measure) => LABELS[measure] ?? measure.replaceAll("_", " ");
const shown = (measure, value) => value === null ? "" : number(value, measure.endsWith("_inr") ? 2 : Number.isInteger(value) ? 0 : 3);
const products = [...new Set(data.rows.map((row) => row.product))];
const ofProduct = () => data.rows.filter((row) => row.product === $("product").value);

/** One curve for each combination of the other varied numbers. */
function curvesOver(over, measure) {
  const others = data.varied.filter((name) => name !== over), curves = new Map();
  for (const row of ofProduct()) {
    const name = others.map((other) => `${other.split(".").slice(1).join(".")} = ${row[other]}`).join(", ");
    if (!curves.has(name)) curves.set(name, []);
    curves.get(name).push(row);
  }
  return [...curves].map(([name, rows], place) => {
    rows.sort((a, b) => a[over] - b[over]);
    const color = COLORS[(place + 1) % COLORS.length];
    return { name, x: rows.map((row) => row[over]), y: rows.map((row) => row[measure]), mode: "lines+markers", showlegend: others.length > 0,
      line: { color, dash: DASHES[Math.floor(place / COLORS.length) % DASHES.length] }, marker: { color, size: 8 } };
  });
}
function drawCurves() {
  const over = $("over").value;
  $("curves").replaceChildren();
  const charts = data.measures.map((measure) => {
    const chart = element("div", undefined, { class: "chart", id: "curve-" + measure, role: "img", "aria-label": `${label(measure)} over ${over}; the table below has the numbers` });
    const figure = element("div");
    figure.append(element("h3", label(measure)), chart);
    $("curves").append(figure);
    return [measure, chart];
  });
  for (const [measure, chart] of charts) {  // once all have their places: a chart takes the width that it has
    Plotly.react(chart, curvesOver(over, measure), layout({ dragmode: false, xaxis: { title: { text: over } }, yaxis: { rangemode: "tozero" } }), { ...CONFIG, scrollZoom: false, displayModeBar: false });
  }
  const columns = [...data.varied, ...data.measures];
  table($("points"), columns.map((name) => data.measures.includes(name) ? label(name) : name), ofProduct().map((row) => columns.map((name) => data.measures.includes(name) ? shown(name, row[name]) : String(row[name]))), columns.map((_, place) => place));
}
$("grid").textContent = `${number(data.rows.length)} rows; varied: ${data.varied.join(", ")}.`;
options($("product"), products.map((name) => [name, name]));
options($("over"), data.varied.map((name) => [name, name]));
$("product").onchange = () => {
  const own = data.varied.find((name) => name.startsWith($("product").value + "."));
  if (own) $("over").value = own;
  drawCurves();
};
$("over").onchange = drawCurves;
$("product").onchange();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCurves);
document.body.dataset.drawn = "true";
