/* What runs a program: the table of kernels, matrix products through somebody's BLAS, and rows that are no loop nest.

   A kernel is `void kernel(char **p, const int64_t *c, int64_t first, int64_t last)`: pointers to its arrays at this time
   step, its constants, and which turns of its outer loop it is to do. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef void (*kernel)(char **, const int64_t *, int64_t, int64_t);

/* One pointer of a call: base + step * slot(t), slot = t + shift, modulo period where that is not 0. */
typedef struct { char *base; int64_t step, shift, period; } pointer;
/* `turns` of the outer loop; how many of them a second thread may take over, in multiples of `grain` (0: none). */
typedef struct { kernel run; int64_t pointers, first_pointer, first_constant, turns, grain; } call;
/* Calls first .. last - 1, once, or for each of `length` time steps. */
typedef struct { int64_t first, last, start, length, step; } turn; /* calls first .. last - 1 at times start, start + step, .. */

/* A second thread, which waits for half a kernel.  While a program runs it spins, for a kernel takes microseconds; between
   runs it sleeps.  Programs that run at the same time do not share it: one of them does its work alone. */
#if defined(_WIN32)
static int helper_begins(void) { return 0; }
static void helper_ends(void) {}
static void in_two(const call *one, char **p, const int64_t *c, int64_t middle) { one->run(p, c, 0, one->turns); }
#else
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE() ((void)0)
#endif
/* Wait a few microseconds for the other thread; longer means that it lost its core, and somebody else should have this one. */
static void wait_a_little(int *waited) {
  if (++*waited < 4096)
    PAUSE();
  else
    sched_yield();
}
static struct {
  pthread_mutex_t owner, lock;
  pthread_cond_t wake;
  int64_t awake, asked, done, process;
  kernel run;
  char **p;
  const int64_t *c;
  int64_t first, last;
} helper = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0, 0, 0, 0, 0, 0, 0};

static void *help(void *nothing) {
  int64_t seen = 0;
  int waited = 0;
  for (;;) {
    pthread_mutex_lock(&helper.lock);
    while (!__atomic_load_n(&helper.awake, __ATOMIC_ACQUIRE)) pthread_cond_wait(&helper.wake, &helper.lock);
    pthread_mutex_unlock(&helper.lock);
    while (__atomic_load_n(&helper.awake, __ATOMIC_ACQUIRE)) {
      int64_t asked = __atomic_load_n(&helper.asked, __ATOMIC_ACQUIRE);
      if (asked == seen) {
        wait_a_little(&waited);
        continue;
      }
      seen = asked;
      waited = 0;
      helper.run(helper.p, helper.c, helper.first, helper.last);
      __atomic_store_n(&helper.done, asked, __ATOMIC_RELEASE);
    }
  }
  return nothing;
}

static int helper_begins(void) {
  if (pthread_mutex_trylock(&helper.owner)) return 0;
  if (helper.process != (int64_t)getpid()) { /* never started, or lost in a fork */
    pthread_t thread;
    pthread_mutex_init(&helper.lock, NULL);
    pthread_cond_init(&helper.wake, NULL);
    helper.asked = helper.done = 0;
    if (pthread_create(&thread, NULL, help, NULL)) {
      pthread_mutex_unlock(&helper.owner);
      return 0;
    }
    pthread_detach(thread);
    helper.process = (int64_t)getpid();
  }
  pthread_mutex_lock(&helper.lock);
  __atomic_store_n(&helper.awake, 1, __ATOMIC_RELEASE);
  pthread_cond_signal(&helper.wake);
  pthread_mutex_unlock(&helper.lock);
  return 1;
}

static void helper_ends(void) {
  __atomic_store_n(&helper.awake, 0, __ATOMIC_RELEASE);
  pthread_mutex_unlock(&helper.owner);
}

static void in_two(const call *one, char **p, const int64_t *c, int64_t middle) {
  helper.run = one->run;
  helper.p = p;
  helper.c = c;
  helper.first = middle;
  helper.last = one->turns;
  int64_t ask = helper.asked + 1;
  __atomic_store_n(&helper.asked, ask, __ATOMIC_RELEASE);
  one->run(p, c, 0, middle);
  int waited = 0;
  while (__atomic_load_n(&helper.done, __ATOMIC_ACQUIRE) != ask) wait_a_little(&waited);
}
#endif

