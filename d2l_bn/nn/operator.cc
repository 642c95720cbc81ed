// Batch normalization as an operator of MXNet: the equations of chapter 5, as loops.
//
// An array (m, C) or (m, C, p, q) lies in memory row by row: X[(r * C + c) * pq + k] is value k of
// channel c in row r, with pq = p * q, or 1. The values of a channel are cut into blocks that fit
// into a processor's cache. Blocks don't depend on the number of threads, and their sums are put
// together in one order, so the results don't depend on it either.
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#include <algorithm>
#include <cmath>
#include <locale>
#include "mxnet/lib_api.h"

using namespace mxnet::ext;
typedef std::unordered_map<std::string, std::string> Attributes;
typedef std::vector<MXTensor> Tensors;
typedef std::vector<std::vector<unsigned>> Shapes;

// The process that may use threads. In a fork of it, OpenMP would wait for threads that are gone.
extern "C" int d2l_bn_process;
int d2l_bn_process = getpid();

const int64_t BLOCK = 8192;     // values: two passes over them, the second from the cache
const int64_t CACHE = 1 << 17;  // values that stay near a processor from one loop to the next

struct Block {  // channels [c0, c1), in each the rows [r0, r1), in each the values [k0, k1)
  int64_t c0, c1, r0, r1, k0, k1;
  double size() const { return double(r1 - r0) * (k1 - k0); }  // values in each channel
};

struct Layout {
  int64_t m, C, pq, width, rows, values, pieces, blocks, tiles, group;
  int threads = 1;

  explicit Layout(const std::vector<int64_t>& shape) : m(shape[0]), C(shape[1]), pq(1) {
    for (size_t axis = 2; axis < shape.size(); ++axis) pq *= shape[axis];
    width = pq == 1 ? std::min(C, int64_t(128)) : 1;  // channels in a block: neighbors in memory
    rows = std::max(int64_t(1), BLOCK / (pq * width));
    values = std::min(pq, BLOCK);
    pieces = (pq + values - 1) / values;
    blocks = (m + rows - 1) / rows * pieces;
    tiles = (C + width - 1) / width;
#ifdef _OPENMP
    if (m * C * pq > 4 * BLOCK && getpid() == d2l_bn_process) threads = omp_get_max_threads();
#endif
    group = std::max(int64_t(1), threads * CACHE / (m * pq * width));
  }

  Block block(int64_t tile, int64_t b) const {
    int64_t r = b / pieces * rows, k = b % pieces * values;
    return {tile * width, std::min(C, (tile + 1) * width), r, std::min(m, r + rows),
            k, std::min(pq, k + values)};
  }

  // For each channel of a block: total[c] = the sum of term(place, c) over its values.
  template <typename Term>
  void sum(const Block& b, double* total, Term term) const {
    std::fill(total + b.c0, total + b.c1, 0.0);
    if (pq == 1) {
      for (int64_t r = b.r0; r < b.r1; ++r) {
#pragma omp simd
        for (int64_t c = b.c0; c < b.c1; ++c) total[c] += term(r * C + c, c);
      }
      return;
    }
    for (int64_t r = b.r0, c = b.c0; r < b.r1; ++r) {
      const int64_t row = (r * C + c) * pq;
      double sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t k = b.k0; k < b.k1; ++k) sum += term(row + k, c);
      total[c] += sum;
    }
  }

  // For each value of a block: out[place] = value(place, c).
  template <typename T, typename Value>
  void fill(const Block& b, T* out, Value value) const {
    for (int64_t r = b.r0; r < b.r1; ++r) {
      if (pq == 1) {
#pragma omp simd
        for (int64_t c = b.c0; c < b.c1; ++c) out[r * C + c] = T(value(r * C + c, c));
      } else {
        const int64_t c = b.c0, row = (r * C + c) * pq;
#pragma omp simd
        for (int64_t k = b.k0; k < b.k1; ++k) out[row + k] = T(value(row + k, c));
      }
    }
  }

  // What to do with each block, then with each channel, then with each block again. A few channels
  // at a time, so that the second pass still finds the values in the cache.
  template <typename First, typename Middle, typename Second>
  void run(First first, Middle middle, Second second) const {
#pragma omp parallel num_threads(threads)
    for (int64_t t0 = 0; t0 < tiles; t0 += group) {
      const int64_t t1 = std::min(tiles, t0 + group), units = (t1 - t0) * blocks;
#pragma omp for schedule(static)
      for (int64_t u = 0; u < units; ++u) first(block(t0 + u / blocks, u % blocks), u % blocks);
#pragma omp for schedule(static)
      for (int64_t c = t0 * width; c < std::min(C, t1 * width); ++c) middle(c);
#pragma omp for schedule(static)
      for (int64_t u = 0; u < units; ++u) second(block(t0 + u / blocks, u % blocks));
    }
  }
};

