/* Detection filters by name, and their separable form: a singular value decomposition makes a sum
 * of few products of a column and a row of any filter, and most are one such product. */
#include "core/base/memory.h"
#include "domain/extraction/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double fwhm_per_sigma = 2.354820045030949;
/* Terms are left out once what is left of the filter's power is a smaller share than this: a named
 * filter is what its name says to single precision; a matched one finds sources no worse. */
static const double named_tolerance = 1e-12, matched_tolerance = 1e-5;

void aid_kernel_done(aid_kernel *kernel)
{
    free(kernel->weights);
    free(kernel->rows);
    free(kernel->columns);
    *kernel = (aid_kernel){0};
}

/* ---------------------------------------------------------------------------------- separation */

/* One sweep of one-sided Jacobi rotations (Hestenes 1958) over the columns of `a` [n][n], gathered
 * in `v`. Returns the largest cosine between two columns that was found. */
static double rotate_columns(int n, double *a, double *v)
{
    double worst = 0.0;
    for (int p = 0; p < n; p++)
        for (int q = p + 1; q < n; q++) {
            double alpha = 0.0, beta = 0.0, gamma = 0.0;
            for (int i = 0; i < n; i++) {
                alpha += a[i * n + p] * a[i * n + p];
                beta += a[i * n + q] * a[i * n + q];
                gamma += a[i * n + p] * a[i * n + q];
            }
            if (!(fabs(gamma) > 1e-15 * sqrt(alpha * beta)) || alpha * beta < 1e-60)
                continue;
            worst = AID_MAX(worst, fabs(gamma) / sqrt(alpha * beta));
            double zeta = (beta - alpha) / (2.0 * gamma);
            double t = (zeta > 0.0 ? 1.0 : -1.0) / (fabs(zeta) + sqrt(1.0 + zeta * zeta));
            double c = 1.0 / sqrt(1.0 + t * t), s = c * t;
            for (int i = 0; i < n; i++) {
                double ap = a[i * n + p], vp = v[i * n + p];
                a[i * n + p] = c * ap - s * a[i * n + q];
                a[i * n + q] = s * ap + c * a[i * n + q];
                v[i * n + p] = c * vp - s * v[i * n + q];
                v[i * n + q] = s * vp + c * v[i * n + q];
            }
        }
    return worst;
}

/* The columns' norms squared; the index of the largest that is not `taken`. */
static int strongest_column(int n, const double *a, const bool *taken, double *ret_power)
{
    int best = -1;
    *ret_power = 0.0;
    for (int k = 0; k < n; k++) {
        double power = 0.0;
        for (int i = 0; i < n; i++)
            power += a[i * n + k] * a[i * n + k];
        if (!taken[k] && (best < 0 || power > *ret_power)) {
            best = k;
            *ret_power = power;
        }
    }
    return best;
}

static void keep_terms(aid_kernel *kernel, const double *a, const double *v, double total)
{
    int n = kernel->side;
    bool taken[AID_MAX_KERNEL_SIDE] = {0};
    double left = total, tolerance = kernel->matched ? matched_tolerance : named_tolerance;
    for (kernel->rank = 0; kernel->rank < n && left > tolerance * total;) {
        double power;
        int k = strongest_column(n, a, taken, &power);
        taken[k] = true;
        double scale = sqrt(sqrt(power)); /* shared evenly, so that both factors stay near 1 */
        for (int i = 0; i < n; i++) {
            kernel->columns[kernel->rank * n + i] = (float)(a[i * n + k] / scale);
            kernel->rows[kernel->rank * n + i] = (float)(v[i * n + k] * scale);
        }
        kernel->rank++;
        left -= power;
    }
}

static aid_status separate(aid_kernel *kernel, aid_error *err)
{
    int n = kernel->side;
    size_t count = (size_t)n * (size_t)n;
    AID_CLEANUP(aid_free_pointer)
    double *a = NULL;
    AID_TRY(aid_new_array(2 * count, sizeof *a, "filter", &a, err));
    double *v = a + count, total = 0.0;
    for (size_t i = 0; i < count; i++) {
        a[i] = (double)kernel->weights[i];
        total += a[i] * a[i];
    }
    for (int i = 0; i < n; i++)
        v[i * n + i] = 1.0;
    for (int sweep = 0; sweep < 30 && rotate_columns(n, a, v) > 1e-12; sweep++)
        ;
    keep_terms(kernel, a, v, total);
    return AID_OK;
}

/* The weights as the kept terms make them. */
static void rebuild_weights(aid_kernel *kernel)
{
    int n = kernel->side;
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++) {
            double sum = 0.0;
            for (int r = 0; r < kernel->rank; r++)
                sum += (double)kernel->columns[r * n + j] * (double)kernel->rows[r * n + i];
            kernel->weights[j * n + i] = (float)sum;
        }
}

/* ------------------------------------------------------------------------------------- building */

/* Weights to a sum of 1, or, where they cancel as a Mexican hat's do, to unit noise. */
static void normalise(aid_kernel *kernel)
{
    double sum = 0.0, absolute = 0.0, squares = 0.0;
    int count = kernel->side * kernel->side;
    for (int i = 0; i < count; i++) {
        double weight = (double)kernel->weights[i];
        sum += weight;
        absolute += fabs(weight);
        squares += weight * weight;
    }
    double scale = fabs(sum) > 1e-2 * absolute ? 1.0 / sum : 1.0 / sqrt(squares);
    for (int i = 0; i < count; i++)
        kernel->weights[i] = (float)((double)kernel->weights[i] * scale);
}

