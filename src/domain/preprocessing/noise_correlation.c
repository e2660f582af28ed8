/* How the noise of neighbouring pixels hangs together, on sky without sources.
 *
 * C(d) = <z(p) z(p+d)> over pairs of sound pixels, z = pixel/noise. Besides noise there is
 * structure in it: what the background mesh left over, the same at all short lags; stars too faint
 * to be masked, which follow the autocorrelation of the PSF; nebulae, galaxies and flat fields,
 * which are wider. These three are fitted at lags of 4 to 12 px, where noise of resampled images no
 * longer reaches, with amplitudes that cannot be negative, and taken off at the short lags. */
#include "core/base/memory.h"
#include "domain/preprocessing/prepare_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    NEAR = AID_NOISE_LAG,
    FAR_ROWS = 12, /* the greatest lag */
    STRIPE = 32,   /* rows of a task */
    PAD = 16,      /* zeros on either side of a row */
    LANES = 16,
    SHAPES = 3,          /* of structure: constant, stars, wider things */
    ENOUGH_PAIRS = 10000 /* 1 % of correlation is one sigma of that many */
};
static const double wanted_pixels = 1.2e6;
static const float clip_at = 4.0f;     /* sigma */
static const double significant = 4.0; /* standard errors */
static const double least_correlation = 0.01;
static const double wide_per_star = 4.0; /* width of wide structure */
static const double least_sky = 0.15;    /* of the pixels, free of sources */
static const double most_structure =
    0.4;                                 /* of the variance; beyond, it cannot be told from noise */
static const double usual_fwhm_px = 3.0; /* where there are no stars to ask */

typedef struct lag {
    int dx, dy;
} lag;

/* Half of the plane is enough. */
static const lag lags[] = {
    {0, 0},
    {1, 0},
    {2, 0},
    {3, 0},
    {-3, 1},
    {-2, 1},
    {-1, 1},
    {0, 1},
    {1, 1},
    {2, 1},
    {3, 1},
    {-3, 2},
    {-2, 2},
    {-1, 2},
    {0, 2},
    {1, 2},
    {2, 2},
    {3, 2},
    {-3, 3},
    {-2, 3},
    {-1, 3},
    {0, 3},
    {1, 3},
    {2, 3},
    {3, 3},
    /* structure */
    {4, 0},
    {5, 0},
    {0, 4},
    {0, 5},
    {-4, 2},
    {-2, 4},
    {2, 4},
    {4, 2},
    {4, 4},
    {-4, 4},
    {6, 0},
    {0, 6},
    {9, 0},
    {12, 0},
    {0, 9},
    {0, 12},
    {8, 8},
    {-8, 8},
};
enum { LAGS = AID_COUNT_OF(lags), FIRST_FAR = 25 };

typedef struct lag_sums {
    double products[LAGS], pairs[LAGS], sum, looked_at;
} lag_sums;

typedef struct lag_job {
    const aid_exposure *exposure;
    const aid_mask *sources;
    int64_t step; /* every so many-th stripe is taken */
    lag_sums *sums;
} lag_job;

/* ---------------------------------------------------------------------------------------- sums */

/* Rows of normalised pixels and of 1 (sound) or 0, with zeros around them. */
typedef struct row_pair {
    float *value, *weight;
} row_pair;

static void load_row(const lag_job *job, int32_t y, float *sigma, row_pair row)
{
    int32_t width = job->exposure->image.width;
    const float *pixels = aid_image_row(&job->exposure->image, y);
    const uint8_t *mask = aid_mask_row(&job->exposure->mask, y);
    const uint8_t *sources = aid_mask_row(job->sources, AID_MIN(y / 2, job->sources->height - 1));
    aid_mesh_row(&job->exposure->noise, y, sigma);
    for (int32_t x = 0; x < width; x++) {
        float z = pixels[x] / sigma[x];
        bool sound = !mask[x] && x / 2 < job->sources->width && !sources[x / 2] && isfinite(z);
        z = z < clip_at ? z : clip_at;
        row.value[PAD + x] = sound ? (z > -clip_at ? z : -clip_at) : 0.0f;
        row.weight[PAD + x] = sound ? 1.0f : 0.0f;
    }
}

/* Sums in lanes: single precision would lose digits over a whole image, not over a row. */
AID_HOT static float dot(const float *restrict a, const float *restrict b, int32_t count)
{
    float lanes[LANES] = {0}, sum = 0.0f;
    for (int32_t i = 0; i + LANES <= count; i += LANES)
        for (int k = 0; k < LANES; k++)
            lanes[k] += a[i + k] * b[i + k];
    for (int32_t i = count - count % LANES; i < count; i++)
        sum += a[i] * b[i];
    for (int k = 0; k < LANES; k++)
        sum += lanes[k];
    return sum;
}

