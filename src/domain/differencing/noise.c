/* Noise in Fourier space: the power spectra that correlated noise has, what both images share, and
 * the variance of U that follows. */
#include "core/base/memory.h"
#include "domain/differencing/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A frequency that resampling has emptied must not be divided by. */
static const float least_power = 0.02F;

void aid_noise_spectra_done(aid_noise_spectra *noise)
{
    free(noise->science);
    free(noise->reference);
    free(noise->shared);
    *noise = (aid_noise_spectra){0};
}

/* Spectrum of a correlation over lags up to AID_NOISE_LAG; white where none was measured. */
static void correlation_spectrum(const aid_noise_correlation *correlation, int size,
                                 const aid_fft *fft, float *pixels, float complex *spectrum)
{
    memset(pixels, 0, (size_t)size * (size_t)size * sizeof *pixels);
    for (int dy = -AID_NOISE_LAG; dy <= AID_NOISE_LAG; dy++)
        for (int dx = -AID_NOISE_LAG; dx <= AID_NOISE_LAG; dx++) {
            float white = (float)(dx == 0 && dy == 0);
            pixels[((dy + size) % size) * size + (dx + size) % size] =
                correlation->measured ? correlation->rho[dy + AID_NOISE_LAG][dx + AID_NOISE_LAG]
                                      : white;
        }
    aid_fft_forward(fft, pixels, spectrum);
}

static void keep_power(const float complex *spectrum, int64_t modes, float *power)
{
    for (int64_t i = 0; i < modes; i++)
        power[i] = AID_MAX(crealf(spectrum[i]), least_power);
}

aid_status aid_noise_spectra_init(const aid_subtraction *plan, const aid_noise_correlation *shared,
                                  int size, const aid_fft *fft, aid_noise_spectra *ret_noise,
                                  aid_error *err)
{
    AID_CLEANUP(aid_noise_spectra_done)
    aid_noise_spectra noise = {0};
    AID_CLEANUP(aid_free_pointer)
    float *pixels = NULL;
    AID_CLEANUP(aid_free_pointer)
    float complex *spectrum = NULL;
    noise.modes = (int64_t)size * (size / 2 + 1);
    size_t modes = (size_t)noise.modes;
    AID_TRY(aid_new_array((size_t)size * (size_t)size, sizeof *pixels, "noise", &pixels, err));
    AID_TRY(aid_new_array(modes, sizeof *spectrum, "noise", &spectrum, err));
    AID_TRY(aid_new_array(modes, sizeof *noise.science, "noise", &noise.science, err));
    AID_TRY(aid_new_array(modes, sizeof *noise.reference, "noise", &noise.reference, err));
    correlation_spectrum(&plan->science->correlation, size, fft, pixels, spectrum);
    keep_power(spectrum, noise.modes, noise.science);
    correlation_spectrum(&plan->reference->correlation, size, fft, pixels, spectrum);
    keep_power(spectrum, noise.modes, noise.reference);
    if (shared->measured) {
        correlation_spectrum(shared, size, fft, pixels, spectrum);
        noise.shared = spectrum;
        spectrum = NULL;
    }
    *ret_noise = noise;
    noise = (aid_noise_spectra){0};
    return AID_OK;
}

AID_HOT static void own_variance(const float *restrict kernel, const float *restrict power,
                                 float scale, int64_t modes, float *restrict variance)
{
    for (int64_t i = 0; i < modes; i++)
        variance[i] += scale * power[i] *
                       (kernel[2 * i] * kernel[2 * i] + kernel[2 * i + 1] * kernel[2 * i + 1]);
}

AID_HOT static void own_variance_of_one(const float *restrict power, float scale, int64_t modes,
                                        float *restrict variance)
{
    for (int64_t i = 0; i < modes; i++)
        variance[i] += scale * power[i];
}

/* 2 sN sR Re(conj(A) B G); it cannot take more than 95 % of the variance away. */
static void take_shared(const aid_noise_spectra *noise, const float complex *a,
                        const float complex *b, float scale, float *variance)
{
    for (int64_t i = 0; i < noise->modes; i++) {
        float ar = a ? crealf(a[i]) : 1.0F, ai = a ? cimagf(a[i]) : 0.0F;
        float br = b ? crealf(b[i]) : 1.0F, bi = b ? cimagf(b[i]) : 0.0F;
        float re = ar * br + ai * bi, im = ar * bi - ai * br;
        float shared = re * crealf(noise->shared[i]) - im * cimagf(noise->shared[i]);
        variance[i] = AID_MAX(variance[i] - 2.0F * scale * shared, 0.05F * variance[i]);
    }
}

