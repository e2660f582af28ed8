/* What the Moffat function leaves: a correction of the radial profile and planes of cubic
 * B-splines, fitted to the pixels of all stars together with position, amplitude and background of
 * each star free. Every coefficient has a prior N(0, (tau envelope)^2); tau of each group of
 * coefficients is set by the data (evidence approximation, MacKay 1992, Neural Computation 4, 415):
 * where the stars show nothing, tau goes to 0 and the Moffat function stands alone. */
#include "core/base/macros.h"
#include "core/base/memory.h"
#include "core/imaging/linalg.h"
#include "core/imaging/psf_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Nodes of the fine planes are node_spacing FWHM apart, of the minor axis where stars are
 * elongated: details are as sharp in all directions. Those of the coarse ones are twice as far
 * apart. */
enum {
    MAX_CENTRE = PSF_MAX_SIDE / 2,
    MAX_RADIAL = 16,
    MAX_FINE = 144,
    MAX_COARSE = 144,
    MAX_FUNCTIONS = MAX_RADIAL + MAX_FINE + MAX_COARSE,
    MANY_UNKNOWNS = 500, /* above, the planes get a lower degree */
    BATCHES = 8          /* of stars; fixed, so that sums do not depend on the threads */
};
static const double node_spacing = 0.33, fine_reach = 1.0, coarse_reach = 2.4; /* FWHM */
static const double radial_spacing = 0.4, profile_rate = 32.0;
static const double table_end = 12.0; /* in s */
static const double envelope_stretch = 1.5;

typedef struct basis_function {
    int offset, terms; /* unknowns offset .. offset+terms-1, in the order of the polynomial */
    int x, y;          /* node, fine spacings from the centre */
    bool coarse;
    double envelope; /* by which the prior falls off */
} basis_function;

typedef struct psf_basis {
    const psf_builder *builder;
    double rate;      /* fine nodes per pixel */
    int side, centre; /* of a plane */
    int radial, functions, unknowns;
    basis_function items[MAX_FUNCTIONS]; /* the radial ones first */
    int fine[PSF_MAX_SIDE][PSF_MAX_SIDE], coarse[PSF_MAX_SIDE][PSF_MAX_SIDE]; /* -1: none */
    int *group;                                                               /* of each unknown */
    double *envelope;                                                         /* of each unknown */
} psf_basis;

/* -------------------------------------------------------------------------------- the functions */

static double cubic_spline(double t)
{
    double a = fabs(t);
    if (a >= 2.0)
        return 0.0;
    double outer = 2.0 - a, inner = 1.0 - a;
    return (outer * outer * outer - (a < 1.0 ? 4.0 * inner * inner * inner : 0.0)) / 6.0;
}

static double arsinh(double s)
{
    return log(s + sqrt(s * s + 1.0));
}

/* Splines in arsinh(s), even in s: the k-th peaks at s = sinh(k spacing). */
static double radial_function(int k, double s)
{
    double t = arsinh(s) / radial_spacing;
    return cubic_spline(t - k) + (k > 0 ? cubic_spline(t + k) : 0.0);
}

static void add_function(psf_basis *basis, basis_function function, int degree)
{
    function.offset = basis->unknowns;
    function.terms = aid_psf_terms_of_degree(degree);
    basis->unknowns += function.terms;
    basis->items[basis->functions++] = function;
}

/* Elliptical radius of a node, in FWHM. */
static double node_radius(const psf_basis *basis, const psf_view *view, int x, int y)
{
    double dx = x / basis->rate, dy = y / basis->rate;
    double s2 = view->xx * dx * dx + 2.0 * view->xy * dx * dy + view->yy * dy * dy;
    return 0.5 * sqrt(s2 / (exp2(1.0 / basis->builder->psf.beta) - 1.0));
}

/* A coarse function whose five by five fine ones are all there adds nothing to them. */
static bool is_sum_of_fine(const psf_basis *basis, int x, int y)
{
    for (int j = y - 2; j <= y + 2; j++)
        for (int i = x - 2; i <= x + 2; i++)
            if (basis->fine[j + basis->centre][i + basis->centre] < 0)
                return false;
    return true;
}

