// The page: one latent vector and one label; what moves them, and what shows them.
const by = id => document.getElementById(id);
const latent = drawLatent();
let label = 0;
const images = [...model.test_labels.keys()];
const means = images.length ? tensor("test.mean") : new Float32Array();
const mean = image => means.subarray(image * latent.length, (image + 1) * latent.length);
const any = list => list[Math.floor(Math.random() * list.length)];
/** How far sliders and pad reach: one value in a thousand lies beyond, and is shown at the edge. */
const reach = Math.ceil(Math.max(3, means.map(Math.abs).sort()[Math.floor(0.999 * means.length)] ?? 0));

/** An image on a canvas, a pixel each. */
function show(id, image) {
  const pixels = new ImageData(WIDTH, HEIGHT);
  for (let i = 0; i < pixels.data.length; i++)
    pixels.data[i] = i % 4 === 3 ? 255 : 255 * image[(i >> 2) * CHANNELS + (CHANNELS === 1 ? 0 : i % 4)];
  by(id).getContext("2d").putImageData(pixels, 0, 0);
}

// A change is shown in the next frame, and said when no other follows.
let waiting = 0, settling = 0;
function changed() {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(frame);
}
function frame() {
  show("picture", decode(latent, label));
  showOnPad();
  for (const { dimension, input, value } of sliders) {
    input.value = latent[dimension];
    value.textContent = latent[dimension].toFixed(2);
  }
  clearTimeout(settling);
  settling = setTimeout(settle, 300);
}
function settle() {
  const distances = images.map(image => mean(image).reduce((sum, value, d) => sum + (value - latent[d]) ** 2, 0));
  const nearest = [...images].sort((a, b) => distances[a] - distances[b]).slice(0, model.labels.length && 5);
  const names = nearest.map(image => model.labels[model.test_labels[image]]).join(", ");
  by("status").textContent = (model.conditional ? `Asked for: ${model.labels[label]}. ` : "")
    + (names && `The nearest test images show: ${names}.`);
  if (document.activeElement !== by("latent")) by("latent").value = asText();
}

/** What `vae decode` takes: the shortest numbers that are read as the same 32 bits. */
function asText() {
  const shortest = value => [6, 7, 8, 9].map(digits => +value.toPrecision(digits)).find(v => Math.fround(v) === value);
  return JSON.stringify({ label: model.conditional ? label : undefined, latent: Array.from(latent, shortest) });
}
function load() {
  try {
    const found = JSON.parse(by("latent").value), values = found.latent ?? found.mean ?? found;
    if (values.length !== latent.length || !values.every(Number.isFinite)) throw values;
    moveTo(values);
    if (model.conditional && found.label in model.labels) choose(found.label);
  } catch {
    by("status").textContent = `That is no latent vector of ${latent.length} numbers.`;
  }
}
async function copy() {
  by("latent").value = asText();
  const isDone = await navigator.clipboard?.writeText(by("latent").value).then(() => true, () => false);
  by("status").textContent = isDone ? "Copied." : "The browser would not copy it: select it, and do so by hand.";
}

// Moving: at once, or walking, for 1.4 seconds.
const still = matchMedia("(prefers-reduced-motion: reduce)");
let step = 0, isOfDrawing = false, guess = 0;
function stop() {
  cancelAnimationFrame(step);
  clearTimeout(guess);
  isOfDrawing = false;
  by("walk").ariaPressed = false;
}
function moveTo(target) {
  stop();
  latent.set(target);
  changed();
}
function walkTo(target, then = stop) {
  const from = latent.slice(), begun = performance.now();
  moveTo(still.matches ? target : from);
  if (!still.matches) step = requestAnimationFrame(function next(now) {
    const part = Math.max(0, Math.min(1, (now - begun) / 1400)), eased = part * part * (3 - 2 * part);
    latent.set(from.map((value, d) => value + eased * (target[d] - value)));
    frame();
    if (part === 1) return then();
    step = requestAnimationFrame(next);
  });
}

/** From one test image to another until it is stopped; where motion is not wanted, to the next. */
function wander() {
  walkTo(images.length ? mean(any(images)) : drawLatent(), wander);
  by("walk").ariaPressed = !still.matches;
}

/** With a model that is told labels, has it draw one; else goes to a test image of it. */
function choose(chosen) {
  if (!model.conditional) return walkTo(mean(any(images.filter(image => model.test_labels[image] === chosen))));
  label = chosen;
  labels.forEach((button, number) => { button.ariaPressed = number === label; });
  if (isOfDrawing) reconstruct();
  changed();
}
const labels = [...by("labels").children];
labels.forEach((button, number) => button.addEventListener("click", () => choose(number)));

// Sliders and pad.
const sliders = [...by("sliders").children].map(row => {
  const [, input, value] = row.children, dimension = +input.dataset.dimension;
  Object.assign(input, { min: -reach, max: reach });
  input.addEventListener("input", () => moveTo(latent.with(dimension, input.value)));
  return { dimension, input, value };
});
const pad = by("pad"), dots = document.createElement("canvas"), axes = [by("across"), by("up")];