void aid_mode_variance(const aid_noise_spectra *noise, const float complex *a,
                       const float complex *b, const double sigma[2], float *ret_variance)
{
    float vn = (float)(sigma[0] * sigma[0]), vr = (float)(sigma[1] * sigma[1]);
    memset(ret_variance, 0, (size_t)noise->modes * sizeof *ret_variance);
    if (a)
        own_variance((const float *)a, noise->science, vn, noise->modes, ret_variance);
    else
        own_variance_of_one(noise->science, vn, noise->modes, ret_variance);
    if (b)
        own_variance((const float *)b, noise->reference, vr, noise->modes, ret_variance);
    else
        own_variance_of_one(noise->reference, vr, noise->modes, ret_variance);
    if (noise->shared)
        take_shared(noise, a, b, (float)(sigma[0] * sigma[1]), ret_variance);
}

/* ------------------------------------------------------------------------------ shared noise */

enum { ENOUGH_PIXELS = 131072, FEWEST_PIXELS = 20000, SIDE = 2 * AID_NOISE_LAG + 1, FAR_LAG = 9 };
static const double clip_sigma = 3.5; /* sky pixels of both images lie within */
/* Noise hangs together over a pixel or two; stars that are too faint to be masked, over a PSF. */
static const double most_at_rim = 0.05;
static const double least_shared = 0.15; /* below this it may be stars too faint to be seen */

typedef struct shared_job {
    const aid_exposure *science, *reference;
    int64_t stripe;   /* rows */
    double *products; /* [stripes][SIDE*SIDE] */
    double *pairs;
    double *squares; /* [stripes][4]: sums of squares of both, and of how many pixels */
    double *far;     /* [stripes][2]: sum and pairs at lags that noise no longer reaches */
} shared_job;

/* z = pixel/noise where it is sky, NaN elsewhere. */
static void sky_row(const aid_exposure *exposure, int y, float *row)
{
    const float *pixels = aid_image_row(&exposure->image, y);
    const uint8_t *mask = aid_mask_row(&exposure->mask, y);
    aid_mesh_row(&exposure->noise, y, row);
    for (int x = 0; x < exposure->image.width; x++) {
        float z = pixels[x] / row[x];
        row[x] = mask[x] || !(fabsf(z) < (float)clip_sigma) ? NAN : z;
    }
}

static void add_lag(const float *science, const float *reference, int width, int dx,
                    double *product, double *pairs)
{
    double sum = 0.0, count = 0.0;
    for (int x = AID_MAX(0, -dx); x < AID_MIN(width, width - dx); x++) {
        float value = science[x] * reference[x + dx];
        if (isfinite(value)) {
            sum += (double)value;
            count += 1.0;
        }
    }
    *product += sum;
    *pairs += count;
}

static aid_status shared_stripe(void *context, int64_t stripe, int worker, aid_error *err)
{
    (void)worker;
    const shared_job *job = context;
    int width = job->science->image.width, height = job->science->image.height;
    AID_CLEANUP(aid_free_pointer)
    float *rows = NULL;
    AID_TRY(aid_new_buffer((size_t)width * (SIDE + 1), sizeof *rows, "shared noise", &rows, err));
    int y = (int)(stripe * job->stripe + job->stripe / 2); /* one row speaks for its stripe */
    if (y < AID_NOISE_LAG || y >= height - AID_NOISE_LAG)
        return AID_OK;
    float *science = rows + (size_t)width * SIDE;
    sky_row(job->science, y, science);
    double *squares = job->squares + 4 * stripe;
    for (int dy = -AID_NOISE_LAG; dy <= AID_NOISE_LAG; dy++) {
        float *reference = rows + (size_t)width * (size_t)(dy + AID_NOISE_LAG);
        sky_row(job->reference, y + dy, reference);
        for (int dx = -AID_NOISE_LAG; dx <= AID_NOISE_LAG; dx++) {
            size_t k = (size_t)stripe * SIDE * SIDE +
                       (size_t)((dy + AID_NOISE_LAG) * SIDE + dx + AID_NOISE_LAG);
            add_lag(science, reference, width, dx, &job->products[k], &job->pairs[k]);
        }
    }
    double *far = job->far + 2 * stripe;
    for (int sign = -1; sign <= 1; sign += 2)
        add_lag(science, rows + (size_t)width * AID_NOISE_LAG, width, sign * FAR_LAG, &far[0],
                &far[1]);
    add_lag(science, science, width, 0, &squares[0], &squares[2]);
    float *reference = rows + (size_t)width * AID_NOISE_LAG;
    add_lag(reference, reference, width, 0, &squares[1], &squares[3]);
    return AID_OK;
}