static void add_nodes(psf_basis *basis, const psf_view *view, bool coarse, int degree)
{
    double beta = basis->builder->psf.beta, reach = coarse ? coarse_reach : fine_reach;
    int step = coarse ? 2 : 1, last = basis->centre - (coarse ? 2 : 0);
    int most = basis->functions + (coarse ? MAX_COARSE : MAX_FINE);
    last -= last % step;
    for (int y = -last; y <= last; y += step)
        for (int x = -last; x <= last; x += step) {
            double radius = node_radius(basis, view, x, y);
            if (radius > reach || basis->functions >= most ||
                (coarse && is_sum_of_fine(basis, x, y)))
                continue;
            double s = 2.0 * radius * sqrt(exp2(1.0 / beta) - 1.0) / envelope_stretch;
            basis_function node = {
                .x = x, .y = y, .coarse = coarse, .envelope = pow(1.0 + s * s, -beta)};
            (coarse ? basis->coarse : basis->fine)[y + basis->centre][x + basis->centre] =
                basis->functions;
            add_function(basis, node, degree);
        }
}

static void add_radial(psf_basis *basis)
{
    const psf_builder *builder = basis->builder;
    double s_max = (builder->radius + 1.0) * exp(-builder->psf.log_scale[0]);
    int count = AID_MIN((int)(arsinh(s_max) / radial_spacing) + 1, MAX_RADIAL);
    for (int k = 0; k < count; k++) {
        double s = sinh(k * radial_spacing) / envelope_stretch;
        basis_function function = {.envelope = pow(1.0 + s * s, -builder->psf.beta)};
        add_function(basis, function, 0);
    }
    basis->radial = count;
}

/* All functions; planes of lower degree where there would be too many unknowns. */
static void lay_out(const psf_builder *builder, const psf_view *view, int drop, psf_basis *basis)
{
    double stretch = exp(hypot(view->g1, view->g2)); /* major axis over the mean of both */
    double spacing = node_spacing * builder->fwhm_px / AID_MIN(stretch, 2.0);
    double reach = coarse_reach * builder->fwhm_px * stretch / spacing;
    int degree = builder->psf.degree, centre = AID_MIN((int)ceil(reach) + 2, MAX_CENTRE);
    *basis = (psf_basis){
        .builder = builder, .rate = 1.0 / spacing, .side = 2 * centre + 1, .centre = centre};
    memset(basis->fine, -1, sizeof basis->fine);
    memset(basis->coarse, -1, sizeof basis->coarse);
    add_radial(basis);
    add_nodes(basis, view, false, AID_MAX(AID_MIN(degree, 2) - drop, 0));
    add_nodes(basis, view, true, AID_MAX(AID_MIN(degree, 1) - drop, 0));
}

static aid_status make_basis(const psf_builder *builder, psf_basis *basis, aid_error *err)
{
    psf_star centre = {.amplitude = 1.0, .terms = {1.0}};
    psf_view view;
    aid_psf_view_star(builder, &centre, &view);
    lay_out(builder, &view, 0, basis);
    for (int drop = 1; drop <= 2 && basis->unknowns > MANY_UNKNOWNS; drop++)
        lay_out(builder, &view, drop, basis);
    size_t unknowns = (size_t)basis->unknowns;
    AID_TRY(aid_new_array(unknowns, sizeof *basis->group, "PSF basis", &basis->group, err));
    AID_TRY(aid_new_array(unknowns, sizeof *basis->envelope, "PSF basis", &basis->envelope, err));
    for (int f = 0; f < basis->functions; f++) {
        const basis_function *function = basis->items + f;
        for (int t = 0; t < function->terms; t++) {
            int degree = t == 0 ? 0 : t < 3 ? 1 : 2;
            int group = f < basis->radial ? 0 : function->coarse ? 4 + degree : 1 + degree;
            basis->group[function->offset + t] = group;
            basis->envelope[function->offset + t] = function->envelope;
        }
    }
    return AID_OK;
}

static void basis_done(void *pointer)
{
    psf_basis *basis = pointer;
    free(basis->group);
    free(basis->envelope);
}

/* ----------------------------------------------------------------------------- normal equations */

