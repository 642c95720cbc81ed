// A batch in your hands: the values of one feature, what batch normalization makes of them, and of
// the gradient. Training is blue, the moving averages and prediction are orange, as in chapter 1.
"use strict";

const NAME = "batch";
const REACH = 6; // the axis goes from -6 to 6
const KEEP = 0.9; // the momentum of the moving averages
const FIELDS = {
  mode: { start: "training", options: ["training", "prediction"] },
  m: { start: 3, min: 1, max: 8, step: 1, whole: true, digits: 0 },
  gamma: { start: 1, min: -3, max: 3, step: 0.1 },
  beta: { start: 0, min: -4, max: 4, step: 0.1 },
  eps: { start: 1e-5, min: 1e-5, max: 10, step: 0.5, log: true },
  x: { start: [-1, 0.5, 3.5, 2, -2, 1, -0.5, 2.5], min: -REACH, max: REACH },
  pulled: { start: 0, min: 0, max: 7, whole: true }, // the value whose y the loss pulls up
  moving_mean: { start: 0, min: -REACH, max: REACH },
  moving_var: { start: 4, min: 0, max: 40 },
};
const ROWS = { x: 58, x_hat: 144, y: 212 }, TABLE = 264;
const [scene, handles] = sheet.children;

// All that the picture shows, computed from the state alone.
function computed() {
  const { gamma, beta, eps, moving_mean, moving_var, m } = state, X = state.x.slice(0, m);
  const training = state.mode === "training";
  const step = batch_norm(X, gamma, beta, moving_mean, moving_var, eps, KEEP, training);
  const dY = X.map((_, i) => Number(i === Math.min(state.pulled, m - 1)));
  const factor = gamma / Math.sqrt(step.variance + eps); // in prediction, all of the gradient
  const dX = training ? gradients(dY, step.X_hat, step.variance, gamma, eps).dX : dY.map((dy) => factor * dy);
  return { ...step, X, dY, dX, factor, training, look: training ? "one" : "two" };
}

function draw() {
  const found = computed(), width = width_of(), right = lines_end();
  const three = found.X.length === 3, beside = width >= 600;
  const height = three && !beside ? TABLE + 384 : TABLE + 110;
  const at = scale(-REACH, REACH, 12, right - 12);
  sheet.setAttribute("viewBox", `0 0 ${width} ${height}`);
  sheet.style.height = `${height}px`;
  show(scene, [
    ...statistics(found, at, right),
    ...rows(found, at, right),
    ...table(found, Math.min((right - 24) / found.X.length, 60)),
    ...(three ? circle(found, beside ? width - 116 : width / 2, beside ? 12 : TABLE + 128) : []),
  ]);
  show(handles, found.X.map((x, i) => handle(x, i, at)));
  note.textContent = WORDS[situation(found)];
}

// How far the number lines go: a circle stands beside them where there is room.
function lines_end() {
  return width_of() - (state.m === 3 && width_of() >= 600 ? 250 : 0);
}

function situation({ X, training }) {
  if (!training) return "note_prediction";
  return { 1: "note_one", 2: "note_two", 3: "note_three" }[X.length] ?? "note_training";
}

// The mean and the spread that normalize, as a mark in a band, and the moving averages below x.
function statistics({ mean, variance, moving_mean, moving_var, training, look }, at, right) {
  const mark = (mean, variance, y, look) => {
    const place = (value) => Math.min(right - 2, Math.max(2, at(value))), spread = Math.sqrt(variance);
    const middle = place(mean), ends = [[place(mean - spread), y], [place(mean + spread), y]];
    return [line(ends, `l-${look} band`), line([[middle, y - 8], [middle, y + 8]], `l-${look} thick`)];
  };
  const last = TABLE + 96;
  return [
    figure(right - 110, 12, "mean", mean, `${WORDS.mean} `, `f-${look}`, "end"),
    figure(right, 12, "variance", variance, `${WORDS.variance} `, `f-${look}`, "end"),
    ...mark(mean, variance, ROWS.x - 22, look),
    ...(training ? mark(moving_mean, moving_var, ROWS.x + 22, "two") : []),
    label(0, last, WORDS[training ? "written" : "kept"], "f-two"),
    figure(right - 110, last, "moving_mean", moving_mean, `${WORDS.mean} `, "f-two", "end"),
    figure(right, last, "moving_var", moving_var, `${WORDS.variance} `, "f-two", "end"),
  ];
}

function rows({ X, X_hat, Y, look }, at, right) {
  const place = (value) => Math.min(right - 4, Math.max(4, at(value)));
  const axis = Object.values(ROWS).map((y) => line([[0, y], [right, y]], "l-soft"));
  const names = Object.entries(ROWS).map(([name, y]) =>
    label(0, y - (name === "x" ? 46 : 26), WORDS[name], "f-ink halo"));
  const ticks = [-6, -4, -2, 0, 2, 4, 6].flatMap((value) => [
    line([[at(value), ROWS.y - 4], [at(value), ROWS.y + 4]], "l-soft"),
    label(at(value), ROWS.y + 22, number(value, 0), "f-soft", "middle"),
  ]);
  const threads = X.map((x, i) =>
    line([[place(x), ROWS.x], [place(X_hat[i]), ROWS.x_hat], [place(Y[i]), ROWS.y]], "l-soft"));
  const dots = X.flatMap((x, i) => [
    dot_at(place(X_hat[i]), ROWS.x_hat, 5, `f-${look}`),
    dot_at(place(Y[i]), ROWS.y, 5, `f-${look}`),
    dot_at(place(x), ROWS.x, 9, "f-paper l-ink"),
    label(place(x), ROWS.x + 4, `${i + 1}`, "f-ink small", "middle"),
  ]);
  return [...axis, ...ticks, ...threads, ...names, ...dots];
}

