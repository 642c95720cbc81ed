// Batch normalization as an operator of MXNet: the equations of chapter 5, as plain loops.
//
// An array (m, C) or (m, C, p, q) lies in memory row by row: value k of channel c in row r is
// X[(r * C + c) * pq + k], with pq = p * q, or 1. It is visited in that order, in blocks that fit
// into the cache next to a core. Each block has its own sums, in double, and these are added up in
// one order, so that any number of threads gives the same bits.
#include <unistd.h>
#include <algorithm>
#include <cmath>
#include <locale>
#include "mxnet/lib_api.h"

using namespace mxnet::ext;
typedef std::unordered_map<std::string, std::string> Attributes;
typedef std::vector<MXTensor> Tensors;
typedef std::vector<std::vector<unsigned>> Shapes;

const int64_t BLOCK = 4096;  // values in a block; 2048 and 8192 are no faster (measured)

// The process that may use threads. A fork of it must not: it would wait for threads of its parent.
int d2l_bn_process = getpid();

struct Block {  // rows from r0 to before r1, channels from c0 to before c1
  int64_t number, r0, r1, c0, c1;
};

struct Layout {
  int64_t rows, C, pq = 1, height, width, tiles, blocks;
  bool parallel;

  explicit Layout(const std::vector<int64_t>& shape) : rows(shape[0]), C(shape[1]) {
    for (size_t axis = 2; axis < shape.size(); ++axis) pq *= shape[axis];
    width = std::min(C, std::max(int64_t(1), BLOCK / pq));  // channels in a block
    height = std::max(int64_t(1), BLOCK / (width * pq));    // rows in a block
    tiles = (C + width - 1) / width;                        // blocks side by side
    blocks = (rows + height - 1) / height;                  // blocks below each other
    parallel = rows * C * pq > 4 * BLOCK && getpid() == d2l_bn_process;
  }

  // How many values of a channel are in a block.
  int64_t size(int64_t number) const { return std::min(height, rows - number * height) * pq; }

  template <typename Action>
  void each_block(Action action) const {
#pragma omp parallel for schedule(static) if (parallel)
    for (int64_t unit = 0; unit < tiles * blocks; ++unit) {
      const int64_t number = unit / tiles, r = number * height, c = unit % tiles * width;
      action(Block{number, r, std::min(rows, r + height), c, std::min(C, c + width)});
    }
  }

  // total[c] = the sum of term(i, c) over the places i of channel c in the block.
  template <typename Term>
  void sum(const Block& b, double* total, Term term) const {
    std::fill(total + b.c0, total + b.c1, 0.0);
    for (int64_t r = b.r0; r < b.r1; ++r) {
      if (pq == 1) {  // neighbors in memory belong to different channels
#pragma omp simd
        for (int64_t c = b.c0; c < b.c1; ++c) total[c] += term(r * C + c, c);
      } else for (int64_t c = b.c0; c < b.c1; ++c) {
        const int64_t first = (r * C + c) * pq;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = first; i < first + pq; ++i) sum += term(i, c);
        total[c] += sum;
      }
    }
  }

  // out[i] = value(i, c) at each place i of the block; c is its channel.
  template <typename T, typename Value>
  void fill(const Block& b, T* out, Value value) const {
    for (int64_t r = b.r0; r < b.r1; ++r) {
      if (pq == 1) {
#pragma omp simd
        for (int64_t c = b.c0; c < b.c1; ++c) out[r * C + c] = T(value(r * C + c, c));
      } else for (int64_t c = b.c0; c < b.c1; ++c) {
        const int64_t first = (r * C + c) * pq;
#pragma omp simd
        for (int64_t i = first; i < first + pq; ++i) out[i] = T(value(i, c));
      }
    }
  }
};

double number(const Attributes& attributes, const char* name) {
  std::istringstream text(attributes.at(name));
  text.imbue(std::locale::classic());  // with a decimal point, whatever the country
  double value;
  if (!(text >> value)) throw std::invalid_argument(std::string(name) + " is not a number");
  return value;
}

// From X, gamma, beta, moving_mean and moving_var to Y, the new moving_mean and moving_var, and mu
// and 1/s for backward, where s = sqrt(sigma^2 + eps). With given statistics no averages are new.
template <typename T>
void forward(const Attributes& attributes, Tensors& in, Tensors& out) {
  const bool given = out.size() == 2;
  const Layout layout(in[0].shape);
  const int64_t C = layout.C, blocks = given ? 0 : layout.blocks;
  const double m = layout.rows * layout.pq, eps = number(attributes, "eps");
  const double momentum = given ? 1 : number(attributes, "momentum");
  const T *X = in[0].data<T>(), *gamma = in[1].data<T>(), *beta = in[2].data<T>();
  const T *moving_mean = in[3].data<T>(), *moving_var = in[4].data<T>();
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
  layout.each_block([&](const Block& b) {  // y_i = gamma (x_i - mu) / s + beta
    layout.fill(b, out[0].data<T>(),
                [=](int64_t i, int64_t c) { return scale[c] * (X[i] - mu[c]) + beta[c]; });
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
  layout.each_block([&](const Block& b) {  // dx_i = gamma / s (dy_i - dbeta / m - x^_i dgamma / m)
    layout.fill(b, out[0].data<T>(), [=](int64_t i, int64_t c) {
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
  return in->front() <= kFloat64 ? MX_SUCCESS : MX_FAIL;
}

MXReturnValue shapes(const Attributes&, Shapes* in, Shapes* out) {
  if (in->front().size() < 2) return MX_FAIL;
  const unsigned C = in->front()[1];
  for (auto shape = in->begin() + 1; shape != in->end(); ++shape) {
    if (shape->empty()) *shape = {1, C};  // of a symbol
    unsigned values = 1;
    for (unsigned length : *shape) values *= length;
    if (values != C) return MX_FAIL;
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