static void add_node_columns(const psf_basis *basis, bool coarse, const double position[2],
                             double amplitude, double *row)
{
    const int(*index)[PSF_MAX_SIDE] = coarse ? basis->coarse : basis->fine;
    int step = coarse ? 2 : 1, side = basis->side, centre = basis->centre;
    /* Nodes step*m: those around position/step, in the node's own spacing. */
    double wx[4], wy[4];
    int x0 = (int)floor(position[0] / step) - 1, y0 = (int)floor(position[1] / step) - 1;
    for (int k = 0; k < 4; k++) {
        wx[k] = cubic_spline(position[0] / step - (x0 + k));
        wy[k] = cubic_spline(position[1] / step - (y0 + k));
    }
    for (int m = 0; m < 4; m++)
        for (int k = 0; k < 4; k++) {
            int x = step * (x0 + k) + centre, y = step * (y0 + m) + centre;
            if (x >= 0 && x < side && y >= 0 && y < side && index[y][x] >= 0)
                row[PSF_NUISANCE + index[y][x]] = amplitude * wx[k] * wy[m];
        }
}

/* row: [4 + functions], the nuisances' derivatives first. */
static void fill_row(const psf_basis *basis, const psf_view *view, const psf_pixel *pixel,
                     const double offset[2], double *row)
{
    double x = offset[0], y = offset[1];
    memset(row, 0, (size_t)(PSF_NUISANCE + basis->functions) * sizeof *row);
    memcpy(row, pixel->row, PSF_NUISANCE * sizeof *row);
    double s = sqrt(AID_MAX(pixel->s2, 0.0)), amplitude = view->star->amplitude;
    int middle = (int)(arsinh(s) / radial_spacing);
    for (int k = AID_MAX(middle - 1, 0); k <= middle + 2 && k < basis->radial; k++)
        row[PSF_NUISANCE + k] = amplitude * radial_function(k, s);
    double position[2] = {x * basis->rate, y * basis->rate};
    add_node_columns(basis, true, position, amplitude, row);
    add_node_columns(basis, false, position, amplitude, row);
}

/* Scaling the model, or shifting it, is the same as scaling or shifting every star. That freedom is
 * taken from the planes: for each term of the polynomial they are held orthogonal to the Moffat
 * function and to its derivatives. gauges: [3][functions]. */
enum { GAUGES = 3 };

static void measure_gauges(const psf_basis *basis, double *gauges)
{
    enum { HALF = 12 };
    const psf_builder *builder = basis->builder;
    const double step = 0.5 * node_spacing * builder->fwhm_px;
    psf_star centre = {.amplitude = 1.0, .terms = {1.0}};
    psf_view view;
    aid_psf_view_star(builder, &centre, &view);
    double norm[GAUGES] = {0};
    for (int j = -HALF; j <= HALF; j++)
        for (int i = -HALF; i <= HALF; i++) {
            double offset[2] = {i * step, j * step};
            double row[PSF_NUISANCE + MAX_FUNCTIONS];
            psf_pixel pixel;
            aid_psf_view_derivatives(&view, offset[0], offset[1], &pixel);
            fill_row(basis, &view, &pixel, offset, row);
            const double along[GAUGES] = {pixel.moffat, pixel.row[0], pixel.row[1]};
            for (int g = 0; g < GAUGES; g++) {
                norm[g] += along[g] * along[g];
                for (int f = 0; f < basis->functions; f++)
                    gauges[g * basis->functions + f] += along[g] * row[PSF_NUISANCE + f];
            }
        }
    for (int g = 0; g < GAUGES; g++)
        for (int f = 0; f < basis->functions; f++)
            gauges[g * basis->functions + f] /= norm[g];
}

/* Adds the condition that the planes' part along each gauge is 0 +- 0.1 per cent (of the peak, of a
 * FWHM), for every term of the polynomial. */