function disc(context, vector, radius) {
  const [x, y] = axes.map((axis, isUp) => Math.max(-1, Math.min(1, vector[axis.value] / reach)) * (isUp ? -1 : 1));
  context.beginPath();
  context.arc((x + 1) / 2 * dots.width, (y + 1) / 2 * dots.width, radius * devicePixelRatio, 0, 7);
}
function showDots() {
  pad.width = pad.height = dots.width = dots.height = Math.round(pad.clientWidth * devicePixelRatio);
  const context = dots.getContext("2d");
  context.globalAlpha = 0.7;
  for (const image of images) {
    context.fillStyle = model.colours[model.test_labels[image] % model.colours.length];
    disc(context, mean(image), 1.7);
    context.fill();
  }
  changed();
}
function showOnPad() {
  const context = pad.getContext("2d");
  context.clearRect(0, 0, pad.width, pad.height);
  context.drawImage(dots, 0, 0);
  Object.assign(context, { strokeStyle: getComputedStyle(pad).color, lineWidth: 2.5 * devicePixelRatio });
  disc(context, latent, 7);
  context.stroke();
}

/** Where a pointer is pressed on a canvas, from 0 to 1, and arrow keys; the space bar goes nowhere. */
function listen(canvas, onPoint, onKey) {
  const onPointer = ({ buttons, type, clientX, clientY }) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    if (buttons) onPoint([(clientX - left) / width, (clientY - top) / height], type === "pointerdown");
  };
  for (const type of ["pointerdown", "pointermove"]) canvas.addEventListener(type, onPointer);
  canvas.addEventListener("keydown", event => {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] };
    if (!(event.key in ways)) return;
    event.preventDefault();
    onKey(ways[event.key]);
  });
}

const onAxes = ([x, y]) => moveTo(latent.with(axes[0].value, x).with(axes[1].value, y));
listen(pad, ([x, y]) => onAxes([(2 * x - 1) * reach, (1 - 2 * y) * reach]),
  ([x, y]) => onAxes([latent[axes[0].value] + x / 10, latent[axes[1].value] - y / 10]));
for (const axis of axes) axis.addEventListener("change", showDots);
new ResizeObserver(showDots).observe(pad);
// Drawing: with a pointer; or with the keys, which move a pen that the space bar puts down and lifts.
let pen = [WIDTH / 2, HEIGHT / 2], isDown = false;
function reconstruct() {
  const seen = Float32Array.from(drawnImage(by("ground").value), value => value / 255);
  show("seen", seen);
  moveTo(encode(seen, label));
  isOfDrawing = true;
  return seen;
}
function showDrawing() {
  const zoom = Math.ceil(320 / Math.max(WIDTH, HEIGHT)), canvas = by("drawing"), context = canvas.getContext("2d");
  Object.assign(canvas, { width: WIDTH * zoom, height: HEIGHT * zoom });
  paint(context, by("ground").value, zoom);
  if (document.activeElement !== canvas) return;
  context.fillStyle = by("pen").value;
  context.beginPath();
  context.arc(pen[0] * zoom, pen[1] * zoom, PEN * zoom / (isDown ? 2 : 4), 0, 7);
  context.fill();
}
function drawTo(place, isFirst) {
  pen = place;
  if (isFirst) strokes.push({ colour: by("pen").value, points: [] });
  strokes.at(-1)?.points.push(pen);
  showDrawing();
  const seen = reconstruct();
  // What it shows is found out when the pen rests.
  if (model.conditional) guess = setTimeout(() => choose(likeliestLabel(seen)), 200);
}

listen(by("drawing"), ([x, y], isFirst) => drawTo([x * WIDTH, y * HEIGHT], isFirst), ([x, y]) => {
  const isSpace = x === 0 && y === 0, within = (value, most) => Math.max(0, Math.min(most, value));
  isDown = isDown !== isSpace;
  pen = [within(pen[0] + x * WIDTH / 28, WIDTH), within(pen[1] + y * HEIGHT / 28, HEIGHT)];
  if (isDown) drawTo(pen, isSpace);
  else showDrawing();
});
for (const type of ["focus", "blur"]) by("drawing").addEventListener(type, showDrawing);

function clear() {
  stop();
  strokes.length = 0;
  isDown = false;
  show("seen", []);
  showDrawing();
}

// Buttons and keys.
const walk = () => by("walk").ariaPressed === "true" ? stop() : wander();
const actions = { new: () => walkTo(drawLatent()), walk, copy, load, clear };
for (const id in actions) by(id).addEventListener("click", () => actions[id]());

document.addEventListener("keydown", ({ key, ctrlKey, metaKey, altKey, target }) => {
  if (ctrlKey || metaKey || altKey || target.matches("textarea, select")) return;
  if (key === "Escape") stop();
  by({ n: "new", w: "walk" }[key])?.click();
  if (/^[0-9]$/.test(key)) labels[key]?.click();
});

if (model.conditional) choose(0);
showDots();
clear();