void run_calls(const call *calls, int64_t first, int64_t last, const pointer *pointers, const int64_t *constants, int64_t t, int64_t helped) {
  char *p[1024];
  for (int64_t i = first; i < last; i++) {
    const call *one = calls + i;
    const pointer *q = pointers + one->first_pointer;
    for (int64_t k = 0; k < one->pointers; k++) {
      int64_t slot = t + q[k].shift;
      if (q[k].period) slot %= q[k].period;
      p[k] = q[k].step ? q[k].base + q[k].step * slot : q[k].base;
    }
    int64_t middle = helped && one->grain ? one->turns / 2 / one->grain * one->grain : 0;
    if (middle)
      in_two(one, p, constants + one->first_constant, middle);
    else
      one->run(p, constants + one->first_constant, 0, one->turns);
  }
}

void run_program(const turn *turns, int64_t count, const call *calls, const pointer *pointers, const int64_t *constants, int64_t threads) {
  int64_t helped = threads > 1 && helper_begins();
  for (int64_t n = 0; n < count; n++)
    for (int64_t i = 0; i < turns[n].length; i++)
      run_calls(calls, turns[n].first, turns[n].last, pointers, constants, turns[n].start + i * turns[n].step, helped);
  if (helped) helper_ends();
}

/* Matrix products: c = batch, m, n, k; for x, y, out: stride over the batch and leading dimension; whether x, y are stored
   transposed; whether to add; whether x is one row; then an inner batch and the strides of x, y, out over it. */
enum { ROW_MAJOR = 101, PLAIN = 111, TRANSPOSED = 112 };
typedef void (*gemm_32)(int, int, int, BLAS_INT, BLAS_INT, BLAS_INT, float, const float *, BLAS_INT, const float *, BLAS_INT, float, float *, BLAS_INT);
typedef void (*gemm_64)(int, int, int, BLAS_INT, BLAS_INT, BLAS_INT, double, const double *, BLAS_INT, const double *, BLAS_INT, double, double *, BLAS_INT);
typedef void (*gemv_32)(int, int, BLAS_INT, BLAS_INT, float, const float *, BLAS_INT, const float *, BLAS_INT, float, float *, BLAS_INT);
typedef void (*gemv_64)(int, int, BLAS_INT, BLAS_INT, double, const double *, BLAS_INT, const double *, BLAS_INT, double, double *, BLAS_INT);
static gemm_32 blas_gemm_32;
static gemm_64 blas_gemm_64;
static gemv_32 blas_gemv_32;
static gemv_64 blas_gemv_64;

void use_blas(void *sgemm, void *dgemm, void *sgemv, void *dgemv) {
  blas_gemm_32 = (gemm_32)sgemm;
  blas_gemm_64 = (gemm_64)dgemm;
  blas_gemv_32 = (gemv_32)sgemv;
  blas_gemv_64 = (gemv_64)dgemv;
}

#define PRODUCT(NAME, REAL, GEMM, GEMV)                                                                                        \
  void NAME(char **p, const int64_t *c, int64_t first, int64_t last) { /* rows first .. last - 1 of the product */             \
    int64_t batch = c[0], m = last - first, n = c[2], k = c[3];                                                                \
    REAL beta = (REAL)c[12];                                                                                                   \
    for (int64_t b = 0; b < batch * c[14]; b++) {                                                                              \
      int64_t i = b / c[14], j = b % c[14];                                                                                    \
      const REAL *x = (const REAL *)p[0] + i * c[4] + j * c[15] + first * (c[10] ? 1 : c[5]);                                  \
      const REAL *y = (const REAL *)p[1] + i * c[6] + j * c[16];                                                               \
      REAL *out = (REAL *)p[2] + i * c[8] + j * c[17] + first * c[9];                                                          \
      if (c[1] == 1 && c[13])                                                                                                     \
        GEMV(ROW_MAJOR, c[11] ? PLAIN : TRANSPOSED, c[11] ? n : k, c[11] ? k : n, 1, y, c[7], x, c[10] ? c[5] : 1, beta, out, 1);          \
      else                                                                                                                     \
        GEMM(ROW_MAJOR, c[10] ? TRANSPOSED : PLAIN, c[11] ? TRANSPOSED : PLAIN, m, n, k, 1, x, c[5], y, c[7], beta, out, c[9]); \
    }                                                                                                                          \
  }
PRODUCT(product_32, float, blas_gemm_32, blas_gemv_32)
PRODUCT(product_64, double, blas_gemm_64, blas_gemv_64)