static aid_status add_gauges(const psf_basis *basis, double *matrix, aid_error *err)
{
    const double sigma = 1e-3;
    size_t n = (size_t)basis->unknowns, functions = (size_t)basis->functions;
    AID_CLEANUP(aid_free_pointer)
    double *memory = NULL;
    AID_TRY(aid_new_array(GAUGES * functions + 2 * n, sizeof *memory, "PSF gauges", &memory, err));
    double *gauges = memory, *row = gauges + GAUGES * functions, *unused = row + n;
    measure_gauges(basis, gauges);
    for (int g = 0; g < GAUGES; g++) {
        double scale = (g == 0 ? 1.0 : 1.0 / basis->builder->fwhm_px) / sigma;
        for (int t = 0; t < basis->builder->psf.terms; t++) {
            memset(row, 0, n * sizeof *row);
            for (size_t f = 0; f < functions; f++)
                if (t < basis->items[f].terms)
                    row[basis->items[f].offset + t] = gauges[(size_t)g * functions + f];
            aid_normal_add(basis->unknowns, matrix, unused, row, 0.0, scale * scale);
        }
    }
    return AID_OK;
}

/* The star's own normal equations, nuisances eliminated. The pixels are weighted by the full model,
 * but what is fitted is all that the Moffat function leaves. */
static void star_equations(const psf_basis *basis, const psf_view *view, double *matrix,
                           double *right)
{
    int n = PSF_NUISANCE + basis->functions, side = view->builder->side;
    const psf_star *star = view->star;
    double row[PSF_NUISANCE + MAX_FUNCTIONS];
    memset(matrix, 0, (size_t)n * (size_t)n * sizeof *matrix);
    memset(right, 0, (size_t)n * sizeof *right);
    for (int j = view->first_y; j <= view->last_y; j++)
        for (int i = view->first_x; i <= view->last_x; i++) {
            psf_pixel pixel;
            if (!aid_psf_view_pixel(view, i, j, &pixel))
                continue;
            double offset[2] = {star->left + i - star->x, star->top + j - star->y};
            fill_row(basis, view, &pixel, offset, row);
            double difference =
                pixel.difference + star->amplitude * (view->samples[j * side + i] - pixel.moffat);
            aid_normal_add(n, matrix, right, row, difference, pixel.weight);
        }
    double precision = aid_psf_background_precision(star);
    matrix[PSF_BACKGROUND * (n + 1)] += precision;
    right[PSF_BACKGROUND] -= precision * star->background;
    aid_psf_eliminate(n, PSF_NUISANCE, matrix, right);
}

/* Adds the star's equations, each function times each polynomial term, to those of all. */
static void expand_star(const psf_basis *basis, const psf_star *star, const double *matrix,
                        const double *right, double *line, double *all, double *all_right)
{
    int n = PSF_NUISANCE + basis->functions, unknowns = basis->unknowns;
    for (int f = 0; f < basis->functions; f++) {
        const basis_function *function = basis->items + f;
        const double *row = matrix + (int64_t)(PSF_NUISANCE + f) * n + PSF_NUISANCE;
        for (int g = f; g < basis->functions; g++)
            for (int t = 0; t < basis->items[g].terms; t++)
                line[basis->items[g].offset + t] = row[g] * star->terms[t];
        for (int t = 0; t < function->terms; t++) {
            int index = function->offset + t;
            double *target = all + (int64_t)index * unknowns;
            for (int k = index; k < unknowns; k++)
                target[k] += star->terms[t] * line[k];
            all_right[index] += star->terms[t] * right[PSF_NUISANCE + f];
        }
    }
}

typedef struct equations_job {
    const psf_builder *builder;
    const psf_basis *basis;
    double *matrices, *rights; /* [BATCHES] */
} equations_job;

static aid_status batch_equations(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    const equations_job *job = context;
    const psf_basis *basis = job->basis;
    const psf_builder *builder = job->builder;
    size_t n = (size_t)PSF_NUISANCE + (size_t)basis->functions, unknowns = (size_t)basis->unknowns;
    size_t pixels = (size_t)builder->side * (size_t)builder->side;
    AID_CLEANUP(aid_free_pointer)
    double *memory = NULL;
    AID_TRY(aid_new_array(n * n + n + unknowns + pixels, sizeof *memory, "PSF equations", &memory,
                          err));
    double *matrix = memory, *right = matrix + n * n, *line = right + n, *samples = line + unknowns;
    int64_t begin, end, band = (builder->count + BATCHES - 1) / BATCHES;
    aid_band_range(builder->count, band, task, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
        const psf_star *star = builder->stars + i;
        if (!star->used)
            continue;
        psf_view view;
        aid_psf_view_star(builder, star, &view);
        aid_psf_sample_star(builder, star, samples);
        view.samples = samples;
        star_equations(basis, &view, matrix, right);
        expand_star(basis, star, matrix, right, line,
                    job->matrices + (size_t)task * unknowns * unknowns,
                    job->rights + (size_t)task * unknowns);
    }
    return AID_OK;
}

