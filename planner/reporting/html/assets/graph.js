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
