// Two networks race: the same small network of sigmoids, with batch normalization (blue) and plain
// (orange), trained in the page on 240 images of Fashion-MNIST, shrunk to 7 by 7 pixels.
"use strict";

const NAME = "race";
const SIDE = 7, IMAGES = 240, CLASSES = 10, UNITS = 20, BUDGET = 9; // milliseconds
const FLAT = 3.64; // beyond it, a sigmoid's slope is less than a tenth of what it is in the middle
const FIELDS = {
  rate: { start: 0.7, min: 0.01, max: 3, step: 0.05, log: true },
  scale: { start: 1, min: 0.1, max: 10, step: 0.05, log: true },
  depth: { start: 4, min: 1, max: 6, step: 1, whole: true, digits: 0 },
  batch: { start: 32, min: 2, max: 120, step: 1, whole: true, digits: 0 },
};
const NETWORKS = { one: true, two: false }; // by colour: with batch normalization or without
const CHART = { top: 46, bottom: 190, high: 2.8 }, STEPS = 400, BINS = 32, EDGE = 8, PANEL = 118;
const PIXELS = Array.from({ length: SIDE ** 2 }, (_, pixel) =>
  Float64Array.from({ length: IMAGES }, (_, i) => parseInt(DATA[i * SIDE ** 2 + pixel], 16) / 15));
const LABELS = Array.from({ length: IMAGES }, (_, i) => Math.floor((i * CLASSES) / IMAGES));
const [scene] = sheet.children;
let race;

function start_again() {
  const { depth, scale } = state, sizes = [SIDE ** 2, ...Array(depth).fill(UNITS), CLASSES];
  const networks = Object.entries(NETWORKS).map(([look, normalize]) => {
    const net = new_network(sizes, scale, normalize, 1);
    return { look, net, losses: [], inputs: sigmoid_inputs(forward(net, PIXELS)) };
  });
  race = { depth, scale, networks, order: [], ...random_numbers(2) };
  redraw();
}

// One image of each class, side by side.
function strip() {
  const canvas = Object.assign(document.createElement("canvas"), { width: CLASSES * (SIDE + 1), height: SIDE });
  const paper = canvas.getContext("2d");
  for (let k = 0; k < CLASSES; k++)
    PIXELS.forEach((column, pixel) => {
      const shade = Math.round(255 * column[LABELS.indexOf(k)]);
      paper.fillStyle = `rgb(${shade} ${shade} ${shade})`;
      paper.fillRect(k * (SIDE + 1) + (pixel % SIDE), Math.floor(pixel / SIDE), 1, 1);
    });
  return canvas.toDataURL();
}

const STRIP = strip();

const sigmoid_inputs = (trace) => trace.slice(0, -1).map(({ Z }) => Z);

// The next images, in an order that is shuffled whenever too few are left: their numbers.
function next_batch() {
  const { batch } = state;
  if (race.order.length < batch) {
    race.order = Array.from({ length: IMAGES }, (_, i) => i);
    for (let i = IMAGES - 1; i > 0; i--) {
      const j = Math.floor(race.uniform() * (i + 1));
      [race.order[i], race.order[j]] = [race.order[j], race.order[i]];
    }
  }
  return race.order.splice(0, batch);
}

function one_step() {
  if (race.networks[0].losses.length >= STEPS) return toggle(false);
  const images = next_batch(), labels = images.map((i) => LABELS[i]);
  const X = PIXELS.map((column) => Float64Array.from(images, (i) => column[i]));
  for (const runner of race.networks) {
    const { loss, trace } = train_step(runner.net, X, labels, state.rate);
    runner.losses.push(loss);
    runner.inputs = sigmoid_inputs(trace);
  }
}

function draw() {
  if (race.depth !== state.depth || race.scale !== state.scale) start_again(); // other networks
  const width = width_of(), columns = Math.min(race.depth, width < 600 ? 2 : 4);
  const below = CHART.bottom + 58, height = below + PANEL * Math.ceil(race.depth / columns) + 4;
  sheet.setAttribute("viewBox", `0 0 ${width} ${height}`);
  sheet.style.height = `${height}px`;
  const panels = Array.from({ length: race.depth }, (_, layer) => {
    const wide = (width + 16) / columns, row = Math.floor(layer / columns);
    return panel(layer, (layer % columns) * wide, below + PANEL * row, wide - 16);
  });
  show(scene, [...curves(width), label(0, below - 18, WORDS.inputs), ...panels.flat()]);
  note.textContent = WORDS[situation()];
}

function situation() {
  const [fast, slow] = race.networks.map(({ losses }) => recent(losses));
  if (race.networks[0].losses.length < 30) return "note_start";
  if (slow > 2.1 && fast < 1.5) return measures.flat(race.networks[1].inputs.at(-1)) > 0.5 ? "note_flat" : "note_stuck";
  return slow > 2.1 ? "note_both" : "note_runs";
}

