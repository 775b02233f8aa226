// Drawing: strokes, and the image that the encoder sees of them.
/** The width of the pen, and the box that ink fills, in pixels of an image: those of MNIST's 28. */
const PEN = Math.max(WIDTH, HEIGHT) * 2.4 / 28, BOX = Math.min(WIDTH, HEIGHT) * 20 / 28;
/** Each has a colour, and points in pixels of an image. */
const strokes = [];
const small = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT })
  .getContext("2d", { willReadFrequently: true });

/** Draws the strokes on a canvas whose pixels are so many times an image's, scaled and moved on it. */
function paint(context, ground, zoom, scale = 1, moves = [0, 0]) {
  context.fillStyle = ground;
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: PEN * zoom });
  for (const { colour, points } of strokes) {
    context.strokeStyle = colour;
    context.beginPath();
    // Twice the first: a stroke of one point is a dot.
    for (const point of [points[0], ...points])
      context.lineTo(...point.map((value, axis) => (value * scale + moves[axis]) * zoom));
    context.stroke();
  }
}

/** How ink is scaled to fill its box, and moved for its centre of mass to be in the middle, as MNIST has it. */
function fit() {
  // Points in the middle of each piece, with its length.
  const pieces = strokes.flatMap(({ points }) => points.map((b, i) => [b, points[i - 1] ?? b]));
  const lengths = pieces.map(([b, a]) => Math.hypot(b[0] - a[0], b[1] - a[1]) + 1e-3);
  const mass = lengths.reduce((a, b) => a + b), along = axis => pieces.map(([b]) => b[axis]);
  const extent = axis => Math.max(...along(axis)) - Math.min(...along(axis));
  const scale = Math.min(4, (BOX - PEN) / Math.max(extent(0), extent(1), 1e-3));
  const middle = axis => pieces.reduce((sum, [b, a], i) => sum + lengths[i] * (a[axis] + b[axis]) / 2, 0) / mass;
  return [scale, [WIDTH / 2 - scale * middle(0), HEIGHT / 2 - scale * middle(1)]];
}

/** The drawing as bytes of an image, row by row, the channels of a pixel beside each other. */
function drawnImage(ground) {
  paint(small, ground, 1, ...(model.ink && strokes.length ? fit() : []));
  const { data } = small.getImageData(0, 0, WIDTH, HEIGHT);
  const grey = i => Math.round(0.2126 * data[4 * i] + 0.7152 * data[4 * i + 1] + 0.0722 * data[4 * i + 2]);
  const value = i => CHANNELS === 1 ? grey(i) : data[Math.floor(i / 3) * 4 + i % 3];
  const image = Uint8Array.from({ length: WIDTH * HEIGHT * CHANNELS }, (_, i) => value(i));
  return model.binary ? image.map(value => value < 128 ? 0 : 255) : image;
}
