"use strict";
// All that is shown comes from here, as text and never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
const TERMS = ["loss", "reconstruction", "kl"];
// Told apart on light and on dark paper; further runs take them again, with dashes.
const COLOURS = ["#3b82c4", "#d9722e", "#3a9a5c", "#9a6bc9", "#d1495b", "#2a9d9d", "#9a8a1f", "#d16ba5"];
const DASHES = ["none", "7 4", "2 3"];

// Elements.

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}
const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
const section = (title, ...children) => el("section", {}, el("h2", {}, title), ...children);
const scroll = (table, label) => el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label }, table);

function table(attributes, head, rows) {
  const cells = (row, kind) => row.map((cell) => (cell instanceof Element ? cell : el(kind, kind === "th" ? { scope: "col" } : {}, cell)));
  return el("table", attributes, el("thead", {}, el("tr", {}, cells(head, "th"))),
    el("tbody", {}, rows.map((row) => el("tr", {}, cells(row, "td")))));
}
const leftHead = (name) => el("th", { scope: "col", class: "left" }, name);
const rowHead = (colour, name) => el("th", { scope: "row", class: "name" }, colour ? swatch(colour) : null, name);
function swatch(colour) {
  const node = el("span", { class: "swatch", "aria-hidden": "true" });
  node.style.color = colour;
  return node;
}

// Words.

const list = (value) => (Array.isArray(value) ? value : []);
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const number = (value, digits = 2) => (isNumber(value) ? value.toFixed(digits) : "–");
const percent = (value) => (isNumber(value) ? `${(100 * value).toFixed(1)}\u00a0%` : "–");
const whole = (value) => (isNumber(value) ? value.toLocaleString("en") : "–");
const facts = (pairs) => el("dl", { class: "facts" }, pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
const stepOf = (run) => `step ${whole(run.step)} of ${whole(run.steps)}`;

// Curves: {step: [...], loss: [...], reconstruction: [...], kl: [...]}.

const points = (curve, term) => curve.step.map((step, at) => [step, curve[term][at]]).filter(([, value]) => isNumber(value));
// The last point that is not after a step; of no step, the last of all.
const at = (points, step) => (step === null ? points.at(-1) : points.findLast((point) => point[0] <= step));

function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, n) => (first + n) * step);
}

// The values of what is shown: without the first twentieth of the steps, which would flatten the rest.
function range(series, last) {
  const all = series.flatMap(({ points }) => points);
  const late = all.filter(([step]) => step >= last / 20);
  const values = (late.length < 4 ? all : late).map(([, value]) => value);
  const low = Math.min(0, values.reduce((a, b) => Math.min(a, b), 0));
  const high = values.reduce((a, b) => Math.max(a, b), low + 1e-3);
  return [low * 1.05, high + 0.06 * (high - low)];
}