const recent = (losses) => average(losses.slice(-10));
const measures = {
  // How far a unit differs from image to image: the standard deviation, averaged over the units.
  spread: (Z) => average(Z.map((z) => Math.sqrt(mean_and_variance(z)[1]))),
  flat: (Z) => average(Z.map((z) => average(z.map((value) => Number(Math.abs(value) > FLAT))))),
};

// The loss of each step, averaged over ten of them; the dashed line is that of guessing.
function curves(width) {
  const { top, bottom, high } = CHART, x = scale(0, STEPS, 30, width - 6), y = scale(0, high, bottom, top);
  const guess = y(Math.log(CLASSES));
  const runs = race.networks.flatMap(({ look, losses }, i) => {
    const points = losses.map((_, t) => [x(t), Math.max(top, y(average(losses.slice(Math.max(0, t - 9), t + 1))))]);
    const name = label(0, 12 + 18 * i, WORDS[look], `f-${look}`);
    return losses.length
      ? [line(points, `l-${look} thick`), name, figure(250, 12 + 18 * i, `loss_${look}`, recent(losses), `${WORDS.loss} `, `f-${look}`)]
      : [line([], `l-${look}`), name, label(250, 12 + 18 * i, "", `f-${look}`)];
  });
  return [
    ...[0, 1, 2].flatMap((value) => [
      line([[30, y(value)], [width, y(value)]], "l-fill"),
      label(22, y(value) + 4, number(value, 0), "f-soft", "end"),
    ]),
    ...(width < 600 ? [] : [["image", { href: STRIP, x: width - 300, y: 2, width: 300, class: "pixels" }]]),
    line([[30, guess], [width, guess]], "l-soft", { "stroke-dasharray": "4 4" }),
    label(width, guess - 6, WORDS.guess, "f-soft", "end"),
    label(width, bottom + 16, `${WORDS.steps} ${race.networks[0].losses.length}`, "f-soft", "end"),
    ...runs,
  ];
}

// What goes into the sigmoids of a layer, from -8 to 8, and the share where they are flat (grey).
function panel(layer, left, top, width) {
  const x = scale(-EDGE, EDGE, left, left + width), base = top + PANEL - 54;
  const flats = [[-EDGE, -FLAT], [FLAT, EDGE]].map(([from, to]) =>
    ["rect", { x: x(from), y: top + 8, width: x(to) - x(from), height: base - top - 8, class: "f-fill" }]);
  const heaps = race.networks.map(({ look, inputs }) => {
    const counts = histogram(inputs[layer]), most = Math.max(...counts);
    const points = counts.flatMap((count, bin) => {
      const y = base - ((base - top - 10) * count) / most;
      return [bin, bin + 1].map((edge) => [left + (edge * width) / BINS, y]);
    });
    const path = [[left, base], ...points, [left + width, base]].map((p) => p.map(short).join()).join(" ");
    return ["polygon", { class: `f-${NETWORKS[look] ? "one faint" : "none"} l-${look}`, points: path }];
  });
  return [
    ...flats,
    ...heaps,
    line([[left, base], [left + width, base]], "l-soft"),
    label(left, top + 2, `${WORDS.layer} ${layer + 1}`, "f-ink small"),
    ...["spread", "flat"].flatMap((name, row) => [
      label(left, base + 14 * (row + 1), WORDS[name], "f-ink small"),
      ...race.networks.map(({ look, inputs }, i) => {
        const value = measures[name](inputs[layer]), text = row ? `${number(100 * value, 0)} %` : number(value, value < 0.1 ? 3 : 1);
        const at = { "data-name": `${name}${layer}_${look}`, "data-value": value };
        return label(left + width - 44 * (1 - i), base + 14 * (row + 1), text, `f-${look} small`, "end", at);
      }),
    ]),
  ];
}

function histogram(Z) {
  const counts = Array(BINS).fill(0);
  for (const z of Z)
    for (const value of z) {
      const bin = Math.floor(((value + EDGE) / (2 * EDGE)) * BINS);
      counts[Math.min(BINS - 1, Math.max(0, bin))] += 1;
    }
  return counts;
}

// Up to three steps in a frame, as far as its time goes; without motion, 50 steps in one picture.
const toggle = animation((time) => {
  const [most, end] = time === Infinity ? [50, Infinity] : [3, performance.now() + BUDGET];
  for (let i = 0; i < most && (i === 0 || performance.now() < end); i++) one_step();
  redraw();
});

begin({
  play: () => {
    if (race.networks[0].losses.length >= STEPS) start_again();
    toggle();
  },
  again: () => (toggle(false), start_again()),
  defaults: () => (toggle(false), read("")),
}, start_again);
