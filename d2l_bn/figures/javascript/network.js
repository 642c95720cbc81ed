// A network of dense layers with sigmoids, with batch normalization before each sigmoid or without,
// and its training. Nothing here draws. Values are kept unit by unit: A[unit][example].
"use strict";

const sigmoid = (z) => 1 / (1 + Math.exp(-z));
const EPS = 1e-5, MOMENTUM = 0.9; // of the layer and of the optimizer, as in chapter 3

// Weights of Glorot and Bengio times `scale`; the same seed gives both networks the same ones.
function new_network(sizes, scale, normalize, seed) {
  const { uniform } = random_numbers(seed);
  const layers = sizes.slice(1).map((units, l) => {
    const bound = scale * Math.sqrt(6 / (sizes[l] + units));
    const row = () => Float64Array.from({ length: sizes[l] }, () => bound * (2 * uniform() - 1));
    const layer = { W: Array.from({ length: units }, row), b: new Float64Array(units) };
    if (normalize && l < sizes.length - 2) {
      Object.assign(layer, { gamma: new Float64Array(units).fill(1), beta: new Float64Array(units) });
      layer.moving = Array.from({ length: units }, () => [0, 0]); // mean and variance
    }
    return layer;
  });
  return { layers, velocity: new Map() };
}

// What each layer gets and makes. Z is a sigmoid's input, or the outputs of the last layer.
function forward({ layers }, X) {
  const trace = [];
  for (const layer of layers) {
    const affine = layer.W.map((w, unit) => combination(X, w, layer.b[unit]));
    const normed = layer.gamma && affine.map((x, unit) => normalized(layer, x, unit));
    const Z = normed ? normed.map(({ Y }) => Y) : affine;
    trace.push({ X, Z, normed });
    X = Z.map((z) => z.map(sigmoid));
  }
  return trace;
}

function normalized(layer, x, unit) {
  const { gamma, beta, moving } = layer;
  const step = batch_norm(x, gamma[unit], beta[unit], ...moving[unit], EPS, 0.9, true);
  moving[unit] = [step.moving_mean, step.moving_var];
  return step;
}

function combination(columns, weights, start) {
  const total = new Float64Array(columns[0].length).fill(start);
  columns.forEach((column, k) => {
    const weight = weights[k];
    for (let i = 0; i < total.length; i++) total[i] += weight * column[i];
  });
  return total;
}

// The mean of minus the logarithm of each example's probability of its class, and its gradient.
function softmax_loss(Z, labels) {
  const m = labels.length, dZ = Z.map(() => new Float64Array(m));
  let loss = 0;
  for (let i = 0; i < m; i++) {
    const largest = Math.max(...Z.map((z) => z[i])), powers = Z.map((z) => Math.exp(z[i] - largest));
    const total = sum(powers);
    loss -= Math.log(powers[labels[i]] / total) / m;
    powers.forEach((power, k) => (dZ[k][i] = (power / total - (k === labels[i])) / m));
  }
  return { loss, dZ };
}

// The gradients of all parameters, layer by layer, under the names of the parameters.
function backward({ layers }, X, labels) {
  const trace = forward({ layers }, X), found = [];
  let { loss, dZ } = softmax_loss(trace.at(-1).Z, labels);
  for (let l = layers.length - 1; l >= 0; l--) {
    const { W, gamma } = layers[l], { X, normed } = trace[l], own = {};
    if (gamma) {
      const units = dZ.map((dz, j) => gradients(dz, normed[j].X_hat, normed[j].variance, gamma[j], EPS));
      own.gamma = units.map(({ dgamma }) => dgamma);
      own.beta = units.map(({ dbeta }) => dbeta);
      dZ = units.map(({ dX }) => dX);
    }
    own.W = dZ.map((dz) => Float64Array.from(X, (x) => dot(dz, x)));
    own.b = dZ.map(sum);
    found.unshift(own);
    if (l > 0)
      dZ = X.map((a, k) => {
        const da = combination(dZ, W.map((row) => row[k]), 0);
        return da.map((d, i) => d * a[i] * (1 - a[i])); // the slope of the sigmoid
      });
  }
  return { loss, found, trace };
}

// A step of stochastic gradient descent with momentum, in place. Returns the loss before it.
function train_step(net, X, labels, rate) {
  const { loss, found, trace } = backward(net, X, labels);
  found.forEach((own, l) => {
    for (const [name, gradient] of Object.entries(own))
      if (name === "W") gradient.forEach((row, j) => descend(net, net.layers[l].W[j], row, rate));
      else descend(net, net.layers[l][name], gradient, rate);
  });
  return { loss, trace };
}

function descend({ velocity }, parameter, gradient, rate) {
  if (!velocity.has(parameter)) velocity.set(parameter, new Float64Array(parameter.length));
  const v = velocity.get(parameter);
  for (let i = 0; i < v.length; i++) {
    v[i] = MOMENTUM * v[i] - rate * gradient[i];
    parameter[i] += v[i];
  }
}