/* Where there is no BLAS to call. */
#define PLAIN_PRODUCT(NAME, REAL)                                                                                              \
  void NAME(char **p, const int64_t *c, int64_t first, int64_t last) {                                                                                      \
    int64_t batch = c[0], n = c[2], k = c[3];                                                                                  \
    for (int64_t b = 0; b < batch * c[14]; b++) {                                                                              \
      int64_t outer = b / c[14], inner = b % c[14];                                                                            \
      const REAL *x = (const REAL *)p[0] + outer * c[4] + inner * c[15];                                                       \
      const REAL *y = (const REAL *)p[1] + outer * c[6] + inner * c[16];                                                       \
      REAL *out = (REAL *)p[2] + outer * c[8] + inner * c[17];                                                                 \
      for (int64_t i = first; i < last; i++) {                                                                                        \
        REAL *row = out + i * c[9];                                                                                            \
        if (!c[12]) memset(row, 0, n * sizeof(REAL));                                                                          \
        for (int64_t l = 0; l < k; l++) {                                                                                      \
          REAL a = c[10] ? x[l * c[5] + i] : x[i * c[5] + l];                                                                  \
          if (c[11])                                                                                                           \
            for (int64_t j = 0; j < n; j++) row[j] += a * y[j * c[7] + l];                                                     \
          else                                                                                                                 \
            for (int64_t j = 0; j < n; j++) row[j] += a * y[l * c[7] + j];                                                     \
        }                                                                                                                      \
      }                                                                                                                        \
    }                                                                                                                          \
  }
PLAIN_PRODUCT(plain_product_32, float)
PLAIN_PRODUCT(plain_product_64, double)

/* Gathers.  c = before, length of the axis, indices, after, size of an element; p[3] is where a wrong index is reported. */
static int64_t checked(int64_t index, int64_t length, char *report) {
  if (index < 0) index += length;
  if (index < 0 || index >= length) {
    *(int64_t *)report = 1;
    return 0;
  }
  return index;
}

void take(char **p, const int64_t *c, int64_t first, int64_t last) {
  const int64_t *index = (const int64_t *)p[1], chunk = c[3] * c[4];
  for (int64_t i = 0; i < c[0]; i++)
    for (int64_t j = 0; j < c[2]; j++)
      memcpy(p[2] + (i * c[2] + j) * chunk, p[0] + (i * c[1] + checked(index[j], c[1], p[3])) * chunk, chunk);
}

void take_along(char **p, const int64_t *c, int64_t first, int64_t last) { /* index has the shape (before, indices, after) */
  const int64_t *index = (const int64_t *)p[1];
  for (int64_t i = 0; i < c[0]; i++)
    for (int64_t j = 0; j < c[2]; j++)
      for (int64_t a = 0; a < c[3]; a++) {
        int64_t place = (i * c[2] + j) * c[3] + a;
        memcpy(p[2] + place * c[4], p[0] + ((i * c[1] + checked(index[place], c[1], p[3])) * c[3] + a) * c[4], c[4]);
      }
}

