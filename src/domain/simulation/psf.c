#include "domain/simulation/internal.h"

#include <math.h>
#include <stdlib.h>

static const double beta = 3.5;
static const double pi = 3.141592653589793;

/* FWHM = 2 alpha sqrt(2^(1/beta) - 1). */
static double alpha_of_fwhm(double fwhm_px)
{
    return fwhm_px / (2.0 * sqrt(pow(2.0, 1.0 / beta) - 1.0));
}

static double from_centre(int length, double at)
{
    return (at - 0.5 * (length - 1)) / (0.5 * length);
}

double aid_sim_fwhm_px(const aid_sky_options *options, int epoch, double x, double y)
{
    const aid_sky_epoch *e = &options->epoch[epoch];
    double u = from_centre(options->width, x), v = from_centre(options->height, y);
    return e->seeing_px * (1.0 + 0.5 * e->seeing_variation * (u * u + v * v));
}

/* q has the determinant alpha^-4 whatever the ellipticity, so that flux and area stay. */
aid_sim_stamp aid_sim_stamp_at(const aid_sky_options *options, int epoch, double x, double y,
                               double flux, bool sharp)
{
    const aid_sky_epoch *e = &options->epoch[epoch];
    const double faintest_adu = 0.02; /* what is painted ends here, far below any noise */
    double u = from_centre(options->width, x), v = from_centre(options->height, y);
    double turn = 2.0 * e->ellipticity_deg * pi / 180.0;
    double e1 = e->ellipticity * cos(turn) + e->ellipticity_gradient * u;
    double e2 = e->ellipticity * sin(turn) + e->ellipticity_gradient * v;
    double fwhm = aid_sim_fwhm_px(options, epoch, x, y), alpha = alpha_of_fwhm(fwhm);
    double scale = 1.0 / (alpha * alpha * sqrt(1.0 - e1 * e1 - e2 * e2));
    aid_sim_stamp stamp = {.x = x,
                           .y = y,
                           .xx = (1.0 - e1) * scale,
                           .xy = -e2 * scale,
                           .yy = (1.0 + e1) * scale,
                           .amplitude = flux * (beta - 1.0) / (pi * alpha * alpha)};
    /* beyond 5 alpha lies 3e-4 of the flux, beyond 4 alpha 8e-4 */
    double least = sharp ? 5.0 : 4.0;
    double reach = sqrt(pow(fmax(stamp.amplitude / faintest_adu, 1.0), 1.0 / beta) - 1.0);
    stamp.radius_px = (int)ceil(alpha * fmin(fmax(reach, least), 40.0));
    stamp.core_px = sharp ? (int)ceil(fwhm) + 1 : -1;
    return stamp;
}

/* Terms of one row in the order that the loops want them. */
typedef struct row_terms {
    float q2, q1, q0; /* q = (q2 dx + q1) dx + q0 */
    float g2, g1, g0; /* |grad q|^2 likewise */
    float bend, lift; /* beta (beta+1)/24 and beta/24 of the Laplacian of q */
    float amplitude;
} row_terms;

static row_terms terms_of_row(const aid_sim_stamp *stamp, double dy)
{
    double ax = 2.0 * stamp->xx, bx = 2.0 * stamp->xy * dy;
    double ay = 2.0 * stamp->xy, by = 2.0 * stamp->yy * dy;
    return (row_terms){.q2 = (float)stamp->xx,
                       .q1 = (float)bx,
                       .q0 = (float)(stamp->yy * dy * dy),
                       .g2 = (float)(ax * ax + ay * ay),
                       .g1 = (float)(2.0 * (ax * bx + ay * by)),
                       .g0 = (float)(bx * bx + by * by),
                       .bend = (float)(beta * (beta + 1.0) / 24.0),
                       .lift = (float)(beta * 2.0 * (stamp->xx + stamp->yy) / 24.0),
                       .amplitude = (float)stamp->amplitude};
}

/* The integral over a pixel to second order: the value at its centre and 1/24 of the Laplacian. */
AID_HOT static void add_wing_row(float *restrict row, int count, float dx0, row_terms t)
{
    for (int i = 0; i < count; i++) {
        float dx = dx0 + (float)i;
        float r = 1.0f / (1.0f + (t.q2 * dx + t.q1) * dx + t.q0);
        float gradient = (t.g2 * dx + t.g1) * dx + t.g0;
        float curvature = r * (t.bend * gradient * r - t.lift);
        row[i] += t.amplitude * r * r * r * sqrtf(r) * (1.0f + curvature);
    }
}