/* Mean over the outermost lags. */
static double mean_of_rim(const aid_noise_correlation *shared)
{
    double sum = 0.0;
    for (int k = 0; k < SIDE * SIDE; k++) {
        int row = k / SIDE, column = k % SIDE;
        bool rim = row == 0 || column == 0 || row == SIDE - 1 || column == SIDE - 1;
        sum += rim ? (double)shared->rho[row][column] : 0.0;
    }
    return sum / (4 * (SIDE - 1));
}

static void conclude(const shared_job *job, int64_t stripes, aid_noise_correlation *shared)
{
    double square[4] = {0}, far[2] = {0}, largest = 0.0, pixels = 0.0;
    for (int64_t s = 0; s < stripes; s++) {
        for (int k = 0; k < 4; k++)
            square[k] += job->squares[4 * s + k];
        far[0] += job->far[2 * s];
        far[1] += job->far[2 * s + 1];
    }
    double norm = square[0] > 0.0 && square[1] > 0.0
                      ? sqrt(square[0] / square[2] * square[1] / square[3])
                      : INFINITY;
    double plateau = far[0] / AID_MAX(far[1], 1.0); /* structure of the sky, in both images */
    for (int k = 0; k < SIDE * SIDE; k++) {
        double product = 0.0, pairs = 0.0;
        for (int64_t s = 0; s < stripes; s++) {
            product += job->products[s * SIDE * SIDE + k];
            pairs += job->pairs[s * SIDE * SIDE + k];
        }
        double rho = (product / AID_MAX(pairs, 1.0) - plateau) / norm;
        pixels = AID_MAX(pixels, pairs);
        largest = AID_MAX(largest, rho);
        shared->rho[k / SIDE][k % SIDE] =
            fabs(rho) > 4.0 / sqrt(AID_MAX(pairs, 1.0)) ? (float)rho : 0.0F;
    }
    shared->measured = largest > least_shared && pixels > FEWEST_PIXELS &&
                       mean_of_rim(shared) < most_at_rim * largest;
}

aid_status aid_measure_shared_noise(const aid_exposure *science, const aid_exposure *reference,
                                    aid_pool *pool, aid_notes *notes,
                                    aid_noise_correlation *ret_shared, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *products = NULL, *pairs = NULL, *squares = NULL, *far = NULL;
    int64_t pixels = (int64_t)science->image.width * science->image.height;
    int64_t stripe = AID_CLAMP(pixels / ENOUGH_PIXELS, 4, 64);
    int64_t stripes = science->image.height / stripe;
    size_t cells = (size_t)AID_MAX(stripes, 1) * SIDE * SIDE;
    AID_TRY(aid_new_array(cells, sizeof *products, "shared noise", &products, err));
    AID_TRY(aid_new_array(cells, sizeof *pairs, "shared noise", &pairs, err));
    AID_TRY(aid_new_array(cells, sizeof *squares, "shared noise", &squares, err));
    AID_TRY(aid_new_array(cells, sizeof *far, "shared noise", &far, err));
    shared_job job = {science, reference, stripe, products, pairs, squares, far};
    AID_TRY(aid_pool_run(pool, stripes, shared_stripe, &job, err));
    aid_noise_correlation shared = {0};
    conclude(&job, stripes, &shared);
    double largest = 0.0;
    for (int k = 0; k < SIDE * SIDE; k++)
        largest = AID_MAX(largest, (double)shared.rho[k / SIDE][k % SIDE]);
    if (shared.measured)
        aid_note_add(notes, "subtract",
                     "the images share noise (correlation %.2f): does %s contain %s? What they "
                     "share cancels, transients of that exposure in part",
                     largest, reference->name, science->name);
    *ret_shared = shared;
    return AID_OK;
}
