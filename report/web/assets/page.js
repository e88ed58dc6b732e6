// The page of wirechart serve and wirechart live --web. What comes from packets
// is set as text, never as markup. Flows stay with the server: the page asks for
// the hundred that it shows.
"use strict";

const at = id => document.getElementById(id);
const page = 100;
const filter = {q: "", verdict: "", edge: "", component: "", finding: "", host: "", from: 0, to: 0, offset: 0};
const signs = {documented: "✓", violation: "✗", undocumented: "!", blocked: "⊘", indeterminate: "?", ambient: "·", out_of_scope: "·"};
let state = null, counts = {}, shown = -1, asked = 0, asking = false;

function make(name, text, attributes) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
  return e;
}

async function get(path) {
  const answer = await fetch(path, {credentials: "same-origin"});
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer;
}

const number = n => n.toLocaleString("en");
const clock = ms => new Date(ms).toISOString().slice(0, 23).replace("T", " ");

function size(n) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (n < 1000 || unit === "GB") return (unit === "B" ? n : n.toFixed(1)) + " " + unit;
    n /= 1000;
  }
}

// options fills a list to choose from, and keeps what was chosen.
function options(id, list) {
  const select = at(id), value = select.value;
  select.replaceChildren(make("option", "all", {value: ""}), ...list.map(([v, text]) => make("option", text, {value: v})));
  select.value = list.some(([v]) => v === value) ? value : "";
}

async function refresh() {
  state = await (await get("api/state")).json();
  document.title = (state.headline ? state.headline + " · " : "") + "wirechart";
  at("title").textContent = "wirechart · " + state.title + (state.diagram ? " · " + state.diagram : "");
  if (state.headline) {
    at("headline").textContent = ({conforms: "✓ ", findings: "✗ ", undecided: "? "})[state.result] + state.headline;
    at("headline").className = state.result;
    at("sentence").textContent = state.sentence;
  }
  options("verdict", Object.keys(signs).filter(v => state.verdicts[v]).map(v => [v, v.replaceAll("_", " ") + " (" + number(state.verdicts[v]) + ")"]));
  options("edge", state.edges.map(e => [e.id, e.id + " (" + e.over + ", " + e.status + ")"]));
  options("finding", state.findings.map((f, i) => [f.id, (i + 1) + ". " + f.title]));
  at("formats").replaceChildren(...state.formats.map(f => {
    const item = make("li");
    item.append(make("a", f.name, {href: "report?format=" + encodeURIComponent(f.name), download: ""}), " " + f.doc);
    return item;
  }));
  for (const id of ["from", "to"]) at(id).disabled = !state.first_ms;
  window_();
  if (state.version > 0) {
    const svg = new DOMParser().parseFromString(await (await get("api/drawing")).text(), "image/svg+xml").documentElement;
    at("drawing").replaceChildren(document.importNode(svg, true));
    mark();
  }
  shown = state.version;
  await list();
}

// window_ reads the ends of the time window and says what they are.
function window_() {
  if (!state || !state.first_ms) return;
  const span = Math.max(state.last_ms - state.first_ms, 1), low = +at("from").value, high = Math.max(+at("to").value, low);
  filter.from = low > 0 ? Math.floor(state.first_ms + span * low / 1000) : 0;
  filter.to = high < 1000 ? Math.ceil(state.first_ms + span * high / 1000) : 0;
  at("fromsays").textContent = clock(filter.from || state.first_ms);
  at("tosays").textContent = clock(filter.to || state.last_ms);
}

async function list() {
  const mine = ++asked, query = new URLSearchParams();
  for (const [k, v] of Object.entries(filter)) if (v) query.set(k, v);
  query.set("limit", page);
  const answer = await (await get("api/flows?" + query)).json();
  if (mine !== asked) return; // another question was asked meanwhile
  at("rows").replaceChildren(...answer.flows.map(row));
  at("where").textContent = answer.total ? number(answer.offset + 1) + " to " + number(answer.offset + answer.flows.length) + " of " + number(answer.total) : "none";
  at("before").disabled = answer.offset === 0;
  at("after").disabled = answer.offset + answer.flows.length >= answer.total;
  const parts = ["component", "edge", "finding", "host", "verdict", "q"].filter(k => filter[k]).map(k => (k === "q" ? "search" : k) + " " + filter[k]);
  if (filter.from || filter.to) parts.push("a part of the time");
  at("chosen").textContent = number(answer.total) + (answer.total === 1 ? " flow" : " flows") + (parts.length ? ": " + parts.join(", ") : "");
}

function row(f) {
  const tr = make("tr"), id = make("td"), open = make("button", f.id ? String(f.id) : "·" + f.frame, {type: "button"}); // of a live run, flows have no number before they are settled
  open.addEventListener("click", () => detail(f));
  id.append(open);
  const verdict = make("td");
  verdict.append(make("span", signs[f.verdict] + " " + f.verdict.replaceAll("_", " "), {class: "v " + f.verdict}));
  tr.append(id, make("td", clock(f.start_ms)), make("td", f.client), make("td", f.server), make("td", f.proto + (f.app ? " " + f.app : "")),
    make("td", f.name, {class: "name"}), verdict, make("td", f.edge), make("td", size(f.bytes)));
  return tr;
}

