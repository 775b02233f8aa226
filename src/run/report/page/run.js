// The page of one run.

const pictures = [...document.querySelectorAll("#pictures img")];

function curvesOfRun() {
  const names = { loss: "loss", reconstruction: data.term, kl: "KL" };
  const series = TERMS.flatMap((term) =>
    ["train", "test"].map((split) => ({
      term,
      split,
      train: split === "train",
      colour: `var(--${term})`,
      points: points(data.curves[split], term),
    })),
  );
  const of = (term, split) => series.find((one) => one.term === term && one.split === split).points;
  const readings = el("div", { class: "readings" });
  const value = (points, step) => number(at(points, step)?.[1]);
  const say = (step) =>
    `${atStep(step)}: ` +
    ["train", "test"]
      .map((split) => `${split} ${TERMS.map((term) => `${names[term]} ${value(of(term, split), step)}`).join(", ")}`)
      .join("; ");
  function move(step) {
    lines.show(step);
    readings.replaceChildren(
      table(
        {},
        [el("td"), "train", "test"],
        TERMS.map((term) => [
          rowHead(`var(--${term})`, names[term]),
          ...["train", "test"].map((split) => el("td", {}, reading(of(term, split), step))),
        ]),
      ),
      el("p", { class: "soft" }, `An image's average ${atStep(step)}. Pale: training; strong: test images.`),
    );
  }
  const lines = chart("Curves of the loss", 320, series, move, say);
  move(null);
  return el("div", {}, el("h3", {}, "Loss"), lines.node, readings);
}

// Pictures, with a slider over the steps.
function picturesOfRun() {
  const steps = [...new Set(pictures.map((img) => Number(img.dataset.step)))].sort((a, b) => a - b);
  if (steps.length === 0) return [];
  const captions = {
    reconstructions: "Test images above what the model keeps of them",
    samples: "Drawn by the model itself",
  };
  const figures = Object.entries(captions).map(([kind, caption]) => {
    const own = pictures.filter((img) => img.dataset.kind === kind);
    own.forEach((img) => (img.alt = `${caption}, after step ${img.dataset.step}`));
    own.at(-1)?.classList.add("newest");
    return own.length
      ? el(
          "figure",
          {},
          el("figcaption", {}, caption, el("span", { class: "printed" }, `, after step ${whole(steps.at(-1))}`)),
          own,
        )
      : null;
  });
  const slider = el("input", {
    type: "range",
    id: "slider",
    min: 0,
    max: steps.length - 1,
    "aria-label": "Pictures after step",
  });
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
  return section(
    "As it learnt to draw",
    slider,
    strip,
    samples ? el("div", { class: "pair" }, samples, curves) : curves,
  );
}

// What `vae evaluate` said.

function evaluationOfRun() {
  const found = data.evaluation;
  const title = "What vae evaluate says";
  if (!found) {
    return section(
      title,
      el(
        "p",
        data.outdated ? { class: "warning" } : { class: "soft" },
        data.outdated
          ? "It looked at other weights than these. Once more: "
          : "Nothing yet. Its figures are here after: ",
        el("code", {}, "vae evaluate"),
      ),
    );
  }
  const dimensions = list(found.dimensions);
  const most = dimensions.reduce((most, { kl }) => Math.max(most, kl || 0), 1e-9);
  const bar = ({ dimension, kl, active }) => {
    const node = el("i", { "aria-hidden": "true" });
    node.style.width = `${(100 * Math.max(0, kl || 0)) / most}%`;
    return el(
      "li",
      active ? {} : { class: "inactive" },
      el("span", {}, whole(dimension)),
      node,
      el("span", {}, number(kl)),
    );
  };
  const nll = isNumber(found.nll)
    ? [
        [
          `−log p(x), ${whole(found.importance_samples)} samples`,
          [number(found.nll), " ", el("small", {}, `± ${number(found.nll_standard_error)}`)],
        ],
      ]
    : [];
  const real = found.samples;
  const sets = {
    test_images: "test images",
    training_images: "training images",
    reconstructions: "reconstructions",
    drawings: "drawings",
    posterior_drawings: "drawings from the posterior",
  };
  return section(
    title,
    facts([
      ["loss", number(found.loss)],
      [data.term, number(found.reconstruction)],
      ["KL", number(found.kl)],
      ...nll,
      ["active dimensions", `${whole(found.active_units)} of ${dimensions.length}`],
    ]),
    el("p", { class: "soft" }, `Of ${whole(found.images)} ${found.split} images: ${found.dataset}.`),
    el("h3", {}, "The KL of each latent dimension, in nats"),
    el("ol", { class: "bars" }, dimensions.map(bar)),
    real && [
      el(
        "h3",
        {},
        `How real its pictures are, for a classifier that is right on ${percent(real.classifier_accuracy)} of test images`,
      ),
      scroll(
        table(
          {},
          [el("td"), "recognised", "Fréchet distance", "precision", "recall", "nearest training image"],
          Object.entries(sets)
            .filter(([key]) => real[key])
            .map(([key, name]) => [
              rowHead(null, name),
              percent(real[key].recognised),
              number(real[key].frechet_distance, 1),
              percent(real[key].precision),
              percent(real[key].recall),
              number(real[key].nearest_training_image?.mean, 1),
            ]),
        ),
        "How real its pictures are",
      ),
    ],
  );
}

function settingsOfRun() {
  const row = ({ key, value, default: usual }) =>
    el(
      "tr",
      usual === undefined ? {} : { class: "differs" },
      el("th", { scope: "row" }, usual === undefined ? key : `● ${key}`),
      el(
        "td",
        {},
        usual === undefined ? value : el("strong", {}, value),
        usual === undefined ? null : el("div", { class: "soft" }, `default: ${usual}`),
      ),
    );
  const node = section(
    "Configuration",
    el("p", { class: "soft" }, "● differs from the default"),
    el("table", { class: "settings words" }, el("tbody", {}, data.settings.map(row))),
    data.about.map((line) => el("p", { class: "soft" }, line)),
  );
  node.classList.add("long");
  return node;
}

function pageOfRun() {
  const [test, train] = ["test", "train"].map((split) => data.curves[split]);
  const curve = test.step.length ? test : train;
  const last = (term) => number(curve[term].at(-1));
  const title = data.name || data.title;
  document.title = `${title} – vae`;
  page.append(
    el(
      "header",
      {},
      el("h1", {}, title),
      el(
        "p",
        { class: "soft", id: "status" },
        data.name ? `${data.title}, ` : null,
        stepOf(data),
        data.live ? "; in training, this page follows" : data.step < data.steps ? "; not done" : "",
      ),
      facts([
        [curve === test ? "test loss" : "training loss", last("loss")],
        [data.term, last("reconstruction")],
        ["KL", last("kl")],
      ]),
    ),
  );
  append(learningOfRun, evaluationOfRun, settingsOfRun);
  append(() => section("The same run again", el("pre", { tabindex: 0 }, el("code", {}, data.command))));
}