static aid_status gather_equations(const psf_builder *builder, const psf_basis *basis,
                                   double **ret_matrix, double **ret_right, aid_error *err)
{
    size_t unknowns = (size_t)basis->unknowns, square = unknowns * unknowns;
    AID_CLEANUP(aid_free_pointer)
    double *matrices = NULL;
    AID_CLEANUP(aid_free_pointer)
    double *rights = NULL;
    AID_TRY(aid_new_array(BATCHES * square, sizeof *matrices, "PSF equations", &matrices, err));
    AID_TRY(aid_new_array(BATCHES * unknowns, sizeof *rights, "PSF equations", &rights, err));
    equations_job job = {builder, basis, matrices, rights};
    int64_t band = (builder->count + BATCHES - 1) / BATCHES;
    AID_TRY(aid_pool_run(builder->pool, aid_band_count(builder->count, band), batch_equations, &job,
                         err));
    for (int batch = 1; batch < BATCHES; batch++) {
        for (size_t i = 0; i < square; i++)
            matrices[i] += matrices[(size_t)batch * square + i];
        for (size_t i = 0; i < unknowns; i++)
            rights[i] += rights[(size_t)batch * unknowns + i];
    }
    *ret_matrix = matrices;
    *ret_right = rights;
    matrices = rights = NULL;
    return AID_OK;
}

/* --------------------------------------------------------------------------------- the solution */

typedef struct solution {
    double *tau;      /* [PSF_TAUS] */
    double *z;        /* [unknowns], in units of each prior's sigma */
    double *variance; /* posterior, in the same units */
    double *sigma;    /* of the prior: tau envelope */
    double *work;     /* [unknowns][unknowns] */
} solution;

/* The coefficients for given taus. */
static aid_status solve(const psf_basis *basis, const double *matrix, const double *right,
                        solution *s, aid_error *err)
{
    int n = basis->unknowns;
    for (int i = 0; i < n; i++)
        s->sigma[i] = s->tau[basis->group[i]] * basis->envelope[i];
    for (int i = 0; i < n; i++) {
        for (int j = i; j < n; j++)
            s->work[(int64_t)i * n + j] = s->sigma[i] * s->sigma[j] * matrix[(int64_t)i * n + j];
        s->work[(int64_t)i * n + i] += 1.0;
        s->z[i] = s->sigma[i] * right[i];
    }
    AID_TRY(aid_cholesky_factor(n, s->work, 0.0, err));
    aid_cholesky_solve(n, s->work, s->z);
    return aid_cholesky_inverse_diagonal(n, s->work, s->variance, err);
}

/* MacKay's update: tau^2 times sum z^2 / gamma, gamma = sum (1 - variance) being the number of
 * coefficients that the data determine. Squared, because it creeps where tau goes to 0.
 * Returns true when no tau that matters has moved by a twentieth. */
static bool update_taus(const psf_basis *basis, solution *s)
{
    const double least = 1e-6, most = 1.0, matters = 1e-4, little = 0.05;
    double squares[PSF_TAUS] = {0}, determined[PSF_TAUS] = {0};
    for (int i = 0; i < basis->unknowns; i++) {
        squares[basis->group[i]] += s->z[i] * s->z[i];
        determined[basis->group[i]] += 1.0 - s->variance[i];
    }
    bool settled = true;
    for (int g = 0; g < PSF_TAUS; g++) {
        double ratio = squares[g] / AID_MAX(determined[g], 1e-12), before = s->tau[g];
        s->tau[g] = AID_CLAMP(before * AID_CLAMP(ratio, 0.01, 10.0), least, most);
        settled = settled && (AID_MAX(before, s->tau[g]) < matters || fabs(ratio - 1.0) < little);
    }
    return settled;
}

