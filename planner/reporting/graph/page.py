"""A drawn graph as one page that works offline: search and dependencies, all by keyboard."""

from __future__ import annotations

from html import escape
from typing import Any

from planner.infrastructure.graph import dependencies, without_equipment
from planner.json_text import json_text
from planner.reporting.graph.facts import Scene
from planner.reporting.graph.layout import headlines, summary_line
from planner.reporting.graph.shapes import Drawing
from planner.reporting.graph.svg import svg_text, told

#: Nothing is fetched, and nothing runs but what the page itself holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

_STYLE = """
:root{color-scheme:light dark;
--page:#fff;--ink:#1c2430;--soft:#4f5b6b;--frame:#8a95a3;--card:#f5f7f9;
--mark:#0b57d0;--red:#b3261e}
@media screen and (prefers-color-scheme:dark){:root{--page:#12161c;--ink:#e8edf3;--soft:#aab6c4;
--frame:#6b7787;--card:#1a2028;--mark:#8ab4f8;--red:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.45 Helvetica,Arial,sans-serif;
display:grid;grid-template-columns:minmax(0,1fr) 20rem;height:100vh}
h1{font-size:1.05rem;margin:0 0 .2rem;overflow-wrap:anywhere}
h2{font-size:.9rem;margin:.9rem 0 .2rem}
p{margin:.2rem 0;color:var(--soft);overflow-wrap:anywhere}
aside{border-left:1px solid var(--frame);padding:1rem;overflow:auto;background:var(--card)}
main{overflow:auto}
main svg{display:block;transform-origin:0 0}
label{display:block;font-weight:bold;margin-top:.8rem}
input{width:100%;font:inherit;padding:.35rem .5rem;border:1px solid var(--frame);border-radius:5px;
background:var(--page);color:var(--ink)}
button{font:inherit;color:var(--ink);background:var(--page);border:1px solid var(--frame);
border-radius:5px;padding:.15rem .6rem;cursor:pointer}
ul{list-style:none;margin:.2rem 0;padding:0}
li button{display:block;width:100%;text-align:left;border:0;background:none;padding:.12rem .2rem;
overflow-wrap:anywhere}
li button:hover{text-decoration:underline}
:focus-visible{outline:3px solid var(--mark);outline-offset:1px}
.tools{display:flex;gap:.4rem;flex-wrap:wrap;margin-top:.6rem}
.fall{color:var(--red)}
svg [data-node]{cursor:pointer;outline:none}
svg [data-node]:focus-visible>rect,svg [data-node].near>rect{stroke:var(--mark)!important;
stroke-width:3!important}
svg.dimmed [data-node]:not(.lit):not(.region){opacity:.22}
svg.dimmed [data-node].lit{opacity:1}
svg.dimmed .group{opacity:.5}
svg.dimmed .line{opacity:.12}
svg.dimmed .line.lit{opacity:1}
svg [data-node].down>rect{stroke:var(--red)!important;stroke-width:3!important}
@media (max-width:60rem){body{display:block;height:auto}aside{border:0}main{height:60vh}}
@media print{@page{size:A4 landscape;margin:10mm}body{display:block;height:auto}
aside{border:0;background:none;padding:0}aside>:not(#detail){display:none}
main{overflow:visible;height:auto}main svg{width:100%!important;height:auto!important;
max-height:185mm}}
"""

