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

const int64_t BLOCK = 4096;  // values in a block, about; 2048 and 8192 are no faster (measured)

// The process that may use threads. A fork of it must not: it would wait for threads of its parent.
extern "C" int d2l_bn_process;
int d2l_bn_process = getpid();

struct Block {
  int64_t number, r0, r1, c0, c1;  // rows from r0 to before r1, channels from c0 to before c1
};

struct Layout {
  int64_t rows, C, pq = 1, height, width, blocks, tiles;
  bool parallel;

  explicit Layout(const std::vector<int64_t>& shape) : rows(shape[0]), C(shape[1]) {
    for (size_t axis = 2; axis < shape.size(); ++axis) pq *= shape[axis];
    width = std::min(C, std::max(int64_t(1), BLOCK / pq));  // channels in a block
    height = std::max(int64_t(1), BLOCK / (width * pq));    // rows in a block
    tiles = (C + width - 1) / width;                        // blocks side by side
    blocks = (rows + height - 1) / height;                  // blocks below each other
    parallel = rows * C * pq > 4 * BLOCK && getpid() == d2l_bn_process;
  }

  // How many values a channel has in one of its blocks.
  double size(int64_t number) const { return double(std::min(height, rows - number * height) * pq); }

  // For each channel c of a block: total[c] = the sum of term(i, c) over its places i.
  template <typename Term>
  void sum(const Block& b, double* total, Term term) const {
    std::fill(total + b.c0, total + b.c1, 0.0);
    for (int64_t r = b.r0; r < b.r1; ++r) {
      if (pq == 1) {  // neighbors in memory belong to different channels
#pragma omp simd
        for (int64_t c = b.c0; c < b.c1; ++c) total[c] += term(r * C + c, c);
      } else {
        for (int64_t c = b.c0; c < b.c1; ++c) {
          const int64_t first = (r * C + c) * pq;
          double sum = 0;
#pragma omp simd reduction(+ : sum)
          for (int64_t i = first; i < first + pq; ++i) sum += term(i, c);
          total[c] += sum;
        }
      }
    }
  }

  // For each place i of a block, with its channel c: out[i] = value(i, c).
  template <typename T, typename Value>
  void fill(const Block& b, T* out, Value value) const {
    for (int64_t r = b.r0; r < b.r1; ++r) {
      if (pq == 1) {
#pragma omp simd
        for (int64_t c = b.c0; c < b.c1; ++c) out[r * C + c] = T(value(r * C + c, c));
      } else {
        for (int64_t c = b.c0; c < b.c1; ++c) {
          const int64_t first = (r * C + c) * pq;
#pragma omp simd
          for (int64_t i = first; i < first + pq; ++i) out[i] = T(value(i, c));
        }
      }
    }
  }