#define SCATTER(SUFFIX, REAL)                                                                             \
  void put_taken_##SUFFIX(char **p, const int64_t *c, int64_t first, int64_t last) {                                                   \
    const REAL *g = (const REAL *)p[0];                                                                   \
    const int64_t *index = (const int64_t *)p[1];                                                         \
    REAL *out = (REAL *)p[2];                                                                             \
    memset(out, 0, c[0] * c[1] * c[3] * sizeof(REAL));                                                    \
    for (int64_t i = 0; i < c[0]; i++)                                                                    \
      for (int64_t j = 0; j < c[2]; j++) {                                                                \
        REAL *row = out + (i * c[1] + checked(index[j], c[1], p[3])) * c[3];                              \
        const REAL *from = g + (i * c[2] + j) * c[3];                                                     \
        for (int64_t a = 0; a < c[3]; a++) row[a] += from[a];                                             \
      }                                                                                                   \
  }                                                                                                       \
  void put_along_##SUFFIX(char **p, const int64_t *c, int64_t first, int64_t last) {                                                   \
    const REAL *g = (const REAL *)p[0];                                                                   \
    const int64_t *index = (const int64_t *)p[1];                                                         \
    REAL *out = (REAL *)p[2];                                                                             \
    memset(out, 0, c[0] * c[1] * c[3] * sizeof(REAL));                                                    \
    for (int64_t i = 0; i < c[0]; i++)                                                                    \
      for (int64_t j = 0; j < c[2]; j++)                                                                  \
        for (int64_t a = 0; a < c[3]; a++) {                                                              \
          int64_t place = (i * c[2] + j) * c[3] + a;                                                      \
          out[(i * c[1] + checked(index[place], c[1], p[3])) * c[3] + a] += g[place];                     \
        }                                                                                                 \
  }                                                                                                       \
  void argmax_##SUFFIX(char **p, const int64_t *c, int64_t first, int64_t last) {                                                      \
    const REAL *x = (const REAL *)p[0];                                                                   \
    int64_t *out = (int64_t *)p[1];                                                                       \
    for (int64_t i = 0; i < c[0]; i++)                                                                    \
      for (int64_t a = 0; a < c[3]; a++) {                                                                \
        const REAL *row = x + i * c[1] * c[3] + a;                                                        \
        int64_t best = 0;                                                                                 \
        for (int64_t j = 1; j < c[1]; j++)                                                                \
          if (row[j * c[3]] > row[best * c[3]] || (row[j * c[3]] != row[j * c[3]] && row[best * c[3]] == row[best * c[3]])) best = j; \
        out[i * c[3] + a] = best;                                                                         \
      }                                                                                                   \
  }                                                                                                       \
  void cumsum_##SUFFIX(char **p, const int64_t *c, int64_t first, int64_t last) {                                                      \
    const REAL *x = (const REAL *)p[0];                                                                   \
    REAL *out = (REAL *)p[1];                                                                             \
    for (int64_t i = 0; i < c[0]; i++)                                                                    \
      for (int64_t j = 0; j < c[1]; j++)                                                                  \
        for (int64_t a = 0; a < c[3]; a++) {                                                              \
          int64_t place = (i * c[1] + j) * c[3] + a;                                                      \
          out[place] = j ? out[place - c[3]] + x[place] : x[place];                                       \
        }                                                                                                 \
  }                                                                                                       \
  void cumprod_##SUFFIX(char **p, const int64_t *c, int64_t first, int64_t last) {                                                     \
    const REAL *x = (const REAL *)p[0];                                                                   \
    REAL *out = (REAL *)p[1];                                                                             \
    for (int64_t i = 0; i < c[0]; i++)                                                                    \
      for (int64_t j = 0; j < c[1]; j++)                                                                  \
        for (int64_t a = 0; a < c[3]; a++) {                                                              \
          int64_t place = (i * c[1] + j) * c[3] + a;                                                      \
          out[place] = j ? out[place - c[3]] * x[place] : x[place];                                       \
        }                                                                                                 \
  }                                                                                                       \
  /* Insertion into runs, then merging: stable, so that equal numbers keep their order; NaN goes last. */ \
  static int before_##SUFFIX(REAL a, REAL b) { return a < b || (b != b && a == a); }                      \
  void argsort_##SUFFIX(char **p, const int64_t *c, int64_t first, int64_t last) {                                                     \
    int64_t n = c[1], after = c[3];                                                                       \
    int64_t *order = malloc(2 * n * sizeof(int64_t)), *other = order + n;                                 \
    for (int64_t i = 0; i < c[0]; i++)                                                                    \
      for (int64_t a = 0; a < after; a++) {                                                               \
        const REAL *x = (const REAL *)p[0] + i * n * after + a;                                           \
        for (int64_t j = 0; j < n; j++) order[j] = j;                                                     \
        for (int64_t width = 1; width < n; width *= 2) {                                                  \
          for (int64_t low = 0; low < n; low += 2 * width) {                                              \
            int64_t middle = low + width < n ? low + width : n, high = low + 2 * width < n ? low + 2 * width : n; \
            int64_t l = low, r = middle;                                                                  \
            for (int64_t k = low; k < high; k++)                                                          \
              other[k] = r < high && (l >= middle || before_##SUFFIX(x[order[r] * after], x[order[l] * after])) ? order[r++] : order[l++]; \
          }                                                                                               \
          int64_t *swap = order;                                                                          \
          order = other;                                                                                  \
          other = swap;                                                                                   \
        }                                                                                                 \
        for (int64_t j = 0; j < n; j++) ((int64_t *)p[1])[(i * n + j) * after + a] = order[j];            \
      }                                                                                                   \
    free(order < other ? order : other);                                                                  \
  }
SCATTER(32, float)
SCATTER(64, double)
SCATTER(whole, int64_t)
