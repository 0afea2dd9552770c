const RING = "#d55e00";
const SEQUENCE = ["#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#0c2c84"]; // ColorBrewer's YlGnBu
const clock = new Intl.DateTimeFormat("en-GB", { timeZone: "Asia/Kolkata", dateStyle: "medium", timeStyle: "short" });

// --- the map -------------------------------------------------------------------------------------------------------
const maps = data.map;
const state = { product: null, step: maps.steps - 1, cell: null, ring: "", metric: "", fill: "disruption" };
const momentOf = (step) => maps.from_ms + step * maps.step_ms;

function cellsAt(map, step) {
  const cells = map.cells.map(() => ({ levels: new Map(), claims: 0, payouts: 0, paise: 0 }));
  for (const [at, cell, level, by] of map.changes) {
    if (at > step) break;
    const levels = cells[cell].levels;
    levels.set(level, (levels.get(level) ?? 0) + by);
  }
  for (const [at, cell, count] of map.claims) { if (at > step) break; cells[cell].claims += count; }
  for (const [at, cell, count, paise] of map.paid) { if (at > step) break; cells[cell].payouts += count; cells[cell].paise += paise; }
  for (const cell of cells) cell.level = Math.max(-1, ...[...cell.levels].filter(([, zones]) => zones > 0).map(([level]) => level));
  return cells;
}
function outline(map, places) {
  const x = [], y = [];
  for (const place of places) {
    const ring = map.cells[place].ring;
    for (const [lat, lon] of [...ring, ring[0]]) { x.push(lon); y.push(lat); }
    x.push(null); y.push(null);
  }
  return { x, y };
}
function readingsAt(step) {
  const last = new Map();
  for (const [at, station, provider, value] of maps.readings[state.metric] ?? []) {
    if (at > step) break;
    if (!last.has(station)) last.set(station, new Map());
    last.get(station).set(provider, value);
  }
  return last;
}
// Riders that reported from each cell in the step; undefined where the telemetry is not there.
function ridersAt(map, step) {
  if (map.riders === undefined) return undefined;
  map.riderBytes ??= Uint8Array.from(atob(map.riders), (each) => each.charCodeAt(0));
  const at = 2 * step * map.cells.length;
  return map.cells.map((_, place) => map.riderBytes[at + 2 * place] + 256 * map.riderBytes[at + 2 * place + 1]);
}
// What the station nearest to each cell says whose radius reaches its center, by its highest provider; undefined: none does.
function valuesAt(map, readings) {
  const km = (a, b) => { const toRad = Math.PI / 180, x = (b[1] - a[1]) * toRad * Math.cos((a[0] + b[0]) / 2 * toRad), y = (b[0] - a[0]) * toRad; return 6371.009 * Math.hypot(x, y); };
  const stations = [...readings].map(([station, values]) => [maps.stations[station], Math.max(...values.values())]);
  return map.centers.map((center) => {
    let nearest = Infinity, found;
    for (const [station, value] of stations) { const away = km(center, station); if (away <= station[2] && away < nearest) { nearest = away; found = value; } }
    return found;
  });
}
// Round edges of up to five classes above the lowest number.
function edgesOf(highest) {
  const raw = highest / 5, size = 10 ** Math.floor(Math.log10(raw)), step = size * ([1, 2, 2.5, 5, 10].find((each) => each * size >= raw) ?? 10);
  return Array.from({ length: Math.max(1, Math.ceil(highest / step - 1e-9)) }, (_, place) => place * step);
}
const HIGHEST = new Map();
function highestOf(map) {
  const key = state.fill === "riders" ? `${state.product} riders` : state.metric;
  if (!HIGHEST.has(key)) {
    let most = 0;
    if (state.fill === "riders") for (let step = 0; step < maps.steps; step++) for (const count of ridersAt(map, step)) most = Math.max(most, count);
    else for (const [, , , value] of maps.readings[state.metric] ?? []) most = Math.max(most, value);
    HIGHEST.set(key, most);
  }
  return HIGHEST.get(key);
}
// The classes in which cells are filled: [name, color, cells], apart from those of none.
function classesOf(map, cells) {
  if (state.fill === "disruption") return map.levels.map((name, level) => [name, COLORS[level % COLORS.length], [...map.cells.keys()].filter((place) => cells[place].level === level)]);
  const riders = state.fill === "riders", values = riders ? ridersAt(map, state.step) : valuesAt(map, readingsAt(state.step)), highest = highestOf(map);
  if (!highest || !values) return [];
  const edges = edgesOf(highest), digits = edges[1] % 1 ? 1 : 0;
  return edges.map((edge, place) => {
    const next = edges[place + 1] ?? Infinity, above = (value) => value !== undefined && value < next && (place ? value >= edge : value > 0);
    return [place ? `${number(edge, digits)} and more` : `under ${number(edges[1] ?? highest, digits)}`, SEQUENCE[Math.round(place * (SEQUENCE.length - 1) / Math.max(1, edges.length - 1))], [...map.cells.keys()].filter((cell) => above(values[cell]))];
  });
}
function mapTraces(map, cells) {
  const none = state.fill === "disruption" ? "no disruption" : state.fill === "riders" ? "no rider reported" : "0, or no station";
  const traces = [{ ...outline(map, map.cells.keys()), mode: "lines", fill: "toself", fillcolor: css("--cell"), line: { width: .5, color: css("--line") }, hoverinfo: "skip", name: none }];
  for (const [name, color, held] of classesOf(map, cells)) traces.push({ ...outline(map, held), mode: "lines", fill: "toself", fillcolor: color, line: { width: .5, color: css("--card") }, hoverinfo: "skip", name });
  const riders = ridersAt(map, state.step);
  const label = (cell, place) => `${map.cells[place].name}<br>${cell.level < 0 ? "no disruption" : map.levels[cell.level]}${riders ? `<br>riders reporting ${number(riders[place])}` : ""}<br>claims ${number(cell.claims)}<br>paid ${rupees(cell.paise)}`;
  traces.push({ x: map.centers.map((at) => at[1]), y: map.centers.map((at) => at[0]), mode: "markers", name: "claims", customdata: [...map.cells.keys()],
    text: cells.map(label), hovertemplate: "%{text}<extra></extra>",
    marker: { color: css("--mark"), size: cells.map((cell) => cell.claims ? 2 + 1.6 * Math.sqrt(cell.claims) : 10), opacity: cells.map((cell) => cell.claims ? .75 : 0), line: { width: .5, color: css("--card") } } });
  if (state.cell !== null) traces.push({ ...outline(map, [state.cell]), mode: "lines", line: { width: 3, color: css("--focus") }, hoverinfo: "skip", showlegend: false });
  const linked = state.ring && map.rings[state.ring];
  if (linked && linked.length) {
    const [first, ...others] = linked.map((place) => map.centers[place]);
    traces.push({ x: others.flatMap((at) => [first[1], at[1], null]).concat(first[1]), y: others.flatMap((at) => [first[0], at[0], null]).concat(first[0]), mode: "lines+markers", line: { width: 3, color: RING }, marker: { size: 11, color: RING, symbol: "circle-open", line: { width: 3 } }, hoverinfo: "skip", name: "ring" });
  }
  const readings = readingsAt(state.step);
  if (readings.size) {
    const shown = [...readings.keys()];
    const highest = (station) => Math.max(...readings.get(station).values());
    traces.push({ x: shown.map((station) => maps.stations[station][1]), y: shown.map((station) => maps.stations[station][0]), mode: "markers+text", name: "stations",
      text: shown.map((station) => number(highest(station), 1)), textposition: "top center", textfont: { size: 13, color: css("--text"), shadow: "auto" },
      hovertext: shown.map((station) => `${state.metric}<br>` + [...readings.get(station)].map(([provider, value]) => `${provider} ${number(value, 1)}`).join("<br>")), hovertemplate: "%{hovertext}<extra></extra>",
      marker: { symbol: "diamond", size: 13, color: "#f0e442", line: { width: 1.5, color: "#1b1f24" } } });
  }
  return traces;
}
function drawMap() {
  const map = maps.products[state.product];
  if (!map) { $("now").textContent = "No disruption and no claim."; return; }
  const cells = cellsAt(map, state.step), lat = map.centers.reduce((sum, at) => sum + at[0], 0) / (map.centers.length || 1);
  const hidden = { showgrid: false, zeroline: false, showticklabels: false };
  Plotly.react($("map"), mapTraces(map, cells), layout({ dragmode: "pan", hovermode: "closest", uirevision: state.product, legend: { orientation: "h", y: -.02, yanchor: "top" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: css("--text") },
    xaxis: hidden, yaxis: { ...hidden, scaleanchor: "x", scaleratio: 1 / Math.cos(lat * Math.PI / 180) } }), CONFIG);
  const sum = (name) => cells.reduce((total, cell) => total + cell[name], 0);
  const disrupted = cells.filter((cell) => cell.level >= 0).length;
  $("moment").textContent = clock.format(momentOf(state.step));
  $("time").setAttribute("aria-valuetext", $("moment").textContent);
  $("now").textContent = `${number(disrupted)} of ${number(cells.length)} cells disrupted; so far ${number(sum("claims"))} claims and ${number(sum("payouts"))} payouts, ${rupees(sum("paise"))}.`;
  showCell(map, cells);
}
function showCell(map, cells) {
  if (state.cell === null) return;
  const cell = cells[state.cell], name = map.cells[state.cell].name, list = element("dl");
  const put = (term, value) => { const what = element("dd"); what.append(value); list.append(element("dt", term), what); };
  put("H3", name);
  put("Disruption", cell.level < 0 ? "none" : map.levels[cell.level]);
  const riders = ridersAt(map, state.step), value = state.metric ? valuesAt(map, readingsAt(state.step))[state.cell] : undefined;
  if (value !== undefined) put(state.metric, number(value, 1));
  if (riders) put("Riders reporting", number(riders[state.cell]));
  put("Claims", number(cell.claims));
  put("Payouts", number(cell.payouts));
  put("Paid", rupees(cell.paise));
  const parts = [list], held = data.held.claims.filter((claim) => claim.product === state.product && claim.zone === name);
  if (held.length) {
    parts.push(element("p", "Held:"));
    const items = element("ul");
    for (const claim of held) { const item = element("li"); item.append(element("a", claim.claim_id, { href: "#" + claim.claim_id })); items.append(item); }
    parts.push(items);
  }
  for (const [ring, places] of Object.entries(map.rings)) {
    if (!places.includes(state.cell)) continue;
    const button = element("button", `Show ring ${ring.slice(0, 9)}`, { type: "button" });
    button.onclick = () => choose({ ring });
    parts.push(button);
  }
  $("details").replaceChildren(...parts);
}
function busiestStep(map) {
  const steps = new Map();
  for (const [at, , , by] of map.changes) steps.set(at, (steps.get(at) ?? 0) + by);
  let zones = 0, most = 0, busiest = 0;
  for (const [at, by] of steps) { zones += by; if (zones > most) { most = zones; busiest = at; } }
  return busiest;
}
function choose(change) {
  Object.assign(state, change);
  if ("product" in change) {
    const map = maps.products[state.product];
    if (map) state.step = busiestStep(map);
    state.cell = null; state.ring = "";
    options($("cell"), (map?.cells ?? []).map((cell, place) => [place, cell.name]), "none");
    options($("ring"), Object.keys(map?.rings ?? {}).map((ring) => [ring, ring.slice(0, 9)]), "none");
  }
  $("cell").value = state.cell ?? ""; $("ring").value = state.ring; $("time").value = state.step;
  requestAnimationFrame(drawMap);
}
let timer = null;
function play(on) {
  clearInterval(timer);
  $("play").textContent = on ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", on);
  if (!on) return;
  if (state.step >= maps.steps - 1) choose({ step: 0 });
  timer = setInterval(() => state.step >= maps.steps - 1 ? play(false) : choose({ step: state.step + 1 }), 250);
}
function setUpMap() {
  const products = Object.keys(maps.products), most = products.slice().sort((a, b) => maps.products[b].changes.length - maps.products[a].changes.length);
  options($("product"), products.map((name) => [name, name]));
  options($("metric"), Object.keys(maps.readings).map((name) => [name, name]), "none");
  state.metric = maps.readings[data.metrics[most[0]]] ? data.metrics[most[0]] : "";
  $("metric").value = state.metric;
  $("time").max = Math.max(0, maps.steps - 1);
  $("product").onchange = (event) => choose({ product: event.target.value });
  $("metric").onchange = (event) => choose({ metric: event.target.value });
  const fills = [["disruption", "disruption"], ...(Object.keys(maps.readings).length ? [["readings", "readings"]] : []), ...(products.some((name) => maps.products[name].riders !== undefined) ? [["riders", "riders reporting"]] : [])];
  options($("fill"), fills);
  $("fill").onchange = (event) => choose({ fill: event.target.value });
  $("ring").onchange = (event) => choose({ ring: event.target.value });
  $("cell").onchange = (event) => choose({ cell: event.target.value === "" ? null : Number(event.target.value) });
  $("time").oninput = (event) => { play(false); choose({ step: Number(event.target.value) }); };
  $("play").onclick = () => play($("play").getAttribute("aria-pressed") !== "true");
  if (!products.length) { drawMap(); return; }
  $("product").value = most[0];
  choose({ product: most[0] });
  drawMap();
  $("map").on("plotly_click", (event) => { const place = event.points[0].customdata; if (place !== undefined) choose({ cell: place }); });
}

