// What the explorables share: shapes, numbers, controls, the theme, the height, and the address.
// Each has NAME, WORDS (its labels) and FIELDS (its state: where each value starts, and its limits).
"use strict";

const sheet = document.querySelector("svg"), note = document.querySelector("#note");
const still = matchMedia("(prefers-reduced-motion: reduce)");
const state = {}, controls = {};
let visible = true, wanted = false, restart = () => {};

// Give `parent` these children, each [tag, attributes, text]. Elements are kept: focus and drags go on.
function show(parent, shapes) {
  shapes.forEach(([tag, attributes, text = ""], i) => {
    let element = parent.children[i];
    if (element?.tagName !== tag) {
      const made = document.createElementNS(sheet.namespaceURI, tag);
      element ? element.replaceWith(made) : parent.append(made);
      element = made;
    }
    for (const { name } of [...element.attributes])
      if (!(name in attributes)) element.removeAttribute(name);
    for (const [name, value] of Object.entries(attributes))
      if (element.getAttribute(name) !== `${value}`) element.setAttribute(name, value);
    if (element.textContent !== text) element.textContent = text;
  });
  while (parent.children.length > shapes.length) parent.lastChild.remove();
}

const line = (points, look, more = {}) =>
  ["polyline", { class: `f-none ${look}`, points: points.map((p) => p.map(short).join()).join(" "), ...more }];
const label = (x, y, text, look = "f-ink", anchor = "start", more = {}) =>
  ["text", { x: short(x), y: short(y), class: look, "text-anchor": anchor, ...more }, text];
const dot_at = (x, y, r, look) => ["circle", { cx: short(x), cy: short(y), r, class: look }];
// A number as it is read, and in full for whoever checks it.
const figure = (x, y, name, value, words = "", look = "f-ink", anchor = "start") =>
  label(x, y, words + number(value), look, anchor, { "data-name": name, "data-value": value });

const width_of = () => Math.round(sheet.getBoundingClientRect().width);
const short = (value) => Math.round(value * 10) / 10;

function number(value, digits = 2) {
  const text = Math.abs(value).toFixed(digits);
  return (value < 0 && Number(text) ? "−" : "") + text;
}

function scale(low, high, from, to) {
  return (value) => from + ((value - low) / (high - low)) * (to - from);
}

// Change some values, and all that follows from them. What is out of its limits is brought back.
function change(values) {
  for (const [name, value] of Object.entries(values)) {
    const { start, options } = FIELDS[name];
    if (Array.isArray(start)) state[name] = start.map((old, i) => within(name, value[i], old));
    else if (!options) state[name] = within(name, value, start);
    else if (options.includes(value)) state[name] = value;
  }
  Object.values(controls).forEach((refresh) => refresh());
  redraw();
}

function within(name, value, otherwise) {
  const { min, max, whole } = FIELDS[name], found = Number.isFinite(value) ? value : otherwise;
  const rounded = whole ? Math.round(found) : found;
  return Math.min(max, Math.max(min, rounded));
}

function redraw() {
  if (wanted) return;
  wanted = true;
  requestAnimationFrame(() => {
    wanted = false;
    draw();
  });
}

// A slider for each field that has a step, a pair of buttons for one with options, and the actions.
function add_controls(actions) {
  const form = document.querySelector("form");
  for (const [name, field] of Object.entries(FIELDS))
    if (field.options) form.append(...choice(name, field.options));
    else if (field.step) form.append(slider(name, field));
  const row = document.createElement("div");
  form.append(row);
  for (const [name, act] of Object.entries(actions)) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", id: name, textContent: WORDS[name] });
    button.addEventListener("click", () => (act(), tell()));
    row.append(button);
  }
}