static void add_row(const row_pair *rows, int32_t width, int32_t rows_below, lag_sums *sums)
{
    for (size_t k = 0; k < LAGS; k++) {
        if (lags[k].dy > rows_below)
            continue;
        const row_pair *other = &rows[lags[k].dy];
        sums->products[k] +=
            (double)dot(rows[0].value + PAD, other->value + PAD + lags[k].dx, width);
        sums->pairs[k] +=
            (double)dot(rows[0].weight + PAD, other->weight + PAD + lags[k].dx, width);
    }
    sums->sum += (double)dot(rows[0].value + PAD, rows[0].weight + PAD, width);
    sums->looked_at += width;
}

static aid_status sum_stripe(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    const lag_job *job = context;
    int32_t width = job->exposure->image.width, height = job->exposure->image.height;
    size_t padded = (size_t)width + 2 * PAD;
    AID_CLEANUP(aid_free_pointer)
    float *buffer = NULL;
    AID_TRY(aid_new_array(padded * 2 * (STRIPE + FAR_ROWS) + (size_t)width, sizeof *buffer, "rows",
                          &buffer, err));
    row_pair rows[STRIPE + FAR_ROWS];
    for (int i = 0; i < STRIPE + FAR_ROWS; i++)
        rows[i] =
            (row_pair){buffer + padded * 2 * (size_t)i, buffer + padded * (2 * (size_t)i + 1)};
    float *sigma = buffer + padded * 2 * (STRIPE + FAR_ROWS);
    int64_t begin, end;
    aid_band_range(height, STRIPE, task * job->step, &begin, &end);
    int32_t last = (int32_t)AID_MIN(end + FAR_ROWS, height);
    for (int32_t y = (int32_t)begin; y < last; y++)
        load_row(job, y, sigma, rows[y - begin]);
    for (int32_t y = (int32_t)begin; y < end; y++)
        add_row(rows + (y - begin), width, last - 1 - y, &job->sums[task]);
    return AID_OK;
}

/* -------------------------------------------------------------------------------- interpretation
 */

/* Autocorrelation of a Moffat star (beta = 3) at a distance, by summing over pixels, 1 at none. */
static double star_correlation(double fwhm_px, double distance)
{
    enum { REACH = 20 };
    double alpha = fwhm_px / (2.0 * sqrt(pow(2.0, 1.0 / 3.0) - 1.0)), sum = 0.0, norm = 0.0;
    for (int y = -REACH; y <= REACH; y++)
        for (int x = -REACH; x <= REACH; x++) {
            double left = x + 0.5 * distance, right = x - 0.5 * distance;
            double a = pow(1.0 + (left * left + y * y) / (alpha * alpha), -3.0);
            double b = pow(1.0 + (right * right + y * y) / (alpha * alpha), -3.0);
            double c = pow(1.0 + (double)(x * x + y * y) / (alpha * alpha), -3.0);
            sum += a * b;
            norm += c * c;
        }
    return sum / norm;
}

/* shapes[k][s]: what one unit of structure s adds at lag k. */
static void tabulate_shapes(double fwhm_px, double shapes[LAGS][SHAPES])
{
    bool known = fwhm_px > 1.0 && fwhm_px < 12.0;
    double fwhm = known ? fwhm_px : usual_fwhm_px;
    for (size_t k = 0; k < LAGS; k++) {
        double distance = hypot(lags[k].dx, lags[k].dy);
        shapes[k][0] = 1.0;
        shapes[k][1] = star_correlation(fwhm, distance);
        shapes[k][2] = star_correlation(wide_per_star * fwhm, distance);
    }
}

/* Solves the normal equations of the shapes in `subset` (bits) by elimination. false: singular. */
static bool solve_subset(double matrix[SHAPES][SHAPES], const double right[SHAPES], unsigned subset,
                         double ret_amplitudes[SHAPES])
{
    double rows[SHAPES][SHAPES + 1];
    for (int i = 0; i < SHAPES; i++)
        for (int j = 0; j <= SHAPES; j++) {
            bool used = subset >> i & 1 && (j == SHAPES || subset >> j & 1);
            rows[i][j] = used ? (j == SHAPES ? right[i] : matrix[i][j]) : (i == j ? 1.0 : 0.0);
        }
    for (int i = 0; i < SHAPES; i++) {
        if (!(rows[i][i] > 1e-9))
            return false;
        for (int k = 0; k < SHAPES; k++) {
            double factor = k == i ? 0.0 : rows[k][i] / rows[i][i];
            for (int j = 0; j <= SHAPES; j++)
                rows[k][j] -= factor * rows[i][j];
        }
    }
    for (int i = 0; i < SHAPES; i++)
        ret_amplitudes[i] = rows[i][SHAPES] / rows[i][i];
    return true;
}

/* Least squares at the far lags over all subsets of shapes: the best one without a negative
 * amplitude is the solution. */
