// The page of several runs.

// Told apart on light and on dark paper; further runs take them again, with dashes.
const COLOURS = ["#3b82c4", "#d9722e", "#3a9a5c", "#9a6bc9", "#d1495b", "#2a9d9d", "#9a8a1f", "#d16ba5"];
const DASHES = ["none", "7 4", "2 3"];

function groupOfRuns(group) {
  const names = { loss: "loss", reconstruction: group.term, kl: "KL" };
  const looks = group.runs.map((_, n) => ({
    colour: COLOURS[n % COLOURS.length],
    dash: DASHES[Math.floor(n / COLOURS.length) % DASHES.length],
  }));
  const lines = group.runs.map((run) =>
    Object.fromEntries(
      TERMS.map((term) => [term, { train: points(run.curves.train, term), test: points(run.curves.test, term) }]),
    ),
  );
  // What counts is the test; where there was none yet, the training, in a softer tone.
  const isTested = (n, step) => at(lines[n].loss.test, step) !== undefined;
  const counts = (n, term, step) => lines[n][term][isTested(n, step) ? "test" : "train"];
  const some = (key) => group.runs.some((run) => run[key] !== null && run[key] !== undefined);
  const extra = [
    ["nll", "−log p(x)", number],
    ["recognised", "recognised", percent],
  ].filter(([key]) => some(key));
  // How far each is; not beside its steps, where all are done.
  const progress = !group.settings.includes("steps") || group.runs.some((run) => run.step < run.steps);
  const head = (n) => {
    const node = rowHead(looks[n].colour, group.runs[n].name);
    // Names break where they are long, not where they could.
    node.style.minWidth = `${Math.min(group.runs[n].name.length + 4, 36)}ch`;
    return node;
  };
  const ranking = table(
    { class: "ranking" },
    [
      el("td"),
      leftHead("run"),
      "test loss",
      group.term,
      "KL",
      ...extra.map(([, name]) => name),
      ...group.settings,
      ...(progress ? ["step"] : []),
    ],
    group.runs.map((run, n) => [
      `${run.ranked ? n + 1 : "–"}`,
      head(n),
      ...TERMS.map((term) => number(lines[n][term].test.at(-1)?.[1])),
      ...extra.map(([key, , say]) => say(run[key])),
      ...run.settings,
      ...(progress ? [run.step < run.steps ? `${whole(run.step)} of ${whole(run.steps)}` : whole(run.step)] : []),
    ]),
  );
  const readings = el("div", { class: "readings" });
  const say = (term) => (step) =>
    `${atStep(step)}: ` +
    group.runs.map((run, n) => `${run.name} ${number(at(counts(n, term, step), step)?.[1])}`).join(", ");
  function move(step) {
    drawn.forEach(({ show }) => show(step));
    readings.replaceChildren(
      scroll(
        table(
          {},
          [leftHead("run"), ...TERMS.map((term) => names[term])],
          group.runs.map((_, n) => [
            head(n),
            ...TERMS.map((term) =>
              el("td", isTested(n, step) ? {} : { class: "soft" }, reading(counts(n, term, step), step)),
            ),
          ]),
        ),
        `Values ${atStep(step)}`,
      ),
      el("p", { class: "soft" }, `An image's average ${atStep(step)}. Pale: training; strong: test images.`),
    );
  }
  const drawn = TERMS.map((term) =>
    chart(
      `Curves of ${names[term]}`,
      240,
      group.runs.flatMap((_, n) =>
        ["train", "test"].map((split) => ({ points: lines[n][term][split], train: split === "train", ...looks[n] })),
      ),
      move,
      say(term),
    ),
  );
  move(null);
  const newest = group.runs.map((run, n) => {
    const img = pictures.find((img) => img.dataset.run === String(run.number));
    if (!img) return null;
    img.alt = `Drawn by ${run.name} after step ${img.dataset.step}`;
    img.classList.add("newest");
    return el(
      "figure",
      {},
      el("figcaption", {}, swatch(looks[n].colour), `${run.name}, step ${whole(Number(img.dataset.step))}`),
      img,
    );
  });
  const node = section(
    group.title,
    group.notes.map((note) => el("p", { class: "warning" }, note)),
    scroll(ranking, "Runs, the best first"),
    el("h3", {}, "Curves"),
    el(
      "div",
      { class: "charts" },
      TERMS.map((term, n) => el("figure", {}, el("figcaption", {}, names[term]), drawn[n].node)),
    ),
    readings,
    newest.some(Boolean) ? [el("h3", {}, "Newest drawings"), el("div", { class: "gallery" }, newest)] : null,
  );
  node.classList.add("long");
  return node;
}

function pageOfRuns() {
  const count = data.groups.reduce((sum, { runs }) => sum + runs.length, 0);
  document.title = `${count} runs – vae`;
  page.append(
    el(
      "header",
      {},
      el("h1", {}, `${count} runs`),
      data.notes.map((note) => el("p", { class: "warning" }, note)),
    ),
  );
  append(...data.groups.map((group) => () => groupOfRuns(group)));
}
