#include "core/base/random.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

aid_random aid_random_seeded(uint64_t seed, uint64_t stream)
{
    uint64_t mixed = seed;
    uint64_t state = splitmix64(&mixed) ^ (stream * 0xd1342543de82ef95U);
    aid_random random = {0};
    for (int i = 0; i < 4; i++)
        random.state[i] = splitmix64(&state);
    return random;
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t aid_random_bits(aid_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double aid_random_uniform(aid_random *random)
{
    return (double)(aid_random_bits(random) >> 11) * 0x1p-53;
}

double aid_random_normal(aid_random *random)
{
    if (random->has_spare) {
        random->has_spare = false;
        return random->spare_normal;
    }
    double u, v, s;
    do {
        u = 2.0 * aid_random_uniform(random) - 1.0;
        v = 2.0 * aid_random_uniform(random) - 1.0;
        s = u * u + v * v;
    } while (s >= 1.0 || s == 0.0);
    double factor = sqrt(-2.0 * log(s) / s);
    random->spare_normal = v * factor;
    random->has_spare = true;
    return u * factor;
}

static double poisson_by_counting(aid_random *random, double mean)
{
    double limit = exp(-mean), product = aid_random_uniform(random), count = 0.0;
    while (product > limit) {
        product *= aid_random_uniform(random);
        count += 1.0;
    }
    return count;
}

/* ln k! by Stirling's series from 9 on, good to 1e-11 there. lgamma would write the process's
 * signgam, which threads share. */
static double log_factorial(double k)
{
    static const double small[] = {1, 1, 2, 6, 24, 120, 720, 5040, 40320};
    if (k < 9.0)
        return log(small[(int)k]);
    double x = k + 1.0, r = 1.0 / (x * x);
    double series = (1.0 / 12.0 - r * (1.0 / 360.0 - r / 1260.0)) / x;
    return (x - 0.5) * log(x) - x + 0.91893853320467274178 + series;
}

/* PTRS: a hat of 1/(b |u| + ...)^2 over the transformed density. */
static double poisson_by_rejection(aid_random *random, double mean)
{
    double b = 0.931 + 2.53 * sqrt(mean), a = -0.059 + 0.02483 * b;
    double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), v_r = 0.9277 - 3.6224 / (b - 2.0);
    for (;;) {
        double u = aid_random_uniform(random) - 0.5, v = aid_random_uniform(random);
        double us = 0.5 - fabs(u), k = floor((2.0 * a / us + b) * u + mean + 0.43);
        if (us >= 0.07 && v <= v_r)
            return k;
        if (k < 0.0 || (us < 0.013 && v > us))
            continue;
        if (log(v) + log(inverse_alpha) - log(a / (us * us) + b) <=
            -mean + k * log(mean) - log_factorial(k))
            return k;
    }
}

double aid_random_poisson(aid_random *random, double mean)
{
    if (!(mean > 0.0))
        return 0.0;
    if (mean < 12.0)
        return poisson_by_counting(random, mean);
    if (mean <= 1e7)
        return poisson_by_rejection(random, mean);
    double value = floor(mean + sqrt(mean) * aid_random_normal(random) + 0.5);
    return value > 0.0 ? value : 0.0;
}
