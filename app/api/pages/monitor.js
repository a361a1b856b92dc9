"use strict";
// Draws what the feed tells. Text is only ever set as text.

const KEY = "gatehouse.monitor.token";
const LENGTH = 300;
const byId = (id) => document.getElementById(id);
const samples = [];
const charts = [];
let listening = null;

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const duration = (seconds) =>
  seconds < 1 ? `${Math.round(seconds * 1000)} ms` : seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
const number = (value) => new Intl.NumberFormat("en").format(value);
const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hour12: false });

function state(name, text) {
  byId("status").dataset.state = name;
  byId("status").textContent = text;
}

// -- The feed ---------------------------------------------------------------------------------------------------------

async function listen(token) {
  listening?.abort();
  const mine = (listening = new AbortController());
  let pause = 500;
  while (!mine.signal.aborted) {
    try {
      // Not EventSource: that can send no header, and a token in an address is in every log.
      const answer = await fetch("v1/monitor/feed", { headers: { Authorization: `Bearer ${token}` }, signal: mine.signal });
      if (answer.status === 401 || answer.status === 403) return refuse(answer.status);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      show();
      state("on", "live");
      pause = 500;
      await read(answer.body.getReader());
    } catch (error) {
      if (mine.signal.aborted) return;
    }
    state("again", "connecting again");
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(pause * 2, 8000);
  }
}

async function read(reader) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const events = rest.split(/\r?\n\r?\n/);
    rest = events.pop();
    for (const event of events) {
      const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
      if (data.length) draw(JSON.parse(data.join("\n")));
    }
  }
}

function refuse(status) {
  sessionStorage.removeItem(KEY);
  byId("picture").hidden = byId("leave").hidden = true;
  byId("enter").hidden = false;
  byId("refused").textContent = status === 403 ? "This account is no admin’s." : "This token doesn’t count, or not any more.";
  state("off", "not connected");
  byId("token").focus();
}

function show() {
  byId("enter").hidden = true;
  byId("picture").hidden = byId("leave").hidden = false;
  if (!charts.length) makeCharts();
}

// -- Drawing ----------------------------------------------------------------------------------------------------------

function draw(picture) {
  if (picture.history.length > 1 || !samples.length) samples.splice(0, samples.length, ...picture.history);
  else samples.push(...picture.history);
  samples.splice(0, Math.max(0, samples.length - LENGTH));
  const now = samples.at(-1) ?? { statements: 0, p50: 0, p95: 0 };
  const { pool, totals, outbox, thresholds } = picture;
  const put = (id, text) => { byId(id).textContent = text; };
  const used = picture.replicas.filter((replica) => replica.used).length;
  const replicas = picture.replicas.length ? ` · ${used} of ${picture.replicas.length} replicas used` : "";
  byId("process").textContent = `process ${picture.process} · ${clock(picture.at)}${replicas}`;
  put("rate", number(now.statements));
  put("statements-total", `${number(totals.statements)} in all, ${number(totals.failed)} failed`);
  put("p95", now.p95);
  put("p50", `95th; median ${now.p50} ms`);
  put("pool", pool.in_use);
  put("pool-of", `of ${pool.capacity}`);
  put("pool-waits", pool.waiting ? `${pool.waiting} wait` : `${number(pool.waits)} waited, ${number(pool.timeouts)} in vain`);
  const gauge = byId("gauge");
  gauge.max = Math.max(pool.capacity, 1);
  gauge.high = gauge.max * 0.8;
  gauge.optimum = 0;
  gauge.value = pool.in_use;
  put("open-count", picture.open.length);
  put("outcomes", `${number(totals.transactions.committed)} committed, ${number(totals.transactions.rolled_back)} back`);
  put("repeated-count", picture.repeated.length);
  put("leak-count", totals.findings.session_leak);
  put("idle-count", `${totals.findings.idle_in_transaction} idle in transaction`);
  put("slow-count", totals.findings.slow_sql);
  put("slow-threshold", thresholds.slow_sql === null ? "not watched" : `over ${duration(thresholds.slow_sql)}`);
  put("outbox", outbox ? number(outbox.waiting) : "–");
  const oldest = outbox ? (outbox.lag === null ? "nothing waits" : `oldest ${duration(outbox.lag)}`) : "no answer";
  put("outbox-lag", outbox && outbox.parked ? `${oldest}, ${number(outbox.parked)} parked` : oldest);
  const open = new Set(picture.trouble.filter((found) => found.open).map((found) => found.kind));
  for (const tile of document.querySelectorAll(".tile[data-kind]")) tile.toggleAttribute("data-bad", open.has(tile.dataset.kind));
  findings("trouble", picture.trouble, "nothing");
  findings("repeated", picture.repeated, "no line asks again and again");
  findings("slow", picture.slow, "nothing");
  rows("open", picture.open, (unit) => [
    [unit.name + (unit.replica ? ` (reads ${unit.replica})` : unit.read_only ? " (reads)" : "")], [unit.state], [duration(unit.age), "number"],
    [unit.state === "idle" ? duration(unit.idle) : "", "number"], [number(unit.statements), "number"],
    [unit.opened_at, "line"], [unit.awaits_at ?? "", "line"],
  ], (unit) => (thresholds.session_leak !== null && unit.age >= thresholds.session_leak)
    || (unit.state === "idle" && thresholds.idle_in_transaction !== null && unit.idle >= thresholds.idle_in_transaction));
  rows("statements", picture.statements, (shape) => [
    [shape.statement, "sql"], [number(shape.count), "number"], [duration(shape.seconds), "number"],
    [`${shape.mean_ms} ms`, "number"], [`${shape.longest_ms} ms`, "number"], [shape.call_site, "line"],
  ]);
  const columns = (...names) => [samples.map((sample) => sample.at), ...names.map((name) => samples.map((sample) => sample[name]))];
  const wanted = [columns("statements", "failed"), columns("p95", "p50"), columns("in_use", "waiting")];
  charts.forEach((chart, at) => chart.setData(wanted[at]));
}