function detail(f) {
  const facts = [["Flow", (f.id ? f.id + ", " : "") + f.client + " > " + f.server + " " + f.proto], ["Verdict", f.verdict.replaceAll("_", " ") + (f.edge ? ", edge " + f.edge : "")],
    ["First frame", (f.file ? f.file + ", " : "") + "frame " + f.frame], ["Traffic", number(f.packets) + " packets, " + size(f.bytes)]];
  f.says.forEach((s, i) => facts.push([i ? "" : "Because", s + " (" + f.reasons[i] + ")"]));
  at("facts").replaceChildren(...facts.flatMap(([k, v]) => [make("dt", k), make("dd", v)]));
  at("story").hidden = true;
  at("tell").hidden = !state.explain;
  at("tell").onclick = async () => {
    at("story").hidden = false;
    at("story").textContent = "Reading the captures again…";
    try { at("story").textContent = await (await get("api/explain?flow=" + f.id)).text(); } catch (e) { at("story").textContent = e.message; }
  };
  at("evidence").hidden = !state.evidence;
  at("evidence").href = "evidence?flow=" + f.id;
  for (const host of [f.client, f.server]) {
    const address = host.replace(/^\[(.*)\](:\d+)?$/, "$1").replace(/^([\d.]+):\d+$/, "$1");
    const only = make("button", "Only " + address, {type: "button"});
    only.addEventListener("click", () => choose({host: address}));
    at("facts").append(make("dt", host === f.client ? "Hosts" : ""), make("dd"));
    at("facts").lastChild.append(only);
  }
  at("detail").hidden = false;
  at("detail").focus();
}

// choose filters by one thing, and leaves search and time as they are.
function choose(what) {
  Object.assign(filter, {edge: "", component: "", finding: "", host: "", offset: 0}, what);
  for (const id of ["edge", "finding", "host"]) at(id).value = filter[id];
  mark();
  list().catch(complain);
}

function mark() {
  for (const a of at("drawing").querySelectorAll("a"))
    a.classList.toggle("chosen", filter.edge !== "" && a.dataset.edge === filter.edge || filter.component !== "" && a.dataset.component === filter.component ||
      filter.finding !== "" && a.dataset.finding === filter.finding);
}

function complain(e) { at("status").textContent = e.message; }

at("drawing").addEventListener("click", event => {
  const a = event.target.closest("a");
  if (!a) return;
  event.preventDefault();
  const {edge, component, finding} = a.dataset;
  choose(edge ? {edge} : component ? {component} : {finding});
});
for (const id of ["edge", "finding"]) at(id).addEventListener("change", () => choose({[id]: at(id).value}));
at("host").addEventListener("change", () => choose({host: at("host").value.trim()}));
at("verdict").addEventListener("change", () => { filter.verdict = at("verdict").value; filter.offset = 0; list().catch(complain); });
let typing = 0;
for (const id of ["q", "from", "to"]) at(id).addEventListener("input", () => {
  filter.q = at("q").value.trim();
  filter.offset = 0;
  window_();
  clearTimeout(typing);
  typing = setTimeout(() => list().catch(complain), 150);
});
at("clear").addEventListener("click", () => {
  at("q").value = at("verdict").value = filter.q = filter.verdict = "";
  at("from").value = 0;
  at("to").value = 1000;
  window_();
  choose({});
});
at("before").addEventListener("click", () => { filter.offset = Math.max(filter.offset - page, 0); list().catch(complain); });
at("after").addEventListener("click", () => { filter.offset += page; list().catch(complain); });
at("close").addEventListener("click", () => { at("detail").hidden = true; });

// Lines light up where the number of their edge's flows has grown.
function light(edges) {
  for (const a of at("drawing").querySelectorAll("a[data-edge]")) {
    const id = a.dataset.edge;
    if ((edges[id] || 0) > (counts[id] || 0)) {
      a.classList.remove("lit");
      void a.getBoundingClientRect(); // begins the animation anew
      a.classList.add("lit");
      setTimeout(() => a.classList.remove("lit"), 1500);
    }
  }
  counts = edges;
}

const events = new EventSource("api/events");
events.onmessage = async message => {
  const news = JSON.parse(message.data);
  at("status").textContent = (news.finished ? "All read: " : "Reading: ") + number(news.packets) + " packets, " + number(news.flows) + " flows";
  if (news.version !== shown && !asking) {
    asking = true;
    try { await refresh(); } catch (e) { complain(e); } finally { asking = false; }
  }
  light(news.edges);
};
events.onerror = () => { at("status").textContent = "The program does not answer any more; what is shown is the last that it said."; };