static void fit_structure(const double *covariance, double shapes[LAGS][SHAPES],
                          double ret_amplitudes[SHAPES])
{
    double matrix[SHAPES][SHAPES] = {{0}}, right[SHAPES] = {0}, best = 0.0;
    for (size_t k = FIRST_FAR; k < LAGS; k++)
        for (int i = 0; i < SHAPES; i++) {
            right[i] += shapes[k][i] * covariance[k];
            for (int j = 0; j < SHAPES; j++)
                matrix[i][j] += shapes[k][i] * shapes[k][j];
        }
    memset(ret_amplitudes, 0, SHAPES * sizeof *ret_amplitudes);
    for (unsigned subset = 1; subset < 1u << SHAPES; subset++) {
        double amplitudes[SHAPES], explained = 0.0;
        if (!solve_subset(matrix, right, subset, amplitudes))
            continue;
        bool allowed = true;
        for (int i = 0; i < SHAPES; i++) {
            allowed = allowed && amplitudes[i] >= 0.0;
            explained += amplitudes[i] * right[i]; /* of the sum of squares */
        }
        if (!allowed || explained <= best)
            continue;
        best = explained;
        memcpy(ret_amplitudes, amplitudes, sizeof amplitudes);
    }
}

/* false where structure is so much of the variance that nothing can be said about noise. */
static bool remove_structure(double *covariance, double fwhm_px)
{
    double shapes[LAGS][SHAPES], amplitudes[SHAPES], total = 0.0;
    tabulate_shapes(fwhm_px, shapes);
    fit_structure(covariance, shapes, amplitudes);
    for (int i = 0; i < SHAPES; i++)
        total += amplitudes[i];
    if (!(total <= most_structure * covariance[0]))
        return false;
    for (size_t k = 0; k < LAGS; k++)
        for (int i = 0; i < SHAPES; i++)
            covariance[k] -= amplitudes[i] * shapes[k][i];
    return covariance[0] > 0.0;
}

static void set_correlation(aid_noise_correlation *correlation, lag at, double value)
{
    correlation->rho[NEAR + at.dy][NEAR + at.dx] = (float)value;
    correlation->rho[NEAR - at.dy][NEAR - at.dx] = (float)value;
}

static void interpret(const lag_sums *sums, double fwhm_px, aid_noise_correlation *correlation)
{
    double covariance[LAGS], error[LAGS];
    if (sums->pairs[0] < AID_MAX(ENOUGH_PAIRS, least_sky * sums->looked_at))
        return;
    double mean = sums->sum / sums->pairs[0];
    for (size_t k = 0; k < LAGS; k++) {
        if (sums->pairs[k] < 0.1 * ENOUGH_PAIRS)
            return;
        covariance[k] = sums->products[k] / sums->pairs[k] - mean * mean;
        error[k] = covariance[0] / sqrt(sums->pairs[k]);
    }
    if (!remove_structure(covariance, fwhm_px))
        return;
    correlation->measured = true;
    for (size_t k = 1; k < FIRST_FAR; k++) {
        double rho = covariance[k] / covariance[0];
        double limit = AID_MAX(significant * error[k] / covariance[0], least_correlation);
        set_correlation(correlation, lags[k], fabs(rho) < limit ? 0.0 : rho);
    }
}

static void add_sums(const lag_sums *from, lag_sums *to)
{
    for (size_t k = 0; k < LAGS; k++) {
        to->products[k] += from->products[k];
        to->pairs[k] += from->pairs[k];
    }
    to->sum += from->sum;
    to->looked_at += from->looked_at;
}

aid_status aid_prepare_correlation(const aid_exposure *exposure, const aid_blocks *blocks,
                                   aid_pool *pool, aid_noise_correlation *ret_correlation,
                                   aid_error *err)
{
    int64_t stripes = aid_band_count(exposure->image.height, STRIPE);
    double pixels = (double)exposure->image.width * exposure->image.height;
    lag_job job = {.exposure = exposure, .sources = &blocks->sources};
    job.step = AID_MAX((int64_t)(pixels / wanted_pixels), 1);
    int64_t tasks = (stripes + job.step - 1) / job.step;
    AID_CLEANUP(aid_free_pointer)
    lag_sums *sums = NULL;
    AID_TRY(aid_new_array((size_t)tasks, sizeof *sums, "noise correlation", &sums, err));
    job.sums = sums;
    AID_TRY(aid_pool_run(pool, tasks, sum_stripe, &job, err));
    lag_sums total = {.sum = 0.0};
    for (int64_t i = 0; i < tasks; i++)
        add_sums(&sums[i], &total);
    aid_noise_correlation correlation = {.measured = false};
    correlation.rho[NEAR][NEAR] = 1.0f;
    interpret(&total, exposure->stars.fwhm_px, &correlation);
    *ret_correlation = correlation;
    return AID_OK;
}

aid_status aid_measure_noise_correlation(const aid_exposure *exposure, aid_pool *pool,
                                         aid_noise_correlation *ret_correlation, aid_error *err)
{
    AID_CLEANUP(aid_blocks_done)
    aid_blocks blocks = {0};
    AID_TRY(aid_blocks_init(&exposure->image, &exposure->mask, pool, &blocks, err));
    return aid_prepare_correlation(exposure, &blocks, pool, ret_correlation, err);
}
