// An array cut into blocks that fit into the cache next to a core, for loops that are fast.
//
// An array (m, C) or (m, C, p, q) lies in memory row by row: value k of channel c in row r is at
// place (r * C + c) * pq + k, with pq = p * q, or 1. It is visited in that order: one channel after
// the other, with jumps, is slower by half on large arrays (measured).
#ifndef D2L_BN_BLOCKS_H
#define D2L_BN_BLOCKS_H
#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

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

// The system hands out a new array page by page, as each page is first written to. For a large array
// that takes longer than all the loops together. Asked for at once, the pages take half as long.
// (Large pages take less still, but several times as long where memory is scattered. All measured.)
inline void ask_for_pages(void* array, size_t bytes) {
#ifdef __linux__
  const int POPULATE_WRITE = 23;  // MADV_POPULATE_WRITE of Linux 5.14; older ones just refuse it
  const size_t page = sysconf(_SC_PAGESIZE), from = (size_t(array) + page - 1) / page * page;
  const size_t to = (size_t(array) + bytes) / page * page;
  if (bytes >= 4 << 20) madvise(reinterpret_cast<void*>(from), to - from, POPULATE_WRITE);
#endif
}
#endif
