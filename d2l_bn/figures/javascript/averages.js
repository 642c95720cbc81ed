// The averages follow: batches from a distribution that one can shift, the moving averages behind
// them (orange), and the same batch normalized in training (blue) and in prediction (orange).
"use strict";

const NAME = "averages";
const EPS = 1e-5, SHOWN = 60, START = 8, PAUSE = 200; // batches, batches, and milliseconds
const FIELDS = {
  mean: { start: 3, min: -5, max: 5, step: 0.1 },
  spread: { start: 1.5, min: 0.2, max: 4, step: 0.1 },
  momentum: { start: 0.9, min: 0, max: 0.99, step: 0.01, digits: 2 },
  m: { start: 8, min: 2, max: 64, step: 1, whole: true, digits: 0 },
};
const CHART = { top: 30, bottom: 200, low: -9, high: 9 }, TRAINING = 248, PREDICTION = 296;
const [scene] = sheet.children;
let run, last_time = 0;


function start_again() {
  run = { ...random_numbers(1), count: 0, moving_mean: 0, moving_var: 0, batches: [], recalibrated: false };
  for (let i = 0; i < START; i++) one_batch();
}

function new_batch() {
  return Array.from({ length: state.m }, () => state.mean + state.spread * run.normal());
}

// A step of training: the batch is normalized with its own statistics, and the averages follow.
function one_batch() {
  const X = new_batch(), { moving_mean, moving_var, batches } = run;
  const step = batch_norm(X, 1, 0, moving_mean, moving_var, EPS, state.momentum, true);
  Object.assign(run, { moving_mean: step.moving_mean, moving_var: step.moving_var, recalibrated: false });
  run.count += 1;
  const { mean, spread } = state;
  batches.push({ X, Y: step.Y, mean: step.mean, variance: step.variance, true_mean: mean, true_spread: spread,
    moving_mean: step.moving_mean, moving_var: step.moving_var });
  if (batches.length > SHOWN) batches.shift();
  redraw();
}

// As d2l_bn.recalibrate: the mean and the variance of all values of 20 batches together.
function recalibrate() {
  run.examples = Array.from({ length: 20 }, new_batch).flat();
  const [moving_mean, moving_var] = mean_and_variance(run.examples);
  Object.assign(run, { moving_mean, moving_var, recalibrated: true });
  Object.assign(run.batches.at(-1), { moving_mean, moving_var });
  redraw();
}

// The last batch, normalized in both modes.
function compared() {
  const { X, Y, mean, variance } = run.batches.at(-1), { moving_mean, moving_var } = run;
  const predicted = batch_norm(X, 1, 0, moving_mean, moving_var, EPS, state.momentum, false).Y;
  const difference = Math.max(...Y.map((y, i) => Math.abs(y - predicted[i])));
  return { X, Y, predicted, difference, mean, variance, moving_mean, moving_var };
}

function draw() {
  const width = width_of(), height = PREDICTION + 60, found = compared();
  sheet.setAttribute("viewBox", `0 0 ${width} ${height}`);
  sheet.style.height = `${height}px`;
  show(scene, [...numbers(found, width), ...chart(width), ...outputs(found, width)]);
  note.textContent = WORDS[run.recalibrated ? "note_recalibrated" : reached() < 0.95 ? "note_start" : "note_steady"];
}

// From zero, the averages have come this far after so many batches: chapter 2 derives it.
const reached = () => 1 - state.momentum ** run.count;

function numbers({ mean, variance, moving_mean, moving_var }, width) {
  const right = Math.min(width, 480);
  const column = (y, name, values, look) => [
    label(0, y, WORDS[name], `f-${look}`),
    figure(right - 110, y, `${name}_mean`, values[0], `${WORDS.mean_of} `, `f-${look}`, "end"),
    figure(right, y, `${name}_var`, values[1], `${WORDS.variance} `, `f-${look}`, "end"),
  ];
  return [...column(12, "batch", [mean, variance], "one"), ...column(30, "moving", [moving_mean, moving_var], "two")];
}

// Batch after batch: where the values come from, the mean of each, and the moving averages.
function chart(width) {
  const { batches, count } = run, { low, high } = CHART, top = CHART.top + 14;
  const x = scale(0, SHOWN, 30, width - 6), y = scale(low, high, CHART.bottom, top);
  const inside = (value) => Math.min(CHART.bottom, Math.max(top, y(value)));
  const band = (centre, spread, look) => {
    const edge = (side) => batches.map((b, i) => [x(i), inside(b[centre] + side * spread(b))]);
    const path = [...edge(1), ...edge(-1).reverse()].map((p) => p.map(short).join()).join(" ");
    return ["polygon", { class: look, points: path }];
  };
  return [
    ...[-8, -4, 0, 4, 8].flatMap((value) => [
      line([[30, y(value)], [width, y(value)]], "l-fill"),
      label(22, y(value) + 4, number(value, 0), "f-soft", "end"),
    ]),
    band("true_mean", (b) => b.true_spread, "f-soft faint l-none"),
    band("moving_mean", (b) => Math.sqrt(b.moving_var), "f-two faint l-none"),
    line(batches.map((b, i) => [x(i), inside(b.moving_mean)]), "l-two thick"),
    ...batches.map((b, i) => dot_at(x(i), inside(b.mean), 2.5, "f-one")),
    label(30, CHART.bottom + 18, `${WORDS.count} ${count}`, "f-soft"),
  ];
}

// The last batch as both modes normalize it.
function outputs({ Y, predicted, difference }, width) {
  const at = scale(-5, 5, 10, width - 10);
  const place = (value) => Math.min(width - 4, Math.max(4, at(value)));
  const row = (y, name, values, look) => [
    line([[0, y], [width, y]], "l-soft"),
    label(0, y - 10, WORDS[name], `f-${look} halo`),
    ...values.map((value) => dot_at(place(value), y, 4, `f-${look}`)),
  ];
  const threads = Y.map((value, i) => line([[place(value), TRAINING], [place(predicted[i]), PREDICTION]], "l-soft pale"));
  const ticks = [-4, -2, 0, 2, 4].map((value) => label(at(value), PREDICTION + 20, number(value, 0), "f-soft", "middle"));
  return [
    ...threads,
    ...row(TRAINING, "training", Y, "one"),
    ...row(PREDICTION, "prediction", predicted, "two"),
    ...ticks,
    figure(0, PREDICTION + 44, "difference", difference, `${WORDS.difference} `),
  ];
}

const toggle = animation((time) => {
  if (time - last_time < PAUSE) return;
  last_time = time === Infinity ? 0 : time;
  for (let i = 0; i < (time === Infinity ? 10 : 1); i++) one_batch();
});

begin({
  play: () => toggle(),
  one_batch,
  shift: () => change({ mean: state.mean > 0 ? -3 : 3 }),
  recalibrate,
  again: () => (toggle(false), read("")),
}, start_again);