// --- numbers, charts and tables ------------------------------------------------------------------------------------
const NUMBERS = { lines_read: "lines read", disruptions: "disruptions", claims: "claims", riders_with_claims: "riders with claims", riders_paid: "riders paid", payouts: "payouts", paid_paise: "paid", held_claims: "claims held or in review", queued_paise: "queued for a reserve", dead_letters: "dead letters" };
function showNumbers() {
  $("name").textContent = data.name;
  $("period").textContent = maps.steps > 1 ? `${clock.format(maps.from_ms)} to ${clock.format(momentOf(maps.steps - 1))}; times are of Asia/Kolkata.` : "Nothing was decided.";
  for (const [name, label] of Object.entries(NUMBERS)) {
    const value = data.numbers[name];
    const pair = element("div");
    pair.append(element("dt", label), element("dd", name.endsWith("paise") ? rupees(value) : number(value), { "data-number": name }));
    $("numbers").append(pair);
  }
  $("warnings").append(...data.warnings.map((warning) => element("li", warning)));
}
function bars(id, traces, more) {
  if (!traces.some((trace) => trace.x.length)) { $(id).replaceChildren(element("p", "Nothing to show.")); $(id).style.height = "auto"; return; }
  Plotly.react($(id), traces.map((trace) => ({ type: "bar", ...trace })), layout({ bargap: new Set(traces.flatMap((trace) => trace.orientation === "h" ? trace.y : trace.x)).size < 4 ? .7 : .2, ...more, dragmode: false }), { ...CONFIG, scrollZoom: false, displayModeBar: false });
}
function drawCharts() {
  const reversed = { autorange: "reversed" };
  bars("funnel", [{ orientation: "h", y: data.funnel.map((row) => row[0]), x: data.funnel.map((row) => row[1]), text: data.funnel.map((row) => number(row[1])), textposition: "auto", textangle: 0, marker: { color: COLORS[1] } }], { yaxis: reversed, showlegend: false });
  const classes = data.delay_classes_min.map((edge, place, edges) => place + 1 < edges.length ? `${edge} to ${edges[place + 1]}` : `over ${edge}`);
  classes[0] = "under 1";
  bars("delays", data.delays.map((row, place) => ({ name: row.product, x: classes, y: row.counts, marker: { color: COLORS[place % COLORS.length] } })), { xaxis: { title: { text: "minutes" }, type: "category" }, yaxis: { title: { text: "claims" } } });
  const metrics = Object.keys(data.oracle_modes), modes = [...new Set(metrics.flatMap((metric) => Object.keys(data.oracle_modes[metric])))].sort();
  bars("modes", modes.map((mode, place) => ({ name: mode, orientation: "h", y: metrics, x: metrics.map((metric) => data.oracle_modes[metric][mode] ?? 0), marker: { color: COLORS[place % COLORS.length] } })), { barmode: "stack", xaxis: { title: { text: "revisions of disruptions" } } });
  const days = data.money.map((row) => `${row.product} ${row.day}`), limited = data.money.filter((row) => row.reserve_paise !== null), held = data.money.filter((row) => row.caps_paise !== null);
  bars("money", [{ name: "paid", x: days, y: data.money.map((row) => row.paid_paise / 100), marker: { color: COLORS[1] } },
    { name: "caps of the riders paid", type: "scatter", mode: "markers", x: held.map((row) => `${row.product} ${row.day}`), y: held.map((row) => row.caps_paise / 100), marker: { symbol: "line-ew-open", size: 40, color: COLORS[2], line: { width: 4, color: COLORS[2] } } },
    { name: "reserve", type: "scatter", mode: "markers", x: limited.map((row) => `${row.product} ${row.day}`), y: limited.map((row) => row.reserve_paise / 100), marker: { symbol: "line-ew-open", size: 40, color: COLORS[3], line: { width: 4 } } }], { xaxis: { type: "category" }, yaxis: { title: { text: "Rs" } } });
  const why = data.held.reasons.slice(0, 12);
  bars("reasons", [{ orientation: "h", y: why.map((row) => row[0]), x: why.map((row) => row[1]), text: why.map((row) => number(row[1])), textposition: "auto", textangle: 0, marker: { color: COLORS[2] } }], { yaxis: reversed, showlegend: false });
}
function showTables() {
  $("delays-text").textContent = data.delays.map((row) => `${row.product}: ${number(row.claims)} claims, median ${number(row.median_min, 1)} min, 95th percentile ${number(row.p95_min, 1)} min.`).join(" ");
  table($("money-table"), ["product", "day", "riders", "payouts", "paid", "caps of the riders paid", "claims cut by caps", "reserve", "share of the reserve"], data.money.map((row) => [row.product, row.day, number(row.riders), number(row.payouts), rupees(row.paid_paise), row.caps_paise === null ? "none" : rupees(row.caps_paise), number(row.capped_claims), row.reserve_paise === null ? "none stated" : rupees(row.reserve_paise), row.reserve_paise ? number(100 * row.paid_paise / row.reserve_paise, 1) + "%" : ""]), [2, 3, 4, 5, 6, 7, 8]);
  table($("rings"), ["ring", "product", "riders", "claims", "risk", ""], data.rings.map((ring) => {
    const show = element("button", "Show on the map", { type: "button" });
    show.onclick = () => {
      if (state.product !== ring.product) { $("product").value = ring.product; choose({ product: ring.product }); }
      choose({ ring: ring.ring_id });
      $("h-map").scrollIntoView();
    };
    return [ring.ring_id.slice(0, 9), ring.product, number(ring.members.length), number(ring.claim_ids.length), ring.risk === null ? "" : ring.risk.toFixed(3), show];
  }), [2, 3, 4]);
  table($("dead"), ["stream", "reason", "records"], data.dead_letters.map(([stream, reason, count]) => [stream, reason, number(count)]), [2]);
  for (const claim of data.held.claims) {
    const details = element("details", undefined, { id: claim.claim_id });
    details.append(element("summary", `${claim.claim_id.slice(0, 9)}: ${claim.product}, ${claim.status}: ${(claim.reasons ?? []).join(", ")}`));
    details.ontoggle = () => { if (details.open && details.children.length === 1) details.append(element("pre", JSON.stringify(claim, null, 1))); };
    $("held").append(details);
  }
  if (data.held.more) $("held").append(element("p", `and ${number(data.held.more)} more, in claims/.`, { class: "more" }));
  if (!data.held.claims.length) $("held").append(element("p", "No claim waits.", { class: "more" }));
}
function openTarget() {
  const target = location.hash && $(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
}

showNumbers();
showTables();
setUpMap();
drawCharts();
window.addEventListener("hashchange", openTarget);
openTarget();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawMap(); drawCharts(); });
document.body.dataset.drawn = "true";
