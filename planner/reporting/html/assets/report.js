"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let printing = false;
  const PRINT_WIDTH = 660;
  const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash"];
  const LIGHT = ["#1769aa", "#a8480a", "#1d7a4c", "#8a2f8a", "#8a6d00", "#1b7f8c", "#a81e52", "#4b535c"];
  const DARK = ["#5aa9e6", "#f0994d", "#5fcf95", "#d78ad7", "#e0c050", "#58c4bb", "#f27ca5", "#aab4be"];
  const isDark = () => dark.matches && !printing;
  const palette = () => (isDark() ? DARK : LIGHT);
  const ink = () => (isDark() ? { fg: "#e9edf1", soft: "#aab4be", line: "#3d464f", bad: "#ff9d94", good: "#6fd6a0", bg: "#14171a" }
    : { fg: "#1a1d21", soft: "#4b535c", line: "#dde2e7", bad: "#a81e1e", good: "#0b6b3a", bg: "#ffffff" });
  // Plotly reads a little HTML in labels; names are only text.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const drawn = new Map();

  function layout(more) {
    const colour = ink();
    const axis = { gridcolor: colour.line, zerolinecolor: colour.soft, linecolor: colour.soft, automargin: true, fixedrange: false };
    const { xaxis, yaxis, ...rest } = more;
    return {
      font: { family: "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif", size: 12, color: colour.fg },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", height: 270, margin: { l: 48, r: 12, t: 8, b: 40 },
      showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal", font: { size: 11 } }, hovermode: "x unified",
      hoverlabel: { bgcolor: colour.bg, bordercolor: colour.soft, font: { color: colour.fg } },
      dragmode: "zoom", xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
    };
  }

  function draw(element, make) {
    const [traces, more] = make();
    const wanted = layout(more);
    if (printing) { wanted.width = PRINT_WIDTH; wanted.autosize = false; }
    drawn.set(element, make);
    return Plotly.react(element, traces, wanted, { displayModeBar: false, responsive: !printing, doubleClick: "reset" });
  }

  // --------------------------------------------------------------------------- charts of all reports
  const charts = {
    "c-steps": () => {
      const colour = ink(), steps = data.steps, flat = !printing && innerWidth < 700;
      const names = steps.map((s) => plain(s.label)), usd = steps.map((s) => s.usd);
      return [[{
        type: "waterfall", orientation: flat ? "h" : "v", x: flat ? usd : names, y: flat ? names : usd,
        measure: steps.map((s, i) => (s.total ? (i ? "total" : "absolute") : "relative")),
        text: steps.map((s) => (s.total ? "" : s.usd > 0 ? "+" : "−") + Math.abs(s.usd).toLocaleString("en", { maximumSignificantDigits: 3 })),
        textposition: "outside", cliponaxis: false, hoverinfo: "name+text",
        increasing: { marker: { color: palette()[1] } }, decreasing: { marker: { color: palette()[2] } },
        totals: { marker: { color: palette()[0] } }, connector: { line: { color: colour.soft, width: 1 } },
      }], { showlegend: false, height: flat ? 80 + 34 * steps.length : 360, hovermode: "closest", margin: { l: 48, r: flat ? 60 : 12, t: 28, b: 40 }, yaxis: flat ? { autorange: "reversed" } : { title: { text: "M USD a year" } } }];
    },
    "c-years": () => [["owning", "failures"].map((key, i) => ({
      type: "bar", name: i ? "expected cost of failures" : "annualised capex and opex", x: data.years.map((y) => plain(y.name)), y: data.years.map((y) => y[key]),
      marker: { color: palette()[i], pattern: { shape: i ? "/" : "" } },
    })), { barmode: "stack", yaxis: { title: { text: "M USD" } } }],
    "c-cash": () => [[
      { type: "bar", name: "net of the year", x: data.cash.map((c) => c.year), y: data.cash.map((c) => c.net), marker: { color: palette()[0] } },
      { type: "scatter", mode: "lines+markers", name: "cumulative", x: data.cash.map((c) => c.year), y: data.cash.map((c) => c.cumulative), line: { color: palette()[1], dash: "dash" } },
    ], { xaxis: { title: { text: "year" } }, yaxis: { title: { text: "M USD" } } }],
    "c-exceedance": () => [data.exceedance.map((c, i) => ({
      type: "scatter", mode: "lines", name: plain(c.name), x: c.x, y: c.y.map((p) => 100 * p), line: { color: palette()[i], dash: DASHES[i], shape: "hv" },
    })), { hovermode: "closest", xaxis: { title: { text: "M USD in a year" }, rangemode: "tozero" }, yaxis: { type: "log", ticksuffix: " %" } }],
    "c-swings": () => {
      const rows = [...data.swings].reverse();
      const bar = (key, end, i) => ({
        type: "bar", orientation: "h", name: end, y: rows.map((r) => plain(r.input)), x: rows.map((r) => r[key] - r.npv), base: rows.map((r) => r.npv),
        customdata: rows.map((r) => [r[i ? "high" : "low"], r[key]]), hovertemplate: "%{y} at %{customdata[0]}: %{customdata[1]:.1f} M USD<extra></extra>",
        marker: { color: palette()[i], pattern: { shape: i ? "" : "/" } },
      });
      return [[bar("npv_low", "low value", 0), bar("npv_high", "high value", 1)],
        { barmode: "overlay", hovermode: "closest", height: 60 + 26 * Math.max(rows.length, 4), xaxis: { title: { text: "M USD" } } }];
    },
  };

  // ------------------------------------------------------------------------- charts of one scenario
  function steps(rules, until) {
    const sorted = [...rules].sort((a, b) => a[0] - b[0]);
    const x = [], y = [];
    let level = 0;
    for (const [minute, least] of sorted) {
      x.push(minute, minute); y.push(level || null, least || null); level = least;
    }
    return x.length ? [[...x, until], [...y, level || null]] : null;
  }

  function range(kind, curves, until) {
    let low = Infinity, high = -Infinity;
    for (const curve of curves) for (const value of curve.y) { low = Math.min(low, value); high = Math.max(high, value); }
    if (kind === "served") return [Math.min(low, 90) - 3, 103];
    if (kind === "temperature") return [low - 2, Math.max(high, data.limits.throttle) + 3];
    return [0, 1.12 * Math.max(high, 1)];
  }

  function curveChart(kind, scenario, article) {
    return () => {
      const lines = [...article.querySelectorAll(".story tbody tr")].map((row) => [Number(row.cells[1].textContent), row.cells[2].textContent]);
      const colour = ink(), curves = scenario[kind], until = scenario.all ? scenario.minutes : scenario.until;
      const [low, high] = range(kind, curves, until);
      const traces = curves.map((curve, i) => ({
        type: "scatter", mode: "lines", name: plain(curve.name), x: curve.x, y: curve.y,
        line: { color: palette()[i % 8], dash: DASHES[i % 8], width: 2 },
      }));
      if (kind === "served") {
        for (const [tier, rules] of Object.entries(scenario.required)) {
          const found = steps(rules, until), i = curves.findIndex((c) => c.name === tier);
          if (found) traces.push({ type: "scatter", mode: "lines", name: plain("required: " + tier), x: found[0], y: found[1], showlegend: false, hoverinfo: "skip", line: { dash: "dot", width: 1.2, color: i < 0 ? colour.soft : palette()[i % 8] } });
        }
      }
      const told = new Map();
      for (const [minute, text] of lines) told.set(minute, [...(told.get(minute) || []), plain(text)]);
      traces.push({
        type: "scatter", mode: "markers", name: "story", showlegend: false, x: [...told.keys()], y: [...told.keys()].map(() => high - 0.03 * (high - low)),
        text: [...told.values()].map((lines) => lines.map((l) => l.replace(/(.{1,60})(\s|$)/g, "$1<br>")).join("")), hovertemplate: "%{text}<extra></extra>",
        marker: { symbol: "triangle-down", size: 8, color: colour.soft },
      });
      const vertical = scenario.events.filter(([minute]) => minute <= until).map(([minute, text]) => ({
        type: "line", x0: minute, x1: minute, yref: "paper", y0: 0, y1: 1, line: /: (repaired|over)$/.test(text) ? { color: colour.soft, width: 1.5, dash: "dash" } : { color: colour.bad, width: 1.5 },
      }));
      const limits = kind !== "temperature" ? [] : [["throttle", "throttles"], ["shutdown", "shuts down"]].filter(([name]) => data.limits[name] <= high);
      const level = limits.map(([name]) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: data.limits[name], y1: data.limits[name], line: { color: colour.bad, width: 1, dash: "dot" } }));
      const notes = limits.map(([name, text]) => ({ xref: "paper", x: 1, xanchor: "right", y: data.limits[name], yanchor: "bottom", text, showarrow: false, font: { size: 10, color: colour.bad } }));
      if (["queue", "cloud"].includes(kind) && curves.every((curve) => curve.x.every((x, i) => x > until || !curve.y[i]))) {
        notes.push({ xref: "paper", yref: "paper", x: 0.5, y: 0.5, text: `none in the first ${until} minutes`, showarrow: false, font: { color: colour.soft } });
      }
      // On a narrow page each name in the legend takes a line.
      const height = 270 + (!printing && innerWidth < 700 ? 17 * Math.max(0, curves.length - 1) : 0);
      return [traces, { height, shapes: [...vertical, ...level], annotations: notes, xaxis: { range: [-0.01 * until, until], title: { text: "minutes", standoff: 4 } }, yaxis: { range: [low, high] } }];
    };
  }

  function drawScenario(article) {
    const scenario = data.scenarios[article.dataset.index];
    for (const figure of article.querySelectorAll("figure[data-kind]")) {
      const plot = figure.querySelector(".plot");
      if (!drawn.has(plot)) {
        draw(plot, curveChart(figure.dataset.kind, scenario, article));
        plot.on("plotly_relayout", (change) => together(article, plot, change));
      }
    }
  }

  let busy = false;
  function together(article, source, change) {
    const zoom = change["xaxis.range[0]"] !== undefined ? { "xaxis.range": [change["xaxis.range[0]"], change["xaxis.range[1]"]] } : null;
    if (busy || !zoom) return;
    busy = true;
    const others = [...article.querySelectorAll(".plot")].filter((p) => p !== source && drawn.has(p));
    Promise.all(others.map((p) => Plotly.relayout(p, zoom))).finally(() => { busy = false; });
  }

  // The figures of a chart as a table: where any curve bends.
  function figures(box, curves) {
    const minutes = [...new Set(curves.flatMap((c) => c.x))].sort((a, b) => a - b);
    const at = (curve, minute) => {
      const i = curve.x.findIndex((x) => x >= minute);
      if (i < 0) return curve.y[curve.y.length - 1];
      if (curve.x[i] === minute || i === 0) return curve.y[i];
      const share = (minute - curve.x[i - 1]) / (curve.x[i] - curve.x[i - 1]);
      return curve.y[i - 1] + share * (curve.y[i] - curve.y[i - 1]);
    };
    const table = document.createElement("table");
    table.setAttribute("aria-label", "By minute, where anything changes");
    const head = table.createTHead().insertRow();
    for (const name of ["minute", ...curves.map((c) => c.name)]) {
      const cell = document.createElement("th");
      cell.scope = "col"; cell.textContent = name; cell.className = "n"; head.append(cell);
    }
    const body = table.createTBody();
    for (const minute of minutes) {
      const row = body.insertRow(), first = document.createElement("th");
      first.scope = "row"; first.textContent = minute; first.className = "n"; row.append(first);
      for (const curve of curves) {
        const cell = row.insertCell();
        cell.className = "n"; cell.textContent = at(curve, minute).toLocaleString("en", { maximumFractionDigits: 2 });
      }
    }
    const scroll = document.createElement("div");
    scroll.className = "scroll"; scroll.tabIndex = 0; scroll.setAttribute("role", "region"); scroll.setAttribute("aria-label", "Figures");
    scroll.append(table); box.replaceChildren(scroll); hint(scroll);
  }
  document.addEventListener("toggle", (event) => {
    const box = event.target.open && event.target.querySelector(":scope > .figures");
    if (!box || box.firstChild) return;
    const scenario = data.scenarios[box.closest("article").dataset.index];
    figures(box, scenario[box.closest("figure").dataset.kind]);
  }, true);

  // -------------------------------------------------------------------------------- open and close
  const opener = (article) => document.querySelector(`button.open[aria-controls="${article.id}"]`);
  function show(article, open) {
    article.hidden = !open;
    opener(article).setAttribute("aria-expanded", String(open));
    if (open) {
      drawScenario(article);
      article.querySelector("h3").focus({ preventScroll: true });
      article.scrollIntoView({ behavior: calm.matches ? "auto" : "smooth", block: "start" });
    }
  }
  document.addEventListener("click", (event) => {
    const open = event.target.closest("button.open"), close = event.target.closest("button.close");
    const span = event.target.closest("button.span");
    if (span) {
      const article = span.closest("article"), scenario = data.scenarios[article.dataset.index];
      scenario.all = !scenario.all;
      span.setAttribute("aria-pressed", String(scenario.all));
      for (const plot of article.querySelectorAll(".plot")) draw(plot, drawn.get(plot));
    } else if (open) {
      const article = $(open.getAttribute("aria-controls"));
      show(article, article.hidden);
    } else if (close) {
      const article = close.closest("article");
      show(article, false);
      opener(article).focus();
    }
  });
  document.addEventListener("keydown", (event) => {
    const article = event.key === "Escape" && event.target.closest && event.target.closest("article.told");
    if (article) { show(article, false); opener(article).focus(); }
  });

  // ---------------------------------------------------------------------------------------- filters
  const form = document.querySelector(".filters"), body = $("matrix"), rows = [...body.rows];
  const total = body.querySelectorAll("[data-name]").length;
  function filter() {
    const text = $("f-text").value.trim().toLowerCase(), outcome = $("f-survives").value;
    const classes = new Set([...form.querySelectorAll("[name=severity]:checked")].map((box) => box.value));
    let shown = 0;
    for (const row of rows) {
      const fits = classes.has(row.dataset.severity) && (!outcome || (outcome === "today" ? row.dataset.today === "no" : row.dataset.survives === outcome));
      let named = 0;
      // Hours come after the failure that they unfold from, and show it: they are looked at first.
      for (const scenario of [...row.querySelectorAll("[data-name]")].reverse()) {
        const found = scenario.dataset.name.includes(text), hours = scenario.querySelector("li:not([hidden])");
        scenario.hidden = !found && !hours;
        named += found;
      }
      for (const more of row.querySelectorAll("details.more")) more.open = text !== "" && !!more.querySelector("li:not([hidden])");
      row.hidden = !fits || !named;
      shown += row.hidden ? 0 : named;
    }
    $("f-count").textContent = `${shown} of ${total} scenario${total === 1 ? "" : "s"}`;
  }
  function order() {
    const key = $("f-order").value, sign = key === "recovery" || key === "frequency" ? -1 : 1;
    const number = (row) => (row.dataset[key] === "inf" ? Infinity : Number(row.dataset[key]));
    const compare = (a, b) => (number(a) === number(b) ? 0 : number(a) < number(b) ? -sign : sign);
    body.append(...[...rows].sort((a, b) => compare(a, b) || a.dataset.order - b.dataset.order));
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  $("f-order").addEventListener("change", order);
  form.addEventListener("reset", () => setTimeout(() => { filter(); order(); }));

  // ------------------------------------------------------------------- tables wider than the page
  const widths = new ResizeObserver((entries) => { for (const entry of entries) hint(entry.target); });
  function hint(scroll) { scroll.classList.toggle("wider", scroll.scrollWidth > scroll.clientWidth + 1); }
  for (const scroll of document.querySelectorAll(".scroll")) widths.observe(scroll);

  // ------------------------------------------------------------------------- when charts are drawn
  const later = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) { later.unobserve(entry.target); draw(entry.target, charts[entry.target.id]); }
    }
  }, { rootMargin: "400px" });
  const fixed = Object.keys(charts).map($).filter(Boolean);
  fixed.forEach((element) => later.observe(element));
  function redraw() { for (const [element, make] of drawn) draw(element, make); }
  dark.addEventListener("change", redraw);
  // Paper is light and has its own width; details of charts that were never seen print too.
  addEventListener("beforeprint", () => {
    printing = true;
    for (const element of fixed) if (!drawn.has(element)) drawn.set(element, charts[element.id]);
    redraw();
  });
  addEventListener("afterprint", () => { printing = false; redraw(); });
})();
