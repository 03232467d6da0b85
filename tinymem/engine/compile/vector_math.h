/* Elementary functions that a C compiler can turn into vector instructions: no branch, no table, no call.

   Each reduces its argument with fused multiply-adds, which the compiler may not regroup, and evaluates a polynomial.
   The tests bound their errors: at most three units in the last place. */
#include <stdint.h>

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
#define FMA32(a, b, c) __builtin_fmaf(a, b, c)
#define FMA64(a, b, c) __builtin_fma(a, b, c)
#else
#define FMA32(a, b, c) ((a) * (b) + (c))
#define FMA64(a, b, c) ((a) * (b) + (c))
#endif
#define INLINE static inline __attribute__((always_inline))

INLINE int32_t bits32(float x) { int32_t i; __builtin_memcpy(&i, &x, 4); return i; }
INLINE float float32_of(int32_t i) { float x; __builtin_memcpy(&x, &i, 4); return x; }
INLINE int64_t bits64(double x) { int64_t i; __builtin_memcpy(&i, &x, 8); return i; }
INLINE double float64_of(int64_t i) { double x; __builtin_memcpy(&x, &i, 8); return x; }

/* e^x = 2^n e^r, n = round(x / ln 2), |r| <= ln 2 / 2.  2^n in two factors, so that overflow and gradual underflow come out right. */
INLINE float exp_32(float x) {
  float c = x < -110.0f ? -110.0f : x;
  c = c > 100.0f ? 100.0f : c;
  float n = __builtin_rintf(c * 1.44269504088896341f);
  float r = FMA32(n, -0.693359375f, c);
  r = FMA32(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = FMA32(p, r, 1.3981999507e-3f);
  p = FMA32(p, r, 8.3334519073e-3f);
  p = FMA32(p, r, 4.1665795894e-2f);
  p = FMA32(p, r, 1.6666665459e-1f);
  p = FMA32(p, r, 5.0000001201e-1f);
  p = FMA32(p, r * r, r) + 1.0f;
  int32_t k = (int32_t)n, half = k >> 1;
  return p * float32_of((half + 127) << 23) * float32_of((k - half + 127) << 23);
}

INLINE double exp_64(double x) {
  double c = x < -800.0 ? -800.0 : x;
  c = c > 800.0 ? 800.0 : c;
  double n = __builtin_rint(c * 1.44269504088896340736);
  double r = FMA64(n, -6.93147180369123816490e-01, c);
  r = FMA64(n, -1.90821492927058770002e-10, r);
  double p = 1.0 / 6227020800.0;
  p = FMA64(p, r, 1.0 / 479001600.0);
  p = FMA64(p, r, 1.0 / 39916800.0);
  p = FMA64(p, r, 1.0 / 3628800.0);
  p = FMA64(p, r, 1.0 / 362880.0);
  p = FMA64(p, r, 1.0 / 40320.0);
  p = FMA64(p, r, 1.0 / 5040.0);
  p = FMA64(p, r, 1.0 / 720.0);
  p = FMA64(p, r, 1.0 / 120.0);
  p = FMA64(p, r, 1.0 / 24.0);
  p = FMA64(p, r, 1.0 / 6.0);
  p = FMA64(p, r, 0.5);
  p = FMA64(p, r * r, r) + 1.0;
  int64_t k = (int64_t)n, half = k >> 1;
  return p * float64_of((half + 1023) << 52) * float64_of((k - half + 1023) << 52);
}

/* ln x = e ln 2 + 2 atanh((m - 1) / (m + 1)), x = m 2^e with m in [√½, √2). */
INLINE float log_32(float x) {
  float scaled = x < 1.17549435e-38f ? x * 8388608.0f : x;
  float lift = x < 1.17549435e-38f ? -23.0f : 0.0f;
  int32_t i = bits32(scaled) - 0x3f3504f3;
  int32_t e = i >> 23;
  float m = float32_of((i & 0x007fffff) + 0x3f3504f3) - 1.0f;
  float z = m * m;
  float p = 7.0376836292e-2f;
  p = FMA32(p, m, -1.1514610310e-1f);
  p = FMA32(p, m, 1.1676998740e-1f);
  p = FMA32(p, m, -1.2420140846e-1f);
  p = FMA32(p, m, 1.4249322787e-1f);
  p = FMA32(p, m, -1.6668057665e-1f);
  p = FMA32(p, m, 2.0000714765e-1f);
  p = FMA32(p, m, -2.4999993993e-1f);
  p = FMA32(p, m, 3.3333331174e-1f);
  float n = (float)e + lift;
  float y = p * m * z;
  y = FMA32(n, -2.12194440e-4f, y);
  y = FMA32(z, -0.5f, y);
  y = FMA32(n, 0.693359375f, m + y);
  y = x == 0.0f ? -__builtin_inff() : y;
  y = x < 0.0f ? __builtin_nanf("") : y;
  return x == __builtin_inff() || x != x ? x : y;
}

INLINE double log_64(double x) {
  double scaled = x < 2.2250738585072014e-308 ? x * 4503599627370496.0 : x;
  double lift = x < 2.2250738585072014e-308 ? -52.0 : 0.0;
  int64_t i = bits64(scaled) - 0x3fe6a09e667f3bcdLL;
  int64_t e = i >> 52;
  double m = float64_of((i & 0x000fffffffffffffLL) + 0x3fe6a09e667f3bcdLL);
  double s = (m - 1.0) / (m + 1.0), z = s * s;
  double p = 1.0 / 23.0;
  p = FMA64(p, z, 1.0 / 21.0);
  p = FMA64(p, z, 1.0 / 19.0);
  p = FMA64(p, z, 1.0 / 17.0);
  p = FMA64(p, z, 1.0 / 15.0);
  p = FMA64(p, z, 1.0 / 13.0);
  p = FMA64(p, z, 1.0 / 11.0);
  p = FMA64(p, z, 1.0 / 9.0);
  p = FMA64(p, z, 1.0 / 7.0);
  p = FMA64(p, z, 1.0 / 5.0);
  p = FMA64(p, z, 1.0 / 3.0);
  double n = (double)e + lift;
  double y = FMA64(2.0 * s * z, p, n * 1.90821492927058770002e-10);
  y = FMA64(n, 6.93147180369123816490e-01, FMA64(2.0, s, y));
  y = x == 0.0 ? -__builtin_inf() : y;
  y = x < 0.0 ? __builtin_nan("") : y;
  return x == __builtin_inf() || x != x ? x : y;
}

/* ln(1 + x): by 2 atanh(x / (2 + x)) near 0, where 1 + x would lose x's digits. */
INLINE float log1p_32(float x) {
  float s = x / (2.0f + x), z = s * s;
  float p = 1.0f / 11.0f;
  p = FMA32(p, z, 1.0f / 9.0f);
  p = FMA32(p, z, 1.0f / 7.0f);
  p = FMA32(p, z, 1.0f / 5.0f);
  p = FMA32(p, z, 1.0f / 3.0f);
  float small = FMA32(2.0f * s * z, p, 2.0f * s);
  return x > -0.3f && x < 0.45f ? small : log_32(1.0f + x);
}

INLINE double log1p_64(double x) {
  double s = x / (2.0 + x), z = s * s;
  double p = 1.0 / 23.0;
  p = FMA64(p, z, 1.0 / 21.0);
  p = FMA64(p, z, 1.0 / 19.0);
  p = FMA64(p, z, 1.0 / 17.0);
  p = FMA64(p, z, 1.0 / 15.0);
  p = FMA64(p, z, 1.0 / 13.0);
  p = FMA64(p, z, 1.0 / 11.0);
  p = FMA64(p, z, 1.0 / 9.0);
  p = FMA64(p, z, 1.0 / 7.0);
  p = FMA64(p, z, 1.0 / 5.0);
  p = FMA64(p, z, 1.0 / 3.0);
  double small = FMA64(2.0 * s * z, p, 2.0 * s);
  return x > -0.3 && x < 0.42 ? small : log_64(1.0 + x);
}

/* tanh x: an odd rational function near 0, where 1 - 2 / (e^2x + 1) would cancel. */
INLINE float tanh_32(float x) {
  float a = x < 0.0f ? -x : x;
  float z = x * x;
  float p = -5.70498872745e-3f;
  p = FMA32(p, z, 2.06390887954e-2f);
  p = FMA32(p, z, -5.37397155531e-2f);
  p = FMA32(p, z, 1.33314422036e-1f);
  p = FMA32(p, z, -3.33332819422e-1f);
  float small = FMA32(p * z, x, x);
  float large = 1.0f - 2.0f / (exp_32(2.0f * a) + 1.0f);
  large = x < 0.0f ? -large : large;
  return a < 0.625f ? small : large;
}

INLINE double tanh_64(double x) {
  double a = x < 0.0 ? -x : x;
  double z = x * x;
  double p = FMA64(FMA64(-9.64399179425052238628e-1, z, -9.92877231001918586564e1), z, -1.61468768441708447952e3);
  double q = FMA64(FMA64(z + 1.12811678491632931402e2, z, 2.23548839060100448583e3), z, 4.84406305325125486048e3);
  double small = FMA64(x * z, p / q, x);
  double large = 1.0 - 2.0 / (exp_64(2.0 * a) + 1.0);
  large = x < 0.0 ? -large : large;
  return a < 0.625 ? small : large;
}