  // Do one thing with every block, then another for every channel, then a third with every block.
  template <typename First, typename Second, typename Third>
  void run(First first, Second second, Third third) const {
    auto block = [this](int64_t unit) {
      const int64_t number = unit / tiles, r = number * height, c = unit % tiles * width;
      return Block{number, r, std::min(rows, r + height), c, std::min(C, c + width)};
    };
#pragma omp parallel if (parallel)
    {
#pragma omp for schedule(static)
      for (int64_t unit = 0; unit < blocks * tiles; ++unit) first(block(unit));
#pragma omp for schedule(static)
      for (int64_t c = 0; c < C; ++c) second(c);
#pragma omp for schedule(static)
      for (int64_t unit = 0; unit < blocks * tiles; ++unit) third(block(unit));
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

// Inputs: X, gamma, beta, moving_mean, moving_var. Outputs: Y, the new moving_mean and moving_var,
// and for backward mu and 1/s, s = sqrt(sigma^2 + eps). With given statistics Y is the only output.
template <typename T>
void forward(const Attributes& attributes, Tensors& in, Tensors& out) {
  const bool given = out.size() == 1;
  const Layout layout(in[0].shape);
  const int64_t C = layout.C, blocks = layout.blocks;
  const double m = double(layout.rows * layout.pq), eps = number(attributes, "eps");
  const double momentum = given ? 1 : number(attributes, "momentum");
  const T *X = in[0].data<T>(), *gamma = in[1].data<T>(), *beta = in[2].data<T>();
  const T *moving_mean = in[3].data<T>(), *moving_var = in[4].data<T>();
  std::vector<double> own(3 * C), means(given ? 0 : blocks * C), squares(given ? 0 : blocks * C);
  double *scale = &own[0], *mu = given ? &own[C] : out[3].data<double>(), *inverse_s = mu + C;

  auto block_statistics = [&](const Block& b) {
    if (given) return;
    double *mean = &means[b.number * C], *square = &squares[b.number * C];
    layout.sum(b, mean, [=](int64_t i, int64_t) { return double(X[i]); });
    for (int64_t c = b.c0; c < b.c1; ++c) mean[c] /= layout.size(b.number);
    layout.sum(b, square, [=](int64_t i, int64_t c) { return std::pow(X[i] - mean[c], 2); });
  };
  auto statistics = [&](int64_t c) {
    double var = moving_var[c];
    mu[c] = moving_mean[c];
    if (!given) {
      mu[c] = var = 0;
      for (int64_t b = 0; b < blocks; ++b)  // mu = 1/m sum_i x_i
        mu[c] += layout.size(b) * means[b * C + c] / m;
      for (int64_t b = 0; b < blocks; ++b)  // sigma^2 = 1/m sum_i (x_i - mu)^2
        var += (squares[b * C + c] + layout.size(b) * std::pow(means[b * C + c] - mu[c], 2)) / m;
      out[1].data<T>()[c] = T(momentum * moving_mean[c] + (1 - momentum) * mu[c]);
      out[2].data<T>()[c] = T(momentum * moving_var[c] + (1 - momentum) * var);
    }
    inverse_s[c] = 1 / std::sqrt(var + eps);
    scale[c] = gamma[c] * inverse_s[c];
  };
  auto output = [&](const Block& b) {  // y_i = gamma (x_i - mu) / s + beta
    layout.fill(b, out[0].data<T>(),
                [=](int64_t i, int64_t c) { return scale[c] * (X[i] - mu[c]) + beta[c]; });
  };
  layout.run(block_statistics, statistics, output);
}

// Inputs: the gradients of the outputs, the inputs, the outputs. Outputs: the gradients of the inputs.
// No gradient goes through the moving averages: those that arrive are ignored, zeros are passed on.
template <typename T>
void backward(const Attributes& attributes, Tensors& in, Tensors& out) {
  const bool given = in.size() == 7;
  MXTensor *inputs = &in[given ? 1 : 4], *outputs = inputs + 5;
  const Layout layout(in[0].shape);
  const int64_t C = layout.C;
  const double m = double(layout.rows * layout.pq), eps = number(attributes, "eps");
  const T *dY = in[0].data<T>(), *X = inputs[0].data<T>(), *gamma = inputs[1].data<T>();
  std::vector<double> own(5 * C), sums(layout.blocks * C), products(layout.blocks * C);
  double *scale = &own[0], *mean_dY = &own[C], *slope = &own[2 * C];
  double *mu = given ? &own[3 * C] : outputs[3].data<double>(), *inverse_s = mu + C;
  for (int64_t c = 0; given && c < C; ++c) {
    mu[c] = inputs[3].data<T>()[c];
    inverse_s[c] = 1 / std::sqrt(inputs[4].data<T>()[c] + eps);
  }
  auto block_sums = [&](const Block& b) {
    layout.sum(b, &sums[b.number * C], [=](int64_t i, int64_t) { return double(dY[i]); });
    layout.sum(b, &products[b.number * C],
               [=](int64_t i, int64_t c) { return dY[i] * (X[i] - mu[c]); });
  };
  auto parameters = [&](int64_t c) {
    double dbeta = 0, dgamma = 0;
    for (int64_t b = 0; b < layout.blocks; ++b) {
      dbeta += sums[b * C + c];                      // dbeta = sum_i dy_i
      dgamma += products[b * C + c] * inverse_s[c];  // dgamma = sum_i dy_i x^_i
    }
    out[1].data<T>()[c] = T(dgamma), out[2].data<T>()[c] = T(dbeta);
    out[3].data<T>()[c] = out[4].data<T>()[c] = 0;
    scale[c] = gamma[c] * inverse_s[c];
    mean_dY[c] = given ? 0 : dbeta / m;  // given mu and s don't depend on x
    slope[c] = given ? 0 : dgamma / m * inverse_s[c];
  };
  auto input = [&](const Block& b) {  // dx_i = gamma / s (dy_i - dbeta / m - x^_i dgamma / m)
    layout.fill(b, out[0].data<T>(), [=](int64_t i, int64_t c) {
      return scale[c] * (dY[i] - mean_dY[c] - (X[i] - mu[c]) * slope[c]);
    });
  };
  layout.run(block_sums, parameters, input);
}

// Run it, and hand an exception to MXNet as a message: it may not cross from one library to another.
template <typename Body>
MXReturnValue guarded(Body body) {
  try {
    body();
    return MX_SUCCESS;
  } catch (const std::exception& error) {
    MX_ERROR_MSG << error.what();
    return MX_FAIL;
  }
}

MXReturnValue run_forward(const Attributes& a, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] { (in->at(0).dtype == kFloat32 ? forward<float> : forward<double>)(a, *in, *out); });
}

MXReturnValue run_backward(const Attributes& a, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] { (in->at(0).dtype == kFloat32 ? backward<float> : backward<double>)(a, *in, *out); });
}

MXReturnValue count(const Attributes& attributes, int* inputs, int* outputs) {
  *inputs = 5, *outputs = attributes.count("given") ? 1 : 4;
  return MX_SUCCESS;
}

MXReturnValue infer_types(const Attributes&, std::vector<int>* in, std::vector<int>* out) {
  std::fill(in->begin(), in->end(), in->at(0));
  std::fill(out->begin(), out->end(), in->at(0));
  if (out->size() == 4) out->at(3) = kFloat64;
  return in->at(0) == kFloat32 || in->at(0) == kFloat64 ? MX_SUCCESS : MX_FAIL;
}

typedef std::vector<std::vector<unsigned>> Shapes;
MXReturnValue infer_shapes(const Attributes&, Shapes* in, Shapes* out) {
  return guarded([&] {
    const unsigned C = in->at(0).at(1);
    for (size_t i = 1; i < 5; ++i) {
      unsigned size = 1;
      for (unsigned length : in->at(i)) size *= length;
      if (in->at(i).empty()) in->at(i) = {1, C};
      else if (size != C) throw std::invalid_argument("one value per channel is needed");
    }
    out->at(0) = in->at(0);
    if (out->size() == 4) out->at(1) = in->at(3), out->at(2) = in->at(4), out->at(3) = {2, C};
  });
}

REGISTER_OP(d2l_batch_norm).setForward(run_forward, "cpu").setBackward(run_backward, "cpu")
    .setParseAttrs(count).setInferType(infer_types).setInferShape(infer_shapes);

MXReturnValue initialize(int) { return MX_SUCCESS; }