// The numbers: a column for each value.
function table({ X, X_hat, Y, dX, look }, column) {
  const lines = { x: X, x_hat: X_hat, y: Y, dx: dX }, size = column < 44 ? "small" : "";
  return Object.entries(lines).flatMap(([name, values], row) => [
    label(0, TABLE + 22 * row, WORDS[`short_${name}`], "f-ink"),
    ...values.map((value, i) =>
      figure(24 + column * (i + 1), TABLE + 22 * row, `${name}${i}`, value, "", `f-${row ? look : "ink"} ${size}`, "end")),
  ]);
}

// Three values, seen along (1, 1, 1): x̂ lies on a circle. The pull on one y, and what is left of it.
function circle({ X, X_hat, mean, dY, dX, factor, training, look }, x, top) {
  const radius = 78, middle = top + 112, unit = radius / Math.sqrt(3), longest = 1.3 * radius;
  const flat = ([a, b, c], size) => [((a - b) / Math.sqrt(2)) * size, ((a + b - 2 * c) / Math.sqrt(6)) * size];
  const inside = ([u, v]) => [u, v].map((z) => z * Math.min(1, longest / Math.hypot(u, v)));
  const from = ([u, v]) => [x + u, middle - v];
  const point = inside(flat(X_hat, unit)), centred = inside(flat(X.map((value) => value - mean), unit));
  const arrow = (vector, look, words) => {
    const end = point.map((z, i) => z + vector[i]), length = Math.hypot(...vector);
    if (length < 1) return [];
    const [u, v] = vector.map((z) => z / length), head = [[-8, 4], [0, 0], [-8, -4]];
    const tip = head.map(([a, b]) => from([end[0] + a * u - b * v, end[1] + a * v + b * u]));
    const beyond = from(end.map((z, i) => z + 12 * [u, v][i]));
    return [line([from(point), from(end)], `l-${look} thick`), line(tip, `l-${look} thick`),
      label(beyond[0], beyond[1] + 4, words, `f-${look}`, "middle")];
  };
  const pull = flat(dY, 62), left = flat(dX.map((dx) => (factor ? dx / factor : 0)), 62);
  const lost = point.map((z, i) => z + pull[i] - left[i]);
  const apart = Math.hypot(...pull.map((z, i) => z - left[i]));
  return [
    label(x, top, WORDS[training ? "circle" : "no_circle"], "f-ink", "middle"),
    dot_at(x, middle, radius, "f-none l-soft"),
    line([from([0, 0]), from(centred)], "l-soft", { "stroke-dasharray": "2 4" }),
    line([from(point), from(lost)], "l-ink", { "stroke-dasharray": "4 4" }),
    dot_at(x, middle, 2, "f-soft"),
    dot_at(...from(centred), 4, "f-paper l-ink"),
    ...(apart > 14 ? arrow(pull, "soft", WORDS.pull) : []),
    ...(apart > 20 ? [label(...from(lost), WORDS.lost, "f-ink", "end")] : []),
    ...arrow(left, look, WORDS.short_dx),
    dot_at(...from(point), 6, `f-${look}`),
    figure(x, top + 230, "lost_shift", sum(dX), WORDS.lost_shift, `f-${look}`, "middle"),
    figure(x, top + 250, "lost_stretch", dot(dX, X_hat), WORDS.lost_stretch, `f-${look}`, "middle"),
  ];
}

function handle(x, i, at) {
  const words = { "aria-label": `x${i + 1}`, "aria-valuetext": number(x) };
  const range = { "aria-valuenow": x, "aria-valuemin": -REACH, "aria-valuemax": REACH };
  return ["circle", { class: "handle", cx: at(x), cy: ROWS.x, r: 18, role: "slider", tabindex: 0, "data-i": i, ...words, ...range }];
}

function move(i, value) {
  const x = [...state.x];
  x[i] = Math.round(value * 100) / 100;
  change({ x, pulled: i });
}

handles.addEventListener("pointerdown", (event) => {
  event.target.setPointerCapture(event.pointerId);
});
handles.addEventListener("pointermove", ({ target, clientX, pointerId }) => {
  if (!target.hasPointerCapture?.(pointerId)) return;
  const value = scale(12, lines_end() - 12, -REACH, REACH);
  move(Number(target.dataset.i), value(clientX - sheet.getBoundingClientRect().left));
});
handles.addEventListener("pointerup", tell);
const KEYS = { ArrowLeft: -0.1, ArrowDown: -0.1, ArrowRight: 0.1, ArrowUp: 0.1, PageDown: -1, PageUp: 1, Home: -12, End: 12 };
handles.addEventListener("keydown", (event) => {
  if (!(event.key in KEYS)) return;
  event.preventDefault();
  const i = Number(event.target.dataset.i);
  move(i, state.x[i] + KEYS[event.key]);
});
handles.addEventListener("keyup", tell);

begin({
  outlier: () => move(state.m - 1, REACH),
  one: () => change({ m: state.m === 1 ? FIELDS.m.start : 1 }),
  update: () => {
    const { moving_mean, moving_var } = computed();
    change({ mode: "training", moving_mean, moving_var });
  },
  again: () => read(""),
});
