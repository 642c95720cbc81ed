// Batch normalization of one channel: the four equations of d2l_bn/nn/normalization.py with its
// names, and the gradient of chapter 5. Nothing here draws. The tests hold it to the library.
"use strict";

function batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum, is_training) {
  let mean, variance; // `var` in Python, a word that JavaScript keeps for itself
  if (is_training) {
    [mean, variance] = mean_and_variance(X);
    moving_mean = momentum * moving_mean + (1 - momentum) * mean;
    moving_var = momentum * moving_var + (1 - momentum) * variance;
  } else {
    [mean, variance] = [moving_mean, moving_var];
  }
  const X_hat = X.map((x) => (x - mean) / Math.sqrt(variance + eps));
  const Y = X_hat.map((x_hat) => gamma * x_hat + beta);
  return { Y, moving_mean, moving_var, X_hat, mean, variance };
}

function mean_and_variance(X) {
  const mean = average(X); // mu = 1/m sum_i x_i
  const variance = average(X.map((x) => (x - mean) ** 2)); // sigma^2 = 1/m sum_i (x_i - mu)^2
  return [mean, variance];
}

// In training mode: what the loss changes by with each x, gamma and beta, from dY, that with each y.
function gradients(dY, X_hat, variance, gamma, eps) {
  const dgamma = dot(dY, X_hat), dbeta = sum(dY), m = dY.length;
  const factor = gamma / Math.sqrt(variance + eps);
  const dX = dY.map((dy, i) => factor * (dy - dbeta / m - (X_hat[i] * dgamma) / m));
  return { dX, dgamma, dbeta };
}

function sum(values) {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function dot(a, b) {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i] * b[i];
  return total;
}

function average(values) {
  return sum(values) / values.length;
}