const NAMES = {
  slow_sql: "slow", repeated_sql: "N+1", session_leak: "leak", idle_in_transaction: "idle in transaction",
  lock_wait: "lock", deadlock: "deadlock", failed_transaction: "failed", budget_exceeded: "budget",
};

function findings(id, list, none) {
  const lines = list.map((found) => {
    const line = element("li", null, { "data-kind": found.kind });
    if (found.open) line.setAttribute("data-open", "");
    const what = element("div", null, { class: "what" });
    what.append(element("span", NAMES[found.kind] ?? found.kind, { class: "tag" }));
    if (found.kind === "slow_sql") what.append(element("b", `${Math.round(found.ms)} ms`), element("span", found.outcome === "ok" ? "" : found.outcome));
    if (found.kind === "repeated_sql") what.append(element("b", `${found.times} times`), element("span", found.scopes > 1 ? `in ${found.scopes} requests` : ""));
    if (found.call_site) what.append(element("code", found.call_site));
    what.append(element("time", clock(found.at)));
    line.append(what);
    const text = found.statement ?? found.text;
    line.append(element("code", text, { class: "sql", title: text }));
    return line;
  });
  byId(id).replaceChildren(...(lines.length ? lines : [element("li", none, { class: "none" })]));
}

function rows(id, list, cells, bad = () => false) {
  const body = byId(id).tBodies[0];
  body.replaceChildren(...list.map((item) => {
    const row = element("tr");
    row.toggleAttribute("data-bad", bad(item));
    for (const [text, kind] of cells(item)) {
      const cell = element("td");
      if (kind === "number") { cell.className = "number"; cell.textContent = text; }
      else if (kind === "sql" || kind === "line") cell.append(element("code", text, kind === "sql" ? { class: "sql", title: text } : {}));
      else cell.textContent = text;
      row.append(cell);
    }
    return row;
  }));
}

// -- Charts -----------------------------------------------------------------------------------------------------------

function makeCharts() {
  const colours = getComputedStyle(document.documentElement);
  const colour = (name) => colours.getPropertyValue(name).trim();
  const chart = (id, series) => {
    const place = byId(id);
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") }, font: "11px system-ui" };
    const made = new uPlot({
      width: place.clientWidth, height: place.clientHeight - 26, cursor: { y: false }, legend: { live: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.1, 1)] } },
      axes: [{ ...axis, space: 70, values: (_, times) => times.map((at) => clock(at)) }, { ...axis, size: 44 }],
      series: [{}, ...series.map(([label, name, fill]) => ({
        label, stroke: colour(name), width: 2, points: { show: false }, fill: fill ? `${colour(name)}22` : undefined,
      }))],
    }, [[], ...series.map(() => [])], place);
    charts.push(made);
  };
  chart("chart-rate", [["sent", "--accent", true], ["failed", "--bad", false]]);
  chart("chart-latency", [["95th", "--accent", true], ["median", "--second", false]]);
  chart("chart-pool", [["in use", "--accent", true], ["waiting", "--bad", false]]);
}

function remakeCharts() {
  if (!charts.length) return;
  const kept = charts.map((chart) => chart.data);
  for (const chart of charts.splice(0)) chart.destroy();
  makeCharts();
  charts.forEach((chart, at) => chart.setData(kept[at]));
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", remakeCharts);
let resized = 0;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(remakeCharts, 150); });

// -- Coming and going -------------------------------------------------------------------------------------------------

byId("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = byId("token").value.trim();
  byId("token").value = byId("refused").textContent = "";
  sessionStorage.setItem(KEY, token);
  listen(token);
});
byId("leave").addEventListener("click", () => {
  listening?.abort();
  refuse(0);
  byId("refused").textContent = "";
});

const known = sessionStorage.getItem(KEY);
if (known) listen(known);
else byId("enter").hidden = false;