// Lines over the steps. `moved` is told the step that is pointed at, or null; `say` puts its values into words.
function chart(label, height, series, moved, say) {
  const steps = [...new Set(series.flatMap(({ points }) => points.map(([step]) => step)))].sort((a, b) => a - b);
  if (steps.length === 0) return { node: el("p", { class: "soft" }, "Nothing was measured yet."), show() {}, draw() {} };
  const last = steps.at(-1);
  const [low, high] = range(series, last);
  const node = svg("svg", { class: "chart", tabindex: 0, role: "slider", "aria-label": `${label}; arrow keys go through the steps`,
    "aria-valuemin": steps[0], "aria-valuemax": last });
  const [left, right, top, bottom] = [46, 14, 10, 26];
  let [width, now] = [640, null];
  const x = (step) => left + (step / last) * (width - left - right);
  const y = (value) => top + ((high - value) / (high - low)) * (height - top - bottom);
  const mark = svg("g");
  const clip = `frame-${chart.count = (chart.count || 0) + 1}`;

  function line({ points, colour, train, dash }) {
    const path = points.map(([step, value], n) => `${n ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    const dots = train || points.length > 60 ? [] : points;
    const group = svg("g", { "clip-path": `url(#${clip})` },
      svg("path", { d: path, class: train ? "train" : "test", "stroke-dasharray": dash || "none" }),
      dots.map(([step, value]) => svg("circle", { cx: x(step), cy: y(value), r: 2.5 })));
    group.style.color = colour;
    return group;
  }
  function draw() {
    width = Math.max(240, node.parentElement ? node.parentElement.clientWidth : width);
    node.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const digits = high - low < 5 ? 1 : 0;
    node.replaceChildren(
      svg("clipPath", { id: clip }, svg("rect", { x: left, y: top - 4, width: width - left - right + 6, height: height - top - bottom + 8 })),
      ...ticks(low, high, height / 60).flatMap((value) => [
        svg("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
        svg("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(digits))]),
      ...ticks(0, last, width / 90).map((step) =>
        svg("text", { x: x(step), y: height - 6, "text-anchor": x(step) > width - 50 ? "end" : "middle" }, step ? whole(step) : "step 0")),
      ...series.map(line), mark);
    show(now);
  }
  function show(step) {
    now = step;
    node.setAttribute("aria-valuenow", step ?? last);
    node.setAttribute("aria-valuetext", say(step));
    mark.replaceChildren();
    if (step === null) return;
    mark.append(svg("line", { class: "guide", x1: x(step), x2: x(step), y1: top, y2: height - bottom }));
    for (const { points, colour } of series) {
      const point = at(points, step);
      if (!point || point[1] > high) continue;
      const dot = svg("circle", { class: "at", cx: x(point[0]), cy: y(point[1]), r: 4 });
      dot.style.color = colour;
      mark.append(dot);
    }
  }
  const nearest = (step) => steps.reduce((best, other) => (Math.abs(other - step) < Math.abs(best - step) ? other : best));
  function point(event) {
    const box = node.getBoundingClientRect();
    moved(nearest((((event.clientX - box.left) * width / box.width - left) / (width - left - right)) * last));
  }
  node.addEventListener("pointermove", point);
  node.addEventListener("pointerdown", point);
  node.addEventListener("pointerleave", () => moved(null));
  node.addEventListener("keydown", (event) => {
    const here = steps.indexOf(nearest(now ?? last));
    const to = { ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1, PageDown: here - 10,
      PageUp: here + 10, Home: 0, End: steps.length - 1 }[event.key];
    if (to === undefined && event.key !== "Escape") return;
    event.preventDefault();
    moved(to === undefined ? null : steps[Math.min(Math.max(to, 0), steps.length - 1)]);
  });
  charts.push(draw);
  return { node, show };
}
const charts = [];
addEventListener("resize", () => charts.forEach((draw) => draw()));

// A value under the guide; beside it the step that it is of, if that is another.
function reading(points, step) {
  const point = at(points, step);
  if (!point) return "–";
  const of = step !== null && point[0] !== step ? el("span", { class: "soft" }, ` (${whole(point[0])})`) : null;
  return [number(point[1]), of];
}
const atStep = (step) => (step === null ? "at the end" : `at step ${whole(step)}`);

function curvesOfRun() {
  const names = { loss: "loss", reconstruction: data.term, kl: "KL" };
  const series = TERMS.flatMap((term) => ["train", "test"].map((split) => ({
    term, split, train: split === "train", colour: `var(--${term})`, points: points(data.curves[split], term) })));
  const of = (term, split) => series.find((one) => one.term === term && one.split === split).points;
  const readings = el("div", { class: "readings" });
  const value = (points, step) => number(at(points, step)?.[1]);
  const say = (step) => `${atStep(step)}: ` + ["train", "test"].map((split) =>
    `${split} ${TERMS.map((term) => `${names[term]} ${value(of(term, split), step)}`).join(", ")}`).join("; ");
  function move(step) {
    lines.show(step);
    readings.replaceChildren(table({}, [el("td"), "train", "test"], TERMS.map((term) =>
      [rowHead(`var(--${term})`, names[term]), ...["train", "test"].map((split) => el("td", {}, reading(of(term, split), step)))])),
    el("p", { class: "soft" }, `An image's average ${atStep(step)}. Pale: training; strong: test images.`));
  }
  const lines = chart("Curves of the loss", 320, series, move, say);
  move(null);
  return el("div", {}, el("h3", {}, "Loss"), lines.node, readings);
}

// Pictures, with a slider over the steps.

const pictures = [...document.querySelectorAll("#pictures img")];
function picturesOfRun() {
  const steps = [...new Set(pictures.map((img) => Number(img.dataset.step)))].sort((a, b) => a - b);
  if (steps.length === 0) return [];
  const captions = { reconstructions: "Test images above what the model keeps of them", samples: "Drawn by the model itself" };
  const figures = Object.entries(captions).map(([kind, caption]) => {
    const own = pictures.filter((img) => img.dataset.kind === kind);
    own.forEach((img) => (img.alt = `${caption}, after step ${img.dataset.step}`));
    own.at(-1)?.classList.add("newest");
    return own.length ? el("figure", {}, el("figcaption", {}, caption, el("span", { class: "printed" }, `, after step ${whole(steps.at(-1))}`)), own) : null;
  });
  const slider = el("input", { type: "range", id: "slider", min: 0, max: steps.length - 1, "aria-label": "Pictures after step" });
  const output = el("output", { for: "slider" });
  function show() {
    const step = steps[slider.value];
    output.textContent = `step ${whole(step)}`;
    slider.setAttribute("aria-valuetext", `step ${step}`);
    pictures.forEach((img) => (img.hidden = Number(img.dataset.step) !== step));
  }
  // Who looks at the newest goes on to do so; else the step stays.
  const place = isNumber(kept?.step) ? steps.findLastIndex((step) => step <= kept.step) : -1;
  slider.value = place < 0 ? steps.length - 1 : place;
  slider.addEventListener("input", show);
  keep.step = () => (Number(slider.value) === steps.length - 1 ? null : steps[slider.value]);
  show();
  return [el("div", { class: "step" }, slider, output), ...figures];
}

function learningOfRun() {
  const [slider, strip, samples] = picturesOfRun();
  const curves = curvesOfRun();
  return section("As it learnt to draw", slider, strip, samples ? el("div", { class: "pair" }, samples, curves) : curves);
}

// What `vae evaluate` said.

function evaluationOfRun() {
  const found = data.evaluation;
  const title = "What vae evaluate says";
  if (!found) {
    return section(title, el("p", data.outdated ? { class: "warning" } : { class: "soft" },
      data.outdated ? "It looked at other weights than these. Once more: " : "Nothing yet. Its figures are here after: ", el("code", {}, "vae evaluate")));
  }
  const dimensions = list(found.dimensions);
  const most = dimensions.reduce((most, { kl }) => Math.max(most, kl || 0), 1e-9);
  const bar = ({ dimension, kl, active }) => {
    const node = el("i", { "aria-hidden": "true" });
    node.style.width = `${(100 * Math.max(0, kl || 0)) / most}%`;
    return el("li", active ? {} : { class: "inactive" }, el("span", {}, whole(dimension)), node, el("span", {}, number(kl)));
  };
  const nll = isNumber(found.nll) ? [[`−log p(x), ${whole(found.importance_samples)} samples`,
    [number(found.nll), " ", el("small", {}, `± ${number(found.nll_standard_error)}`)]]] : [];
  const real = found.samples;
  const sets = { test_images: "test images", training_images: "training images", reconstructions: "reconstructions",
    drawings: "drawings", posterior_drawings: "drawings from the posterior" };
  return section(title, facts([["loss", number(found.loss)], [data.term, number(found.reconstruction)], ["KL", number(found.kl)], ...nll,
    ["active dimensions", `${whole(found.active_units)} of ${dimensions.length}`]]),
  el("p", { class: "soft" }, `Of ${whole(found.images)} ${found.split} images: ${found.dataset}.`),
  el("h3", {}, "The KL of each latent dimension, in nats"), el("ol", { class: "bars" }, dimensions.map(bar)),
  real && [el("h3", {}, `How real its pictures are, for a classifier that is right on ${percent(real.classifier_accuracy)} of the test images`),
    scroll(table({}, [el("td"), "recognised", "Fréchet distance", "precision", "recall", "nearest training image"],
      Object.entries(sets).filter(([key]) => real[key]).map(([key, name]) => [rowHead(null, name), percent(real[key].recognised),
        number(real[key].frechet_distance, 1), percent(real[key].precision), percent(real[key].recall),
        number(real[key].nearest_training_image?.mean, 1)])), "How real its pictures are")]);
}

function settingsOfRun() {
  const row = ({ key, value, default: usual }) => el("tr", usual === undefined ? {} : { class: "differs" }, el("th", { scope: "row" }, usual === undefined ? key : `● ${key}`),
    el("td", {}, usual === undefined ? value : el("strong", {}, value), usual === undefined ? null : el("div", { class: "soft" }, `default: ${usual}`)));
  const node = section("Configuration", el("p", { class: "soft" }, "● differs from the default"),
    el("table", { class: "settings words" }, el("tbody", {}, data.settings.map(row))),
    data.about.map((line) => el("p", { class: "soft" }, line)));
  node.classList.add("long");
  return node;
}

function pageOfRun() {
  const [test, train] = ["test", "train"].map((split) => data.curves[split]);
  const curve = test.step.length ? test : train;
  const last = (term) => number(curve[term].at(-1));
  const title = data.name || data.title;
  document.title = `${title} – vae`;
  page.append(el("header", {}, el("h1", {}, title),
    el("p", { class: "soft", id: "status" }, data.name ? `${data.title}, ` : null, stepOf(data),
      data.live ? "; in training, this page follows" : data.step < data.steps ? "; not done" : ""),
    facts([[curve === test ? "test loss" : "training loss", last("loss")], [data.term, last("reconstruction")], ["KL", last("kl")]])));
  append(learningOfRun, evaluationOfRun, settingsOfRun);
  append(() => section("The same run again", el("pre", { tabindex: 0 }, el("code", {}, data.command))));
}

// Several runs.

function groupOfRuns(group) {
  const names = { loss: "loss", reconstruction: group.term, kl: "KL" };
  const looks = group.runs.map((_, n) => ({ colour: COLOURS[n % COLOURS.length], dash: DASHES[Math.floor(n / COLOURS.length) % DASHES.length] }));
  const lines = group.runs.map((run) => Object.fromEntries(TERMS.map((term) => [term, { train: points(run.curves.train, term), test: points(run.curves.test, term) }])));
  // What counts is the test; where there was none yet, the training.
  const counts = (n, term) => (lines[n][term].test.length ? lines[n][term].test : lines[n][term].train);
  const some = (key) => group.runs.some((run) => run[key] !== null && run[key] !== undefined);
  const extra = [["nll", "−log p(x)", number], ["recognised", "recognised", percent]].filter(([key]) => some(key));
  const ranking = table({ class: "ranking" }, [el("td"), leftHead("run"), "test loss", group.term, "KL", ...extra.map(([, name]) => name), ...group.settings, "step"],
    group.runs.map((run, n) => [`${run.ranked ? n + 1 : "–"}`, rowHead(looks[n].colour, run.name),
      ...TERMS.map((term) => number(lines[n][term].test.at(-1)?.[1])), ...extra.map(([key, , say]) => say(run[key])),
      ...run.settings, run.step < run.steps ? `${whole(run.step)} of ${whole(run.steps)}` : whole(run.step)]));
  const readings = el("div", { class: "readings" });
  const say = (term) => (step) => `${atStep(step)}: ` + group.runs.map((run, n) => `${run.name} ${number(at(counts(n, term), step)?.[1])}`).join(", ");
  function move(step) {
    drawn.forEach(({ show }) => show(step));
    readings.replaceChildren(scroll(table({}, [leftHead("run"), ...TERMS.map((term) => names[term])], group.runs.map((run, n) =>
      [rowHead(looks[n].colour, run.name), ...TERMS.map((term) => el("td", {}, reading(counts(n, term), step)))])), `Values ${atStep(step)}`),
    el("p", { class: "soft" }, `An image's average ${atStep(step)}. Pale: training; strong: test images.`));
  }
  const drawn = TERMS.map((term) => chart(`Curves of ${names[term]}`, 240, group.runs.flatMap((_, n) =>
    ["train", "test"].map((split) => ({ points: lines[n][term][split], train: split === "train", ...looks[n] }))), move, say(term)));
  move(null);
  const newest = group.runs.map((run, n) => {
    const img = pictures.find((img) => img.dataset.run === String(run.number));
    if (!img) return null;
    img.alt = `Drawn by ${run.name} after step ${img.dataset.step}`;
    img.classList.add("newest");
    return el("figure", {}, el("figcaption", {}, swatch(looks[n].colour), `${run.name}, step ${whole(Number(img.dataset.step))}`), img);
  });
  const node = section(group.title, group.notes.map((note) => el("p", { class: "warning" }, note)), scroll(ranking, "Runs, the best first"),
    el("h3", {}, "Curves"), el("div", { class: "charts" }, TERMS.map((term, n) => el("figure", {}, el("figcaption", {}, names[term]), drawn[n].node))), readings,
    newest.some(Boolean) ? [el("h3", {}, "Newest drawings"), el("div", { class: "gallery" }, newest)] : null);
  node.classList.add("long");
  return node;
}

function pageOfRuns() {
  const count = data.groups.reduce((sum, { runs }) => sum + runs.length, 0);
  document.title = `${count} runs – vae`;
  page.append(el("header", {}, el("h1", {}, `${count} runs`), data.notes.map((note) => el("p", { class: "warning" }, note))));
  append(...data.groups.map((group) => () => groupOfRuns(group)));
}

// While a training writes this page it is loaded again, and stays where it was.

const PLACE = `vae report ${location.pathname}`;
const keep = { step: () => null };
const kept = (() => {
  try {
    const reloaded = performance.getEntriesByType("navigation")[0]?.type === "reload";
    return reloaded ? JSON.parse(sessionStorage.getItem(PLACE)) : null;
  } catch {
    return null;
  }
})();
function remember() {
  try {
    const controls = [...document.querySelectorAll("input, [tabindex]")];
    sessionStorage.setItem(PLACE, JSON.stringify({ step: keep.step(), scroll: scrollY, focus: controls.indexOf(document.activeElement) }));
  } catch {
    // Then the page begins at its top.
  }
}
function follow() {
  history.scrollRestoration = "manual";
  addEventListener("pagehide", remember);
  if (kept) {
    document.querySelectorAll("input, [tabindex]")[kept.focus]?.focus({ preventScroll: true });
    scrollTo(0, kept.scroll || 0);
  }
  if (!data.live) return;
  let held = false;
  addEventListener("pointerdown", () => (held = true));
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => (held = false));
  setInterval(() => {
    if (!document.hidden && !held && getSelection().isCollapsed) location.reload();
  }, 5000);
}

// What one part cannot show keeps no other from being shown.
function append(...parts) {
  for (const part of parts) {
    try {
      const node = part();
      if (node) page.append(node);
    } catch (error) {
      console.error(error);
    }
  }
}

(data.groups ? pageOfRuns : pageOfRun)();
charts.forEach((draw) => draw());
follow();
