// Batch normalization as an operator of MXNet: the equations of chapter 5, as plain loops.
//
// Each block of an array (blocks.h) has its own sums, in double, and these are added up in one
// order, so that any number of threads gives the same bits.
#include <cmath>
#include <locale>
#include <sstream>
#include <stdexcept>
#include "blocks.h"
#include "mxnet/lib_api.h"

using namespace mxnet::ext;
typedef std::unordered_map<std::string, std::string> Attributes;
typedef std::vector<MXTensor> Tensors;
typedef std::vector<std::vector<unsigned>> Shapes;

double number(const Attributes& attributes, const char* name) {
  std::istringstream text(attributes.at(name));
  text.imbue(std::locale::classic());  // with a decimal point, whatever the country
  double value;
  if (!(text >> value)) throw std::invalid_argument(std::string(name) + " is not a number");
  return value;
}

// From X, gamma, beta, moving_mean and moving_var to Y, the new moving_mean and moving_var, and mu
// and 1/s for backward, where s = sqrt(sigma^2 + eps). When the statistics are given,
// as in prediction, the averages stay as they are and are not returned.
template <typename T>
void forward(const Attributes& attributes, Tensors& in, Tensors& out) {
  const bool given = out.size() == 2;
  const Layout layout(in[0].shape);
  const int64_t C = layout.C, blocks = given ? 0 : layout.blocks;
  const double m = layout.rows * layout.pq, eps = number(attributes, "eps");
  const double momentum = given ? 1 : number(attributes, "momentum");
  const T *X = in[0].data<T>(), *gamma = in[1].data<T>(), *beta = in[2].data<T>();
  const T *moving_mean = in[3].data<T>(), *moving_var = in[4].data<T>();
  T* Y = out[0].data<T>();
  double *mu = out.back().data<double>(), *inverse_s = mu + C;
  std::vector<double> means(blocks * C), squares(blocks * C), scales(C);
  double* scale = scales.data();

  if (!given) layout.each_block([&](const Block& b) {
    double *mean = &means[b.number * C], *square = &squares[b.number * C];
    layout.sum(b, mean, [=](int64_t i, int64_t) { return double(X[i]); });
    for (int64_t c = b.c0; c < b.c1; ++c) mean[c] /= layout.size(b.number);
    layout.sum(b, square, [=](int64_t i, int64_t c) { return std::pow(X[i] - mean[c], 2); });
  });
#pragma omp parallel for schedule(static) if (layout.parallel)
  for (int64_t c = 0; c < C; ++c) {
    double var = given ? moving_var[c] : 0;
    mu[c] = given ? moving_mean[c] : 0;
    for (int64_t b = 0; b < blocks; ++b)  // mu = 1/m sum_i x_i
      mu[c] += layout.size(b) * means[b * C + c] / m;
    for (int64_t b = 0; b < blocks; ++b)  // sigma^2 = 1/m sum_i (x_i - mu)^2
      var += (squares[b * C + c] + layout.size(b) * std::pow(means[b * C + c] - mu[c], 2)) / m;
    inverse_s[c] = 1 / std::sqrt(var + eps);
    scale[c] = gamma[c] * inverse_s[c];
    if (given) continue;
    out[1].data<T>()[c] = T(momentum * moving_mean[c] + (1 - momentum) * mu[c]);
    out[2].data<T>()[c] = T(momentum * moving_var[c] + (1 - momentum) * var);
  }
  ask_for_pages(Y, sizeof(T) * in[0].size());
  layout.each_block([&](const Block& b) {  // y_i = gamma (x_i - mu) / s + beta
    layout.fill(b, Y, [=](int64_t i, int64_t c) { return scale[c] * (X[i] - mu[c]) + beta[c]; });
  });
}