_SCRIPT = """
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const svg = document.querySelector("main svg"), search = document.getElementById("search");
const results = document.getElementById("results"), detail = document.getElementById("detail");
const boxes = [...svg.querySelectorAll("[data-node]")];
const byId = new Map(boxes.map(box => [box.dataset.node, box]));
const ids = data.nodes.map(node => node.id);
const index = new Map(ids.map((id, i) => [id, i]));
const lines = [...svg.querySelectorAll("path[data-source]")];
const MOST = 12;
let chosen = null;

function element(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}
function light(wanted, mark) {
  svg.classList.toggle("dimmed", wanted !== null);
  for (const box of boxes) {
    const on = wanted !== null && wanted.has(box.dataset.node);
    box.classList.toggle("lit", on);
    box.classList.toggle("down", on && mark === "down");
  }
  for (const line of lines) {
    const both = wanted !== null && wanted.has(line.dataset.source)
      && (!line.dataset.target || wanted.has(line.dataset.target));
    line.classList.toggle("lit", both);
  }
}
function near(id) {
  const node = data.nodes[index.get(id)];
  const around = id === null ? [] : [...node.from, ...node.to].map(i => ids[i]);
  for (const box of boxes) box.classList.toggle("near", around.includes(box.dataset.node));
}
function list(title, numbers, kind) {
  if (!numbers.length) return;
  detail.append(element("h2", title + " (" + numbers.length + ")", kind));
  const holder = element("ul");
  for (const i of numbers) {
    const entry = element("li"), button = element("button", ids[i]);
    button.type = "button";
    button.addEventListener("click", () => choose(ids[i], true));
    entry.append(button);
    holder.append(entry);
  }
  detail.append(holder);
}
function choose(id, move) {
  chosen = id;
  detail.replaceChildren();
  for (const box of boxes) box.setAttribute("aria-pressed", String(box.dataset.node === id));
  if (id === null) { light(null); return; }
  const node = data.nodes[index.get(id)];
  light(new Set([id, ...node.falls.map(i => ids[i])]), "down");
  detail.append(element("h2", id));
  for (const part of node.told.split("; ").slice(1)) detail.append(element("p", part));
  if (!node.falls.length) detail.append(element("p", "If it is lost, nothing else goes down."));
  list("Goes down with it", node.falls, "fall");
  list("Depends on", node.from);
  list("Needed by", node.to);
  if (move) focusOn(byId.get(id));
}
function focusOn(box) {
  if (!box) return;
  for (const other of boxes) other.setAttribute("tabindex", other === box ? "0" : "-1");
  box.focus({preventScroll: true});
  box.scrollIntoView({block: "nearest", inline: "nearest"});
}
function centre(box) {
  const place = box.querySelector("rect").getBoundingClientRect();
  return [place.x + Math.min(place.width, 160) / 2, place.y + Math.min(place.height, 30) / 2];
}
const ways = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
function step(from, way) {
  const [x, y] = centre(from);
  let best = null, least = Infinity;
  for (const box of boxes) {
    if (box === from) continue;
    const [bx, by] = centre(box), along = (bx - x) * way[0] + (by - y) * way[1];
    const aside = Math.abs((bx - x) * way[1]) + Math.abs((by - y) * way[0]);
    if (along > 2 && along + 3 * aside < least) { least = along + 3 * aside; best = box; }
  }
  focusOn(best);
}
svg.addEventListener("keydown", event => {
  const box = event.target.closest("[data-node]");
  if (!box) return;
  if (ways[event.key]) { step(box, ways[event.key]); event.preventDefault(); }
  if (event.key === "Enter" || event.key === " ") {
    choose(chosen === box.dataset.node ? null : box.dataset.node);
    event.preventDefault();
  }
});
svg.addEventListener("click", event => {
  const box = event.target.closest("[data-node]");
  choose(box && chosen !== box.dataset.node ? box.dataset.node : null, Boolean(box));
});
for (const [on, off] of [["mouseover", "mouseout"], ["focusin", "focusout"]]) {
  svg.addEventListener(on, event => {
    const box = event.target.closest("[data-node]");
    if (box) near(box.dataset.node);
  });
  svg.addEventListener(off, () => boxes.forEach(box => box.classList.remove("near")));
}
document.addEventListener("keydown", event => {
  if (event.key === "Escape") { search.value = ""; find(); choose(null); }
  if (event.key === "/" && event.target !== search) { search.focus(); event.preventDefault(); }
});
function find() {
  const words = search.value.trim().toLowerCase();
  results.replaceChildren();
  if (!words) { light(null); document.getElementById("count").textContent = ""; return; }
  const found = data.nodes.filter(node => node.told.toLowerCase().includes(words));
  light(new Set(found.map(node => node.id)));
  document.getElementById("count").textContent = found.length + " found"
    + (found.length > MOST ? "; the first " + MOST + ":" : "");
  for (const node of found.slice(0, MOST)) {
    const entry = element("li"), button = element("button", node.id);
    button.type = "button";
    button.addEventListener("click", () => choose(node.id, true));
    entry.append(button);
    results.append(entry);
  }
}
search.addEventListener("input", find);
document.querySelector("form").addEventListener("submit", event => {
  event.preventDefault();
  const first = results.querySelector("button");
  if (first) first.click();
  results.replaceChildren();
  document.getElementById("count").textContent = "";
});
const own = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];
// From this scale on the smallest text has nine pixels: below it the picture scrolls.
const READABLE = 1;
let scale = 1;
function zoom(to) {
  scale = Math.min(Math.max(to, 0.2), 4);
  svg.setAttribute("width", own[0] * scale);
  svg.setAttribute("height", own[1] * scale);
}
document.getElementById("in").addEventListener("click", () => zoom(scale * 1.25));
document.getElementById("out").addEventListener("click", () => zoom(scale / 1.25));
document.getElementById("fit").addEventListener("click", fit);
document.getElementById("points").addEventListener("click", () => {
  choose(null);
  light(new Set(data.nodes.filter(node => node.single).map(node => node.id)));
});
document.getElementById("clear").addEventListener("click", () => {
  search.value = ""; find(); choose(null);
});
function fit() {
  const pane = document.querySelector("main");
  zoom(Math.min(pane.clientWidth / own[0], 1.5));
}
if (boxes.length) boxes[0].setAttribute("tabindex", "0");
fit();
zoom(Math.max(scale, READABLE));
const lost = svg.querySelector(".failed");
if (lost) lost.scrollIntoView({block: "center", inline: "center"});
"""