double number(const Attributes& attributes, const char* name) {
  std::istringstream text(attributes.at(name));
  text.imbue(std::locale::classic());  // a decimal point, whatever the country
  double value;
  if (!(text >> value)) throw std::invalid_argument(std::string(name) + " must be a number");
  return value;
}

bool given(const Attributes& attributes) { return attributes.count("given"); }

template <typename T>
void forward_with_given(const Attributes& attributes, Tensors& in, Tensors& out) {
  const Layout layout(in[0].shape);
  const double eps = number(attributes, "eps");
  const T *X = in[0].data<T>(), *gamma = in[1].data<T>(), *beta = in[2].data<T>();
  const T *mu = in[3].data<T>(), *var = in[4].data<T>();
  T* Y = out[0].data<T>();
  std::vector<double> scale(layout.C);
  layout.run([&](const Block&, int64_t) {},
             [&](int64_t c) { scale[c] = gamma[c] / std::sqrt(var[c] + eps); },
             [&](const Block& b) {
               const double* a = scale.data();
               layout.fill(b, Y, [=](int64_t i, int64_t c) { return a[c] * (X[i] - double(mu[c])) + beta[c]; });
             });
}

template <typename T>
void forward(const Attributes& attributes, Tensors& in, Tensors& out) {
  const Layout layout(in[0].shape);
  const int64_t C = layout.C;
  const double eps = number(attributes, "eps"), momentum = number(attributes, "momentum");
  const T *X = in[0].data<T>(), *gamma = in[1].data<T>(), *beta = in[2].data<T>();
  const T *old_mean = in[3].data<T>(), *old_var = in[4].data<T>();
  T *Y = out[0].data<T>(), *new_mean = out[1].data<T>(), *new_var = out[2].data<T>();
  double *mu = out[3].data<double>(), *inv_s = mu + C;  // kept for backward
  std::vector<double> block_mean(layout.blocks * C), block_squares(layout.blocks * C), scale(C);
  const double m = double(layout.m) * layout.pq;

  layout.run(
      [&](const Block& b, int64_t number) {
        double *mean = &block_mean[number * C], *squares = &block_squares[number * C];
        layout.sum(b, mean, [=](int64_t i, int64_t) { return double(X[i]); });
        for (int64_t c = b.c0; c < b.c1; ++c) mean[c] /= b.size();
        layout.sum(b, squares, [=](int64_t i, int64_t c) { return (X[i] - mean[c]) * (X[i] - mean[c]); });
      },
      [&](int64_t c) {
        double sum = 0, squares = 0;
        for (int64_t b = 0; b < layout.blocks; ++b) sum += layout.block(0, b).size() * block_mean[b * C + c];
        mu[c] = sum / m;  // mu = 1/m sum_i x_i
        for (int64_t b = 0; b < layout.blocks; ++b) {
          const double d = block_mean[b * C + c] - mu[c];
          squares += block_squares[b * C + c] + layout.block(0, b).size() * d * d;
        }
        const double var = squares / m;  // sigma^2 = 1/m sum_i (x_i - mu)^2
        inv_s[c] = 1 / std::sqrt(var + eps);
        scale[c] = gamma[c] * inv_s[c];
        new_mean[c] = momentum * old_mean[c] + (1 - momentum) * mu[c];
        new_var[c] = momentum * old_var[c] + (1 - momentum) * var;
      },
      [&](const Block& b) {
        const double *a = scale.data(), *mean = mu;
        layout.fill(b, Y, [=](int64_t i, int64_t c) { return a[c] * (X[i] - mean[c]) + beta[c]; });
      });
}

