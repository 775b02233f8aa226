"use strict";
// The model: its tensors, its layers, and what it draws from.
const model = JSON.parse(document.getElementById("model").textContent);
const { width: WIDTH, height: HEIGHT, channels: CHANNELS } = model.image;
const binary = atob(document.getElementById("tensors").textContent), bytes = new Uint8Array(binary.length);
for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);

/** The values of a tensor: 32-bit numbers, or 16-bit ones that count steps. */
function tensor(name) {
  const { at, length, step } = model.tensors[name];
  if (!step) return new Float32Array(bytes.buffer, at, length);
  return new Float32Array(new Int16Array(bytes.buffer, at, length)).map(count => step * count);
}

/** Values in rows of so many columns, column by column. */
function transposed(values, columns) {
  const rows = values.length / columns;
  return values.map((_, i) => values[i % rows * columns + Math.floor(i / rows)]);
}

/** The weights of a transposed convolution lie as its products read them: (channels out and kernel, channels in). */
function withWeights(layer) {
  const [weight, bias] = ["weight", "bias"].map(part => tensor(`${layer.name}.${part}`));
  const isTurned = layer.kind === "conv_transpose";
  return { ...layer, bias, weight: isTurned ? transposed(weight, weight.length / layer.small[2]) : weight };
}
const encoder = model.encoder.map(withWeights), decoder = model.decoder.map(withWeights);

// Four rows of `b` at a time. Where fewer are left, the last is taken again: what that writes too far is written over.
/** Each row of `a` times each row of `b`, which have `size` values: (rows of a, rows of b). */
function products(a, b, size) {
  const rows = b.length / size, last = b.length - size, output = new Float32Array(a.length / size * rows);
  for (let i = 0, first = 0; i < a.length; i += size, first += rows)
    for (let p = 0, at = first; p < b.length; p += 4 * size, at += 4) {
      const q = Math.min(p + size, last), r = Math.min(q + size, last), t = Math.min(r + size, last);
      let ofP = 0, ofQ = 0, ofR = 0, ofT = 0;
      for (let k = 0; k < size; k++) {
        const value = a[i + k];
        ofP += value * b[p + k]; ofQ += value * b[q + k]; ofR += value * b[r + k]; ofT += value * b[t + k];
      }
      output[at] = ofP; output[at + 1] = ofQ; output[at + 2] = ofR; output[at + 3] = ofT;
    }
  return output;
}

/**
 * A convolution, from its large grid to its small one, or a transposed one, back. Grids are a plane a channel. Patches
 * are what the kernel reads of the large grid, or adds to it, a row for each place: zeros are what is out of the grid.
 */
function convolve({ kind, large, small, kernel, stride, pad, weight }, input) {
  const [rows, columns, depth] = large, [down, across, features] = small;
  const isTransposed = kind === "conv_transpose", taps = depth * kernel * kernel, area = down * across;
  const patches = isTransposed ? products(transposed(input, area), weight, features) : new Float32Array(area * taps);
  const grid = isTransposed ? new Float32Array(depth * rows * columns) : input;
  for (let place = 0, at = 0; place < area; place++)
    for (let tap = 0; tap < taps; tap++, at++) {
      const y = Math.floor(place / across) * stride + Math.floor(tap / kernel) % kernel - pad[0];
      const x = place % across * stride + tap % kernel - pad[1];
      if (y < 0 || y >= rows || x < 0 || x >= columns) continue;
      const pixel = (Math.floor(tap / kernel / kernel) * rows + y) * columns + x;
      if (isTransposed) grid[pixel] += patches[at];
      else patches[at] = grid[pixel];
    }
  return isTransposed ? grid : products(weight, patches, taps);
}

/** The probability that a standard normal number is below `v` (Abramowitz and Stegun, 1964, 7.1.26). */
function normalBelow(v) {
  const t = 1 / (1 + 0.3275911 * Math.SQRT1_2 * Math.abs(v)), series = [1.0614054, -1.453152, 1.4214137, -0.2844967, 0.2548296];
  const beyond = series.reduce((sum, coefficient) => (sum + coefficient) * t, 0) * Math.exp(-v * v / 2) / 2;
  return v > 0 ? 1 - beyond : beyond;
}

const ACTIVATIONS = {
  none: v => v,
  relu: v => v > 0 ? v : 0,
  leaky_relu: (v, slope) => v > 0 ? v : slope * v,
  sigmoid: v => 1 / (1 + Math.exp(-v)),
  tanh: Math.tanh,
  elu: v => v > 0 ? v : Math.expm1(v),
  silu: v => v / (1 + Math.exp(-v)),
  gelu: v => v * normalBelow(v),
};

function activate({ activation: [name, slope], bias }, values) {
  const each = values.length / bias.length, apply = ACTIVATIONS[name];
  return values.map((value, i) => apply(value + bias[Math.floor(i / each)], slope));
}
/** What layers make of values, one after the other. */
function run(layers, input) {
  return layers.reduce((values, layer) => activate(layer,
    layer.kind === "dense" ? products(values, layer.weight, values.length) : convolve(layer, values)), input);
}

/** The posterior mean of an image: row by row, channels beside each other, 0 to 1. */
function encode(image, label) {
  const mean = run(encoder, transposed(image, CHANNELS));
  if (!model.conditional) return mean;
  const ofLabels = tensor("encoder.label.weight"), classes = model.labels.length;
  return mean.map((value, dimension) => value + ofLabels[dimension * classes + label]);
}

/** The image of a latent vector, as `encode` takes one. */
function decode(latent, label) {
  const input = model.conditional ? [...latent, ...model.labels.map((_, l) => l === label ? 1 : 0)] : latent;
  const values = run(decoder, Float32Array.from(input));
  return model.planes ? transposed(values, WIDTH * HEIGHT) : values;
}

/** The label under which the loss of an image is least, but for its posterior's variance. */
function likeliestLabel(image) {
  const losses = model.labels.map((_, label) => {
    const mean = encode(image, label), error = decode(mean, label).map((value, i) => (value - image[i]) ** 2);
    return [...error, ...mean.map(value => value * value / 2)].reduce((a, b) => a + b);
  });
  return losses.indexOf(Math.min(...losses));
}
const [spanned, shares, centres, factors] = ["dimension", "weight", "mean", "cholesky"]
  .map(part => `prior.${part}` in model.tensors ? tensor(`prior.${part}`) : []);

/** A latent vector of the fitted mixture, if there is one; without, and in other dimensions, standard normal. */
function drawLatent() {
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  const latent = Float32Array.from({ length: model.latent_dim }, normal);
  const normals = Array.from(spanned, dimension => latent[dimension]), size = normals.length;
  let component = 0, left = Math.random();
  while ((left -= shares[component]) > 0 && component < shares.length - 1) component++;
  for (let row = 0, at = component * size; row < size; row++, at++)
    latent[spanned[row]] = normals.slice(0, row + 1)
      .reduce((sum, value, column) => sum + factors[at * size + column] * value, centres[at]);
  return latent;
}