AID_HOT static void add_node_row(float *restrict row, int count, float dx0, row_terms t)
{
    for (int i = 0; i < count; i++) {
        float dx = dx0 + (float)i;
        float r = 1.0f / (1.0f + (t.q2 * dx + t.q1) * dx + t.q0);
        row[i] += t.amplitude * r * r * r * sqrtf(r);
    }
}

/* Gauss-Legendre with three nodes along each axis of every pixel. */
static const double nodes[3] = {-0.387298334620741689, 0.0, 0.387298334620741689};
static const double weights[3] = {5.0 / 18.0, 8.0 / 18.0, 5.0 / 18.0};

static void add_core_row(const aid_sim_stamp *stamp, float *row, int count, double dx0, double dy)
{
    for (int j = 0; j < 3; j++) {
        row_terms t = terms_of_row(stamp, dy + nodes[j]);
        for (int i = 0; i < 3; i++) {
            t.amplitude = (float)(stamp->amplitude * weights[i] * weights[j]);
            add_node_row(row, count, (float)(dx0 + nodes[i]), t);
        }
    }
}

static void add_row(const aid_sim_stamp *stamp, float *row, int width, int y)
{
    int centre_x = (int)floor(stamp->x + 0.5), centre_y = (int)floor(stamp->y + 0.5);
    int x0 = AID_MAX(centre_x - stamp->radius_px, 0);
    int x1 = AID_MIN(centre_x + stamp->radius_px + 1, width);
    double dy = y - stamp->y;
    row_terms terms = terms_of_row(stamp, dy);
    bool core = abs(y - centre_y) <= stamp->core_px;
    int core0 = core ? AID_CLAMP(centre_x - stamp->core_px, x0, x1) : x1;
    int core1 = core ? AID_CLAMP(centre_x + stamp->core_px + 1, x0, x1) : x1;
    if (core0 > x0)
        add_wing_row(row + x0, core0 - x0, (float)(x0 - stamp->x), terms);
    if (core1 > core0)
        add_core_row(stamp, row + core0, core1 - core0, core0 - stamp->x, dy);
    if (x1 > core1)
        add_wing_row(row + core1, x1 - core1, (float)(core1 - stamp->x), terms);
}

void aid_sim_stamp_add(const aid_sim_stamp *stamp, aid_image *image, int y0, int y1)
{
    int centre_x = (int)floor(stamp->x + 0.5), centre_y = (int)floor(stamp->y + 0.5);
    if (centre_x + stamp->radius_px < 0 || centre_x - stamp->radius_px >= image->width)
        return;
    int first = AID_MAX(centre_y - stamp->radius_px, y0);
    int last = AID_MIN(centre_y + stamp->radius_px + 1, y1);
    for (int y = first; y < last; y++)
        add_row(stamp, aid_image_row(image, y), image->width, y);
}

double aid_sim_stamp_peak(const aid_sim_stamp *stamp)
{
    double dx0 = floor(stamp->x + 0.5) - stamp->x, dy0 = floor(stamp->y + 0.5) - stamp->y;
    double sum = 0.0;
    for (int j = 0; j < 3; j++)
        for (int i = 0; i < 3; i++) {
            double dx = dx0 + nodes[i], dy = dy0 + nodes[j];
            double q = stamp->xx * dx * dx + 2.0 * stamp->xy * dx * dy + stamp->yy * dy * dy;
            sum += weights[i] * weights[j] * pow(1.0 + q, -beta);
        }
    return stamp->amplitude * sum;
}

/* The Fourier transform of a circular Moffat of exponent 7/2 is e^-w (1 + w + w^2/3), w = 2 pi k
 * alpha: its projection on an axis is (1 + x^2/alpha^2)^-3, whose transform is elementary. */
double aid_sim_transfer(double fwhm_px, double kx, double ky)
{
    double w = 2.0 * pi * hypot(kx, ky) * alpha_of_fwhm(fwhm_px);
    double pixel_x = kx == 0.0 ? 1.0 : sin(pi * kx) / (pi * kx);
    double pixel_y = ky == 0.0 ? 1.0 : sin(pi * ky) / (pi * ky);
    return exp(-w) * (1.0 + w + w * w / 3.0) * fabs(pixel_x * pixel_y);
}