template <typename T>
void backward(const Attributes& attributes, Tensors& in, Tensors& out) {
  const int n = given(attributes) ? 1 : 4;
  const Layout layout(in[0].shape);
  const int64_t C = layout.C;
  const T *dY = in[0].data<T>(), *X = in[n].data<T>(), *gamma = in[n + 1].data<T>();
  T *dX = out[0].data<T>(), *dgamma = out[1].data<T>(), *dbeta = out[2].data<T>();
  std::vector<double> sums(layout.blocks * C), products(layout.blocks * C), table(5 * C);
  double *mu = table.data(), *inv_s = mu + C, *a = mu + 2 * C, *b1 = mu + 3 * C, *g1 = mu + 4 * C;
  const double m = double(layout.m) * layout.pq;
  for (int64_t c = 0; c < C; ++c) {
    if (n == 1) {
      mu[c] = in[4].data<T>()[c], inv_s[c] = 1 / std::sqrt(in[5].data<T>()[c] + number(attributes, "eps"));
    } else {
      mu[c] = in[12].data<double>()[c], inv_s[c] = in[12].data<double>()[C + c];
    }
  }
  layout.run(
      [&](const Block& b, int64_t number) {
        const double* mean = mu;
        layout.sum(b, &sums[number * C], [=](int64_t i, int64_t) { return double(dY[i]); });
        layout.sum(b, &products[number * C], [=](int64_t i, int64_t c) { return dY[i] * (X[i] - mean[c]); });
      },
      [&](int64_t c) {
        double sum = 0, product = 0;
        for (int64_t b = 0; b < layout.blocks; ++b) sum += sums[b * C + c], product += products[b * C + c];
        dbeta[c] = sum;
        dgamma[c] = product * inv_s[c];
        a[c] = gamma[c] * inv_s[c];
        b1[c] = n == 1 ? 0 : sum / m;
        g1[c] = n == 1 ? 0 : product * inv_s[c] * inv_s[c] / m;
        out[3].data<T>()[c] = out[4].data<T>()[c] = 0;
      },
      [&](const Block& b) {
        const double *mean = mu, *a_ = a, *b_ = b1, *g_ = g1;
        layout.fill(b, dX, [=](int64_t i, int64_t c) { return a_[c] * (dY[i] - b_[c] - (X[i] - mean[c]) * g_[c]); });
      });
}

template <typename Body>
MXReturnValue guarded(Body body) {
  try {
    body();
    return MX_SUCCESS;
  } catch (const std::exception& error) {
    MX_ERROR_MSG << "d2l_batch_norm: " << error.what();
    return MX_FAIL;
  }
}

MXReturnValue run_forward(const Attributes& a, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    const bool is_float = in->at(0).dtype == kFloat32;
    if (given(a)) is_float ? forward_with_given<float>(a, *in, *out) : forward_with_given<double>(a, *in, *out);
    else is_float ? forward<float>(a, *in, *out) : forward<double>(a, *in, *out);
  });
}

MXReturnValue run_backward(const Attributes& a, Tensors* in, Tensors* out, const OpResource&) {
  return guarded([&] {
    in->at(0).dtype == kFloat32 ? backward<float>(a, *in, *out) : backward<double>(a, *in, *out);
  });
}

MXReturnValue parse(const Attributes& attributes, int* inputs, int* outputs) {
  return guarded([&] {
    *inputs = 5;
    *outputs = given(attributes) ? 1 : 4;
  });
}

MXReturnValue infer_type(const Attributes&, std::vector<int>* in, std::vector<int>* out) {
  std::fill(in->begin(), in->end(), in->at(0));
  std::fill(out->begin(), out->end(), in->at(0));
  if (out->size() == 4) out->at(3) = kFloat64;
  return MX_SUCCESS;
}

MXReturnValue infer_shape(const Attributes&, Shapes* in, Shapes* out) {
  out->at(0) = in->at(0);
  if (out->size() == 4) {
    out->at(1) = in->at(3);
    out->at(2) = in->at(4);
    out->at(3) = {2, in->at(0)[1]};
  }
  return MX_SUCCESS;
}

REGISTER_OP(d2l_batch_norm)
    .setForward(run_forward, "cpu")
    .setBackward(run_backward, "cpu")
    .setParseAttrs(parse)
    .setInferType(infer_type)
    .setInferShape(infer_shape);

MXReturnValue initialize(int) { return MX_SUCCESS; }