// From the gradients of all outputs, the inputs and the outputs to the gradients of the inputs.
// None goes through moving averages: what arrives for them is ignored, and zeros are passed on.
template <typename T>
void backward(const Attributes& attributes, Tensors& in, Tensors& out) {
  const bool given = attributes.count("given");
  MXTensor* inputs = &in[given ? 2 : 4];
  const Layout layout(in[0].shape);
  const int64_t C = layout.C;
  const double m = layout.rows * layout.pq;
  const T *dY = in[0].data<T>(), *X = inputs[0].data<T>(), *gamma = inputs[1].data<T>();
  const double *mu = in.back().data<double>(), *inverse_s = mu + C;
  T* dX = out[0].data<T>();
  std::vector<double> sums(layout.blocks * C), products(layout.blocks * C), own(3 * C);
  double *scale = &own[0], *mean_dY = &own[C], *slope = &own[2 * C];

  layout.each_block([&](const Block& b) {
    layout.sum(b, &sums[b.number * C], [=](int64_t i, int64_t) { return double(dY[i]); });
    layout.sum(b, &products[b.number * C],
               [=](int64_t i, int64_t c) { return dY[i] * (X[i] - mu[c]); });
  });
#pragma omp parallel for schedule(static) if (layout.parallel)
  for (int64_t c = 0; c < C; ++c) {
    double dbeta = 0, dgamma = 0;
    for (int64_t b = 0; b < layout.blocks; ++b) {
      dbeta += sums[b * C + c];                      // dbeta = sum_i dy_i
      dgamma += products[b * C + c] * inverse_s[c];  // dgamma = sum_i dy_i x^_i
    }
    out[1].data<T>()[c] = T(dgamma), out[2].data<T>()[c] = T(dbeta);
    out[3].data<T>()[c] = out[4].data<T>()[c] = 0;
    scale[c] = gamma[c] * inverse_s[c];
    mean_dY[c] = given ? 0 : dbeta / m;  // given statistics don't depend on x
    slope[c] = given ? 0 : dgamma / m * inverse_s[c];
  }
  ask_for_pages(dX, sizeof(T) * in[0].size());
  layout.each_block([&](const Block& b) {  // dx_i = gamma / s (dy_i - dbeta / m - x^_i dgamma / m)
    layout.fill(b, dX, [=](int64_t i, int64_t c) {
      return scale[c] * (dY[i] - mean_dY[c] - (X[i] - mu[c]) * slope[c]);
    });
  });
}

typedef void Pass(const Attributes&, Tensors&, Tensors&);
template <Pass with_float, Pass with_double>
MXReturnValue run(const Attributes& a, Tensors* in, Tensors* out, const OpResource&) try {
  ((*in)[0].dtype == kFloat32 ? with_float : with_double)(a, *in, *out);
  return MX_SUCCESS;
} catch (const std::exception& error) {  // a library of another compiler couldn't catch it
  MX_ERROR_MSG << error.what();
  return MX_FAIL;
}

MXReturnValue count(const Attributes& attributes, int* inputs, int* outputs) {
  *inputs = 5, *outputs = attributes.count("given") ? 2 : 4;
  return MX_SUCCESS;
}

// Types and shapes are those of X and its channels. MXNet compares them with what it got.
MXReturnValue types(const Attributes&, std::vector<int>* in, std::vector<int>* out) {
  std::fill(in->begin(), in->end(), in->front());
  std::fill(out->begin(), out->end(), in->front());
  out->back() = kFloat64;
  return in->front() >= 0 && in->front() <= kFloat64 ? MX_SUCCESS : MX_FAIL;
}

// All shapes must be known, since MXNet 1.9.1 writes outside of an array when it passes on one that
// isn't.
MXReturnValue shapes(const Attributes&, Shapes* in, Shapes* out) {
  if (in->front().size() < 2) return MX_FAIL;
  const unsigned C = in->front()[1];
  for (auto shape = in->begin() + 1; shape != in->end(); ++shape) {
    unsigned values = 1;
    for (unsigned length : *shape) values *= length;
    if (shape->empty() || values != C) return MX_FAIL;
  }
  out->front() = in->front();
  out->back() = {2, C};
  if (out->size() == 4) (*out)[1] = (*in)[3], (*out)[2] = (*in)[4];
  return MX_SUCCESS;
}

REGISTER_OP(d2l_batch_norm)
    .setForward(run<forward<float>, forward<double>>, "cpu")
    .setBackward(run<backward<float>, backward<double>>, "cpu")
    .setParseAttrs(count).setInferType(types).setInferShape(shapes);

MXReturnValue initialize(int) { return MX_SUCCESS; }
