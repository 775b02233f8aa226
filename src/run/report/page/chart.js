// Lines over the steps, with the values under the pointer or at the keys.

const TERMS = ["loss", "reconstruction", "kl"];

// Curves: {step: [...], loss: [...], reconstruction: [...], kl: [...]}.

const points = (curve, term) =>
  curve.step.map((step, at) => [step, curve[term][at]]).filter(([, value]) => isNumber(value));
// The last point that is not after a step; of no step, the last of all.
const at = (points, step) => (step === null ? points.at(-1) : points.findLast((point) => point[0] <= step));

function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, n) => (first + n) * step);
}

// The values of what is shown: without the first twentieth of the steps, which would flatten the rest, but for the last
// of each line.
function range(series, last) {
  const all = series.flatMap(({ points }) => points);
  const ends = series.flatMap(({ points }) => points.slice(-1));
  const late = [...all.filter(([step]) => step >= last / 20), ...ends];
  const values = (late.length < 4 ? all : late).map(([, value]) => value);
  const low = values.reduce((a, b) => Math.min(a, b), 0);
  const high = values.reduce((a, b) => Math.max(a, b), low + 1e-3);
  return [low * 1.05, high + 0.06 * (high - low)];
}

// Lines over the steps. `moved` is told the step that is pointed at, or null; `say` puts its values into words.
function chart(label, height, series, moved, say) {
  const steps = [...new Set(series.flatMap(({ points }) => points.map(([step]) => step)))].sort((a, b) => a - b);
  if (steps.length === 0) return { node: el("p", { class: "soft" }, "Nothing was measured yet."), show() {} };
  const last = steps.at(-1);
  const [low, high] = range(series, last);
  const node = svg("svg", {
    class: "chart",
    tabindex: 0,
    role: "slider",
    "aria-label": `${label}; arrow keys go through the steps`,
    "aria-valuemin": steps[0],
    "aria-valuemax": last,
  });
  const [left, right, top, bottom] = [46, 14, 10, 26];
  let [width, now] = [640, null];
  const x = (step) => left + (step / last) * (width - left - right);
  const y = (value) => top + ((high - value) / (high - low)) * (height - top - bottom);
  const mark = svg("g");
  const clip = `frame-${charts.length}`;

  function line({ points, colour, train, dash }) {
    const path = points
      .map(([step, value], n) => `${n ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`)
      .join("");
    const dots = train || points.length > 60 ? [] : points;
    const group = svg(
      "g",
      { "clip-path": `url(#${clip})` },
      svg("path", { d: path, class: train ? "train" : "test", "stroke-dasharray": dash || "none" }),
      dots.map(([step, value]) => svg("circle", { cx: x(step), cy: y(value), r: 2.5 })),
    );
    group.style.color = colour;
    return group;
  }
  function draw() {
    width = Math.max(240, node.parentElement ? node.parentElement.clientWidth : width);
    node.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const digits = high - low < 5 ? 1 : 0;
    node.replaceChildren(
      svg(
        "clipPath",
        { id: clip },
        svg("rect", { x: left, y: top - 4, width: width - left - right + 6, height: height - top - bottom + 8 }),
      ),
      ...ticks(low, high, height / 60).flatMap((value) => [
        svg("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
        svg("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, value.toFixed(digits)),
      ]),
      ...ticks(0, last, width / 90).map((step) =>
        svg(
          "text",
          { x: x(step), y: height - 6, "text-anchor": x(step) > width - 50 ? "end" : "middle" },
          step ? whole(step) : "step 0",
        ),
      ),
      ...series.map(line),
      mark,
    );
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
  const nearest = (step) =>
    steps.reduce((best, other) => (Math.abs(other - step) < Math.abs(best - step) ? other : best));
  function point(event) {
    const box = node.getBoundingClientRect();
    moved(nearest(((((event.clientX - box.left) * width) / box.width - left) / (width - left - right)) * last));
  }
  node.addEventListener("pointermove", point);
  node.addEventListener("pointerdown", point);
  node.addEventListener("pointerleave", () => moved(null));
  node.addEventListener("keydown", (event) => {
    const here = steps.indexOf(nearest(now ?? last));
    const to = {
      ArrowLeft: here - 1,
      ArrowDown: here - 1,
      ArrowRight: here + 1,
      ArrowUp: here + 1,
      PageDown: here - 10,
      PageUp: here + 10,
      Home: 0,
      End: steps.length - 1,
    }[event.key];
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