static aid_status allocate(int side, bool matched, aid_kernel *kernel, aid_error *err)
{
    size_t count = (size_t)side * (size_t)side;
    *kernel = (aid_kernel){.side = side, .matched = matched};
    AID_TRY(aid_new_array(count, sizeof(float), "filter", &kernel->weights, err));
    AID_TRY(aid_new_array(count, sizeof(float), "filter", &kernel->rows, err));
    return aid_new_array(count, sizeof(float), "filter", &kernel->columns, err);
}

static aid_status finish(aid_kernel *kernel, aid_kernel *ret_kernel, aid_error *err)
{
    normalise(kernel);
    AID_TRY(separate(kernel, err));
    rebuild_weights(kernel);
    double squares = 0.0;
    for (int i = 0; i < kernel->side * kernel->side; i++)
        squares += (double)kernel->weights[i] * (double)kernel->weights[i];
    kernel->noise = sqrt(squares);
    *ret_kernel = *kernel;
    *kernel = (aid_kernel){0};
    return AID_OK;
}

typedef double (*profile)(double radius2, double parameter);

static double gaussian(double radius2, double fwhm)
{
    double sigma = fwhm / fwhm_per_sigma;
    return exp(-0.5 * radius2 / (sigma * sigma));
}

/* The negative Laplacian of a Gaussian. */
static double mexican_hat(double radius2, double fwhm)
{
    double sigma = fwhm / fwhm_per_sigma, u = 0.5 * radius2 / (sigma * sigma);
    return (1.0 - u) * exp(-u);
}

static double top_hat(double radius2, double diameter)
{
    return 4.0 * radius2 <= diameter * diameter ? 1.0 : 0.0;
}

static aid_status build(profile function, double parameter, double reach, bool matched,
                        aid_kernel *ret_kernel, aid_error *err)
{
    int radius = (int)AID_CLAMP(ceil(reach), 1.0, AID_MAX_KERNEL_SIDE / 2);
    AID_CLEANUP(aid_kernel_done)
    aid_kernel kernel = {0};
    AID_TRY(allocate(2 * radius + 1, matched, &kernel, err));
    for (int y = -radius; y <= radius; y++)
        for (int x = -radius; x <= radius; x++)
            kernel.weights[(y + radius) * kernel.side + x + radius] =
                (float)function((double)x * x + (double)y * y, parameter);
    return finish(&kernel, ret_kernel, err);
}

/* Beyond 1.3 FWHM a Gaussian holds less than 1e-2 of its peak, and less than 1e-4 of its power. */
aid_status aid_kernel_gaussian(double fwhm_px, bool matched, aid_kernel *ret_kernel, aid_error *err)
{
    return build(gaussian, fwhm_px, 1.3 * fwhm_px, matched, ret_kernel, err);
}

aid_status aid_kernel_of_stamp(const float *stamp, int side, bool matched, aid_kernel *ret_kernel,
                               aid_error *err)
{
    if (side < 1 || side % 2 == 0 || side > AID_MAX_KERNEL_SIDE)
        AID_FAIL(err, AID_ERR_INVALID, "a filter of %d x %d pixels: up to %d, odd", side, side,
                 AID_MAX_KERNEL_SIDE);
    AID_CLEANUP(aid_kernel_done)
    aid_kernel kernel = {0};
    AID_TRY(allocate(side, matched, &kernel, err));
    memcpy(kernel.weights, stamp, (size_t)side * (size_t)side * sizeof *stamp);
    return finish(&kernel, ret_kernel, err);
}

/* SExtractor's default: 3 x 3, FWHM 2 px, weights 1 2 4. */
static aid_status build_default(aid_kernel *ret_kernel, aid_error *err)
{
    static const float pyramid[9] = {1, 2, 1, 2, 4, 2, 1, 2, 1};
    return aid_kernel_of_stamp(pyramid, 3, false, ret_kernel, err);
}

aid_status aid_kernel_named(const char *name, aid_kernel *ret_kernel, aid_error *err)
{
    static const struct {
        const char *prefix;
        profile function;
        double reach; /* in units of the size */
    } families[] = {
        {"gauss_", gaussian, 1.3}, {"mexhat_", mexican_hat, 1.9}, {"tophat_", top_hat, 0.5}};
    const float one = 1.0F;
    if (!strcmp(name, "default"))
        return build_default(ret_kernel, err);
    if (!strcmp(name, "none"))
        return aid_kernel_of_stamp(&one, 1, false, ret_kernel, err);
    for (size_t i = 0; i < AID_COUNT_OF(families); i++) {
        size_t length = strlen(families[i].prefix);
        if (strncmp(name, families[i].prefix, length) != 0)
            continue;
        char *end;
        double size = strtod(name + length, &end);
        if (end == name + length || *end || !(size >= 0.5 && size <= 16.0))
            AID_FAIL(err, AID_ERR_INVALID, "filter %s: its size must be between 0.5 and 16 px",
                     name);
        return build(families[i].function, size, families[i].reach * size, false, ret_kernel, err);
    }
    AID_FAIL(err, AID_ERR_INVALID,
             "filter %s is none of psf, default, none, gauss_N, mexhat_N, tophat_N", name);
}