static void put_planes(const psf_basis *basis, const solution *s, aid_psf *psf)
{
    static const double halves[5] = {0.125, 0.5, 0.75, 0.5, 0.125}; /* B(x/2) = sum h_k B(x-k) */
    int side = basis->side;
    for (int f = basis->radial; f < basis->functions; f++) {
        const basis_function *function = basis->items + f;
        for (int t = 0; t < function->terms; t++) {
            int index = function->offset + t;
            double value = s->z[index] * s->sigma[index];
            double *centre = psf->coefficients + (int64_t)t * side * side +
                             (function->y + basis->centre) * side + function->x + basis->centre;
            if (!function->coarse)
                *centre += value;
            for (int j = -2; function->coarse && j <= 2; j++)
                for (int i = -2; i <= 2; i++)
                    centre[j * side + i] += halves[j + 2] * halves[i + 2] * value;
        }
    }
}

aid_status aid_psf_make_profile(aid_psf *psf, const double *corrections, int count, aid_error *err)
{
    int length = (int)(table_end * profile_rate) + 4;
    double *profile;
    AID_TRY(aid_new_array((size_t)length, sizeof *profile, "PSF profile", &profile, err));
    for (int i = 0; i < length; i++) {
        double s = i / profile_rate;
        profile[i] = pow(1.0 + s * s, -psf->beta);
        for (int k = 0; k < count; k++)
            profile[i] += corrections[k] * radial_function(k, s);
    }
    free(psf->profile);
    psf->profile = profile;
    psf->profile_count = length;
    psf->profile_rate = profile_rate;
    return AID_OK;
}

static aid_status put_solution(const psf_basis *basis, const solution *s, aid_psf *psf,
                               aid_error *err)
{
    double corrections[MAX_RADIAL];
    for (int k = 0; k < basis->radial; k++)
        corrections[k] = s->z[k] * s->sigma[k];
    AID_TRY(aid_psf_make_profile(psf, corrections, basis->radial, err));
    size_t count = (size_t)psf->terms * (size_t)basis->side * (size_t)basis->side;
    free(psf->coefficients);
    psf->coefficients = NULL;
    psf->side = 0;
    AID_TRY(aid_new_array(count, sizeof *psf->coefficients, "PSF planes", &psf->coefficients, err));
    psf->side = basis->side;
    psf->oversampling = basis->rate;
    put_planes(basis, s, psf);
    return AID_OK;
}

static aid_status solve_and_put(const psf_basis *basis, const double *matrix, const double *right,
                                psf_builder *builder, aid_error *err)
{
    enum { ITERATIONS = 6 }; /* a second call goes on from the first one's taus */
    size_t n = (size_t)basis->unknowns;
    AID_CLEANUP(aid_free_pointer)
    double *memory = NULL;
    AID_TRY(aid_new_array(n * n + 3 * n, sizeof *memory, "PSF solution", &memory, err));
    solution s = {.tau = builder->tau,
                  .work = memory,
                  .z = memory + n * n,
                  .variance = memory + n * n + n,
                  .sigma = memory + n * n + 2 * n};
    for (int g = 0; g < PSF_TAUS; g++)
        s.tau[g] = AID_MAX(s.tau[g], 1e-3);
    bool settled = false;
    for (int iteration = 0; iteration < ITERATIONS && !settled; iteration++) {
        AID_TRY(solve(basis, matrix, right, &s, err));
        settled = iteration + 1 == ITERATIONS || update_taus(basis, &s);
    }
    return put_solution(basis, &s, &builder->psf, err);
}

aid_status aid_psf_fit_residual(psf_builder *builder, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    double *matrix = NULL;
    AID_CLEANUP(aid_free_pointer)
    double *right = NULL;
    AID_CLEANUP(basis_done)
    psf_basis basis = {0};
    AID_TRY(make_basis(builder, &basis, err));
    AID_TRY(gather_equations(builder, &basis, &matrix, &right, err));
    AID_TRY(add_gauges(&basis, matrix, err));
    aid_status status = solve_and_put(&basis, matrix, right, builder, err);
    return status == AID_ERR_NUMERIC ? aid_error_prefix(err, status, "planes of the PSF") : status;
}
