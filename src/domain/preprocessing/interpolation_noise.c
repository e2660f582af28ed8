#include "core/base/memory.h"
#include "core/imaging/warp.h"
#include "domain/preprocessing/align.h"

#include <math.h>

enum {
    PHASES = 32, /* positions between two pixels */
    REACH = AID_WARP_REACH,
    LAGS = 2 * AID_NOISE_LAG + 1,
    SAMPLES = 16 /* a side of a cell */
};

typedef struct phase_table {
    double overlap[PHASES][LAGS];    /* sum over k of w(k) w(k + lag), lags from -AID_NOISE_LAG */
    double variance[PHASES][PHASES]; /* [y][x] */
} phase_table;

static void make_table(const aid_interpolation *interpolation, phase_table *table)
{
    for (int phase = 0; phase < PHASES; phase++) {
        double w[2 * REACH + 1];
        aid_warp_weights(interpolation->kernel, (phase + 0.5) / PHASES, w);
        for (int lag = 0; lag < LAGS; lag++) {
            table->overlap[phase][lag] = 0.0;
            for (int k = AID_NOISE_LAG; k <= 2 * REACH - AID_NOISE_LAG; k++)
                table->overlap[phase][lag] += w[k] * w[k + lag - AID_NOISE_LAG];
        }
    }
    const aid_noise_correlation *correlation = interpolation->correlation;
    for (int y = 0; y < PHASES; y++)
        for (int x = 0; x < PHASES; x++) {
            double sum = 0.0;
            for (int j = 0; j < LAGS; j++)
                for (int i = 0; i < LAGS; i++) {
                    bool centre = i == AID_NOISE_LAG && j == AID_NOISE_LAG;
                    double rho = correlation->measured ? (double)correlation->rho[j][i] : centre;
                    sum += rho * table->overlap[y][j] * table->overlap[x][i];
                }
            table->variance[y][x] = AID_MAX(sum, 0.01);
        }
}

/* Mean factor of the variance in a cell; NaN where it lies off the input. */
static double mean_in_cell(const aid_interpolation *interpolation, const phase_table *table,
                           const aid_mesh *noise, int32_t column, int32_t row)
{
    double sum = 0.0;
    int count = 0;
    for (int j = 0; j < SAMPLES; j++)
        for (int i = 0; i < SAMPLES; i++) {
            /* On pixels: where the map is a shift all of them fall on one phase. */
            double x = floor((column + (i + 0.5) / SAMPLES) * noise->cell_width), u, v;
            double y = floor((row + (j + 0.5) / SAMPLES) * noise->cell_height);
            aid_transform_apply(interpolation->map, x, y, &u, &v);
            if (!(u >= 0.0 && v >= 0.0 && u <= interpolation->width - 1 &&
                  v <= interpolation->height - 1))
                continue;
            sum += table->variance[(int)((v - floor(v)) * PHASES)][(int)((u - floor(u)) * PHASES)];
            count++;
        }
    return count > 0 ? sum / count : NAN;
}

aid_status aid_interpolation_noise(const aid_interpolation *interpolation, aid_mesh *noise,
                                   aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    phase_table *table = NULL;
    AID_TRY(aid_new_array(1, sizeof *table, "interpolation noise", &table, err));
    make_table(interpolation, table);
    for (int32_t row = 0; row < noise->ny; row++)
        for (int32_t column = 0; column < noise->nx; column++) {
            double factor = mean_in_cell(interpolation, table, noise, column, row);
            if (isfinite(factor))
                noise->values[(int64_t)row * noise->nx + column] *= (float)sqrt(factor);
        }
    return AID_OK;
}
