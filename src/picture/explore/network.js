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
  const counts = new Int16Array(bytes.buffer, at, length), values = new Float32Array(length);
  for (let i = 0; i < length; i++) values[i] = step * counts[i];
  return values;
}

const withWeights = layer =>
  ({ ...layer, weight: tensor(layer.name + ".weight"), bias: tensor(layer.name + ".bias") });
const encoder = model.encoder.map(withWeights), decoder = model.decoder.map(withWeights);

/** A dense layer; weights are (outputs, inputs). */
function dense({ weight, bias }, input) {
  return new Float32Array(bias.length).map((_, output) => {
    let sum = 0;
    for (let i = 0, w = output * input.length; i < input.length; i++, w++) sum += weight[w] * input[i];
    return sum;
  });
}

/**
 * A convolution, from its large grid to its small one, or a transposed one, back. Grids are a plane a channel; weights are
 * (channels of the small grid, of the large one, kernel, kernel). One tap of the kernel at a time: `plane` has what it
 * reads of the large grid, or adds to it, at each of its places; zeros are what is out of the grid.
 */
function convolve({ kind, large, small, kernel, stride, pad, weight }, input) {
  const [rows, columns, depth] = large, [down, across, features] = small;
  const isTransposed = kind === "conv_transpose", taps = depth * kernel * kernel, area = down * across;
  const output = new Float32Array(isTransposed ? rows * columns * depth : area * features);
  const plane = new Float32Array(area);
  for (let tap = 0; tap < taps; tap++) {
    plane.fill(0);
    for (let f = 0; isTransposed && f < features; f++)
      for (let w = weight[f * taps + tap], p = 0, i = f * area; p < area; p++, i++) plane[p] += w * input[i];
    const top = Math.floor(tap / kernel) % kernel - pad[0], left = tap % kernel - pad[1];
    const channel = Math.floor(tap / kernel / kernel) * rows * columns;
    for (let row = 0, y = top, p = 0; row < down; row++, y += stride)
      for (let column = 0, x = left; column < across; column++, x += stride, p++)
        if (y >= 0 && y < rows && x >= 0 && x < columns)
          if (isTransposed) output[channel + y * columns + x] += plane[p];
          else plane[p] = input[channel + y * columns + x];
    for (let f = 0; !isTransposed && f < features; f++)
      for (let w = weight[f * taps + tap], p = 0, o = f * area; p < area; p++, o++) output[o] += w * plane[p];
  }
  return output;
}

const ACTIVATIONS = {
  none: v => v,
  relu: v => v > 0 ? v : 0,
  leaky_relu: (v, slope) => v > 0 ? v : slope * v,
  sigmoid: v => 1 / (1 + Math.exp(-v)),
  tanh: Math.tanh,
  elu: v => v > 0 ? v : Math.expm1(v),
};

function activate({ activation, bias }, values) {
  const [name, slope] = typeof activation === "string" ? [activation] : Object.entries(activation)[0];
  const each = values.length / bias.length, apply = ACTIVATIONS[name];
  for (let channel = 0, i = 0; channel < bias.length; channel++)
    for (const end = i + each; i < end; i++) values[i] = apply(values[i] + bias[channel], slope);
}

function run(layers, values) {
  for (const layer of layers) {
    values = layer.kind === "dense" ? dense(layer, values) : convolve(layer, values);
    activate(layer, values);
  }
  return values;
}

/** Values in rows of so many columns, column by column. */
function transposed(values, columns) {
  const rows = values.length / columns;
  return values.map((_, i) => values[i % rows * columns + Math.floor(i / rows)]);
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

const [spanned, shares, centres, factors] = ["dimension", "weight", "mean", "cholesky"]
  .map(part => `prior.${part}` in model.tensors ? tensor(`prior.${part}`) : []);

/** A latent vector of the fitted mixture, if there is one; else, and in dimensions that it does not span, standard normal. */
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