def page_text(scene: Scene, drawing: Drawing) -> str:
    """The page, with everything that it needs in it."""
    name = escape(scene.name)
    # A closing tag in a text would end the script that holds the data.
    data = json_text(page_data(scene), "compact", ascii_only=True)
    data = data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    changes = "".join(f"<p>{escape(text)}</p>\n" for text, _ in headlines(scene))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Infrastructure of {name}</title>
<style>{_STYLE}</style>
</head>
<body>
<main aria-label="picture" tabindex="-1">
{svg_text(scene, drawing, page=True)}</main>
<aside>
<h1>{name}</h1>
<p>{escape(summary_line(scene))}</p>
{changes}<form role="search">
<label for="search">Find a node</label>
<input id="search" type="search" autocomplete="off" placeholder="name, kind, tier … (key /)">
</form>
<div class="tools">
<button id="points" type="button">Single points of failure</button>
<button id="clear" type="button">Clear</button>
<button id="in" type="button" aria-label="larger">+</button>
<button id="out" type="button" aria-label="smaller">&minus;</button>
<button id="fit" type="button">Whole picture</button>
</div>
<p id="count" role="status"></p>
<ul id="results" aria-label="found"></ul>
<p>The picture scrolls in both directions. Choose a box to see what goes down with it: click, or
arrow keys and Enter; Escape clears.</p>
<div id="detail" aria-live="polite"></div>
</aside>
<script type="application/json" id="data">{data}</script>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def page_data(scene: Scene) -> dict[str, Any]:
    """Nodes with their texts and, by number, what they depend on, support and take down."""
    graph, absent = scene.graph, without_equipment(scene.model, scene.fleet)
    ready = dependencies(graph).without(absent)
    number = {name: index for index, name in enumerate(scene.shown)}

    def numbers(names: Any) -> list[int]:
        return sorted(number[name] for name in names if name in number)

    return {
        "nodes": [
            {
                "id": name,
                "told": told(scene, name),
                "single": name in scene.points,
                "from": numbers(graph.predecessors(name)),
                "to": numbers(graph.successors(name)),
                "falls": numbers(ready.down_with([name]) - ready.down - {name}),
            }
            for name in number
        ]
    }