function slider(name, { min, max, step, log, digits = 1 }) {
  const box = document.createElement("label"), input = document.createElement("input");
  const output = document.createElement("output"), words = document.createElement("span");
  const [there, back] = log ? [Math.log10, (v) => 10 ** v] : [Number, Number];
  Object.assign(input, { type: "range", id: name, min: there(min), max: there(max), step });
  words.textContent = WORDS[name];
  box.append(words, input, output);
  input.addEventListener("input", () => change({ [name]: Number(back(input.value).toPrecision(2)) }));
  input.addEventListener("change", tell);
  controls[name] = () => {
    input.value = there(state[name]);
    output.textContent = log ? `${state[name]}`.replace("-", "−") : number(state[name], digits);
    input.setAttribute("aria-valuetext", output.textContent);
  };
  return box;
}

function choice(name, options) {
  const box = document.createElement("fieldset");
  for (const option of options) {
    const words = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name, value: option, id: option });
    input.addEventListener("change", () => (change({ [name]: option }), tell()));
    words.append(input, WORDS[option]);
    box.append(words);
  }
  controls[name] = () => (box.querySelector(`#${state[name]}`).checked = true);
  return [box];
}

// The state as it stands in an address: what differs from the start, as gamma=2&x=1,2,3.
function written() {
  const names = Object.keys(FIELDS).filter((name) => `${state[name]}` !== `${FIELDS[name].start}`);
  return names.map((name) => `${name}=${state[name]}`).join("&");
}

function read(text) {
  const values = Object.fromEntries(Object.entries(FIELDS).map(([name, { start }]) => [name, start]));
  for (const [name, value] of new URLSearchParams(text))
    if (name in FIELDS) values[name] = parsed(value, FIELDS[name]);
  change(values);
  restart();
}

function parsed(text, { start, options }) {
  return Array.isArray(start) ? text.split(",").map(parseFloat) : options ? text : parseFloat(text);
}

// The page around keeps the state in its address, if it is one of the book's: see book.js.
function tell() {
  if (parent !== window) parent.postMessage({ explorable: NAME, state: written() }, "*");
}

// `again`, if given, is called whenever the whole state is set: at the beginning, and by an address.
function begin(actions, again = restart) {
  restart = again;
  add_controls(actions);
  read("");
  addEventListener("message", ({ source, data }) => {
    if (source === parent && typeof data?.state === "string") read(data.state);
  });
  new IntersectionObserver(([{ isIntersecting }]) => (visible = isIntersecting)).observe(sheet);
  new ResizeObserver(() => (fit(), redraw())).observe(document.body);
  follow_theme();
  document.documentElement.classList.add("runs");
  if (parent !== window) parent.postMessage({ explorable: NAME }, "*");
}

function fit() {
  try {
    frameElement.style.height = `${document.body.offsetHeight}px`;
    document.documentElement.style.overflow = "hidden";
  } catch {} // in a page of its own, or in one that doesn't let its frames: it scrolls
}

// Light or dark as the book's page or JupyterLab is set, else as the machine is.
function follow_theme() {
  const dark = matchMedia("(prefers-color-scheme: dark)"), around = page_around();
  const set = () => {
    const [root, body] = around.map(({ dataset }) => dataset);
    const known = { light: false, dark: true }[root?.theme] ?? { true: false, false: true }[body?.jpThemeLight];
    document.documentElement.dataset.theme = (known ?? dark.matches) ? "dark" : "light";
  };
  set();
  dark.addEventListener("change", set);
  for (const element of around)
    new MutationObserver(set).observe(element, { attributeFilter: ["data-theme", "data-jp-theme-light"] });
}

// The elements of the page around this frame, if there is one and it may be seen.
function page_around() {
  try {
    return parent === window ? [] : [parent.document.documentElement, parent.document.body];
  } catch {
    return [];
  }
}

// Calls `step(time)` before each frame, while it runs and can be seen; what it returns starts and ends it.
function animation(step) {
  let running = 0;
  const frame = (time) => {
    running = requestAnimationFrame(frame);
    if (visible) step(time);
  };
  return (on = !running) => {
    if (on && still.matches) return step(Infinity); // no motion: some of it at once
    document.querySelector("#play").textContent = WORDS[on ? "pause" : "play"];
    cancelAnimationFrame(running);
    running = on ? requestAnimationFrame(frame) : 0;
  };
}
