// The page of wirechart serve and wirechart live --web. The server draws it, with
// the answer, the picture and the findings as they are; this keeps them up to
// date and shows the flows behind them. What comes from packets is escaped there
// and set as text here, never as markup. Flows stay with the server: the page
// asks for the hundred that it shows.
"use strict";

const at = id => document.getElementById(id);
const page = 100;
const filter = {q: "", verdict: "", edge: "", component: "", finding: "", host: "", from: 0, to: 0, offset: 0};
const signs = {documented: "✓", violation: "✗", undocumented: "!", blocked: "⊘", indeterminate: "?", ambient: "·", out_of_scope: "·"};
let opener = null, counts = null, shown = "", asked = 0, asking = false;

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
const count = (n, thing) => number(n) + " " + thing + (n === 1 ? "" : "s");
const clock = ms => new Date(ms).toISOString().slice(0, 23).replace("T", " ");

function size(n) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (n < 1000 || unit === "GB") return (unit === "B" ? n : n.toFixed(1)) + " " + unit;
    n /= 1000;
  }
}

// refresh takes in what the server has drawn since: it is the page itself, asked
// for again. What somebody has chosen, opened or stands on stays.
const drawn = ["answer", "unkept", "tally", "drawing", "findings"], lists = ["verdict", "edge", "finding"];
async function refresh() {
  const fresh = new DOMParser().parseFromString(await (await get("./")).text(), "text/html");
  const held = document.activeElement, key = ["edge", "component", "finding", "verdict"].find(k => held.dataset[k]);
  const inside = key && drawn.find(id => at(id).contains(held)), open = [...document.querySelectorAll("#findings details[open]")].map(d => d.id);
  document.title = fresh.title;
  Object.assign(document.body.dataset, fresh.body.dataset);
  for (const id of drawn) at(id).replaceChildren(...fresh.getElementById(id).childNodes);
  if (!at("downloads").firstElementChild) at("downloads").replaceChildren(...fresh.getElementById("downloads").childNodes);
  for (const id of lists) {
    const value = at(id).value;
    at(id).replaceChildren(...fresh.getElementById(id).childNodes);
    at(id).value = value;
    if (at(id).value !== value) at(id).value = "";
  }
  for (const id of open) at(id)?.setAttribute("open", "");
  if (inside) at(inside).querySelector("[data-" + key + "=\"" + CSS.escape(held.dataset[key]) + "\"]")?.focus();
  await begin();
}

// begin readies what the page was drawn with.
async function begin() {
  shown = document.body.dataset.version;
  for (const id of ["from", "to"]) at(id).disabled = !+document.body.dataset.first;
  window_();
  mark();
  await list();
}

// window_ reads the ends of the time window and says what they are.
function window_() {
  const first = +document.body.dataset.first, last = +document.body.dataset.last;
  if (!first) return;
  const span = Math.max(last - first, 1), low = +at("from").value, high = Math.max(+at("to").value, low);
  filter.from = low > 0 ? Math.floor(first + span * low / 1000) : 0;
  filter.to = high < 1000 ? Math.ceil(first + span * high / 1000) : 0;
  at("fromsays").textContent = clock(filter.from || first);
  at("tosays").textContent = clock(filter.to || last);
}

// named says what is filtered by: an edge and a finding with their titles.
function named(k) {
  const says = lists.includes(k) && at(k).selectedOptions[0];
  if (k === "finding" && says) return (says.dataset.word || "finding") + " " + says.textContent;
  if (k === "edge" && says && says.dataset.says) return "edge " + filter[k] + ", " + says.dataset.says;
  return (k === "q" ? "search" : k) + " " + filter[k].replaceAll("_", " ");
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
  const parts = ["component", "edge", "finding", "host", "verdict", "q"].filter(k => filter[k]).map(named);
  if (filter.from || filter.to) parts.push("a part of the time");
  at("chosen").textContent = count(answer.total, "flow") + (parts.length ? ": " + parts.join(", ") : "");
  at("clear").hidden = parts.length === 0;
}

function row(f) {
  const tr = make("tr"), id = make("td"), open = make("button", f.id ? String(f.id) : "·" + f.frame, {type: "button"}); // of a live run, flows have no number before they are settled
  open.addEventListener("click", () => { opener = open; detail(f); });
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
  at("tell").hidden = document.body.dataset.explain !== "true";
  at("tell").onclick = async () => {
    at("story").hidden = false;
    at("story").textContent = "Reading the captures again…";
    try { at("story").textContent = await (await get("api/explain?flow=" + f.id)).text(); } catch (e) { at("story").textContent = e.message; }
  };
  at("evidence").hidden = document.body.dataset.evidence !== "true";
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

// mark shows in the drawing, the tally and the findings what is chosen.
function mark() {
  for (const a of at("drawing").querySelectorAll("a"))
    a.classList.toggle("chosen", filter.edge !== "" && a.dataset.edge === filter.edge || filter.component !== "" && a.dataset.component === filter.component ||
      filter.finding !== "" && a.dataset.finding === filter.finding);
  for (const b of document.querySelectorAll("#tally button, #findings button"))
    b.setAttribute("aria-pressed", b.dataset.verdict ? b.dataset.verdict === filter.verdict : b.dataset.finding === filter.finding);
}

function complain(e) { at("status").textContent = e.message; }

// reveal brings the flows into sight where what was chosen stands above them.
function reveal() {
  if (at("chosen").getBoundingClientRect().bottom > innerHeight - 200) at("chosen").scrollIntoView({block: "center"});
}

at("drawing").addEventListener("click", event => {
  const a = event.target.closest("a");
  if (!a) return;
  event.preventDefault();
  const {edge, component, finding} = a.dataset;
  choose(edge ? {edge} : component ? {component} : {finding});
  reveal();
});
at("findings").addEventListener("click", event => {
  const b = event.target.closest("button");
  if (!b) return;
  choose({finding: b.dataset.finding === filter.finding ? "" : b.dataset.finding});
  reveal();
});
at("tally").addEventListener("click", event => {
  const b = event.target.closest("button");
  if (!b) return;
  verdict(b.dataset.verdict === filter.verdict ? "" : b.dataset.verdict);
  reveal();
});
function verdict(v) {
  at("verdict").value = filter.verdict = v;
  filter.offset = 0;
  mark();
  list().catch(complain);
}
for (const id of ["edge", "finding"]) at(id).addEventListener("change", () => choose({[id]: at(id).value}));
at("host").addEventListener("change", () => choose({host: at("host").value.trim()}));
at("verdict").addEventListener("change", () => verdict(at("verdict").value));
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
function close() {
  at("detail").hidden = true;
  (opener && opener.isConnected ? opener : at("flows")).focus();
}
at("close").addEventListener("click", close);
at("detail").addEventListener("keydown", event => { if (event.key === "Escape") close(); });

// Lines light up where the number of their edge's flows has grown.
function light(edges) {
  for (const a of at("drawing").querySelectorAll("a[data-edge]")) {
    const id = a.dataset.edge;
    if (counts && (edges[id] || 0) > (counts[id] || 0)) { // what there was before the page is no news
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
  at("status").textContent = (news.finished ? "All read: " : "Reading: ") + count(news.packets, "packet") + ", " + count(news.flows, "flow");
  if (String(news.version) !== shown && !asking) {
    asking = true;
    try { await refresh(); } catch (e) { complain(e); } finally { asking = false; }
  }
  light(news.edges);
};
events.onerror = () => { at("status").textContent = "The program does not answer any more; what is shown is the last that it said."; };
begin().catch(complain);
