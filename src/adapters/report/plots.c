#include "adapters/report/page.h"
#include "adapters/report/svg.h"
#include "core/base/memory.h"
#include "core/imaging/stats.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static const double pi = 3.14159265358979323846;

static const char *const score_label = "score <tspan class=\"it\">S</tspan><tspan dy=\"3\" "
                                       "class=\"sub\">corr</tspan><tspan dy=\"-3\">, in σ</tspan>";

enum { PLOT_WIDTH = AID_PLOT_WIDTH, PLOT_HEIGHT = 310, MAX_DOTS = 2000, MAX_ARROWS = 600 };

/* --------------------------------------------------------------------------------- S_corr itself
 */

static double bin_low(int bin)
{
    return -AID_SCORE_EDGE + (double)bin / AID_SCORE_BINS_PER_UNIT;
}

static void draw_bars(const aid_plot *plot, const aid_score_histogram *histogram, double threshold)
{
    for (int i = -1; i <= AID_SCORE_BINS; i++) {
        int64_t count = i < 0                 ? histogram->below
                        : i == AID_SCORE_BINS ? histogram->above
                                              : histogram->bins[i];
        if (count == 0)
            continue;
        double low = bin_low(i), high = bin_low(i + 1);
        bool is_beyond = low >= threshold || high <= -threshold;
        double x = aid_plot_x(plot, low), top = aid_plot_y(plot, (double)count);
        fprintf(plot->out,
                "<rect class=\"bar%s\" data-n=\"%" PRId64 "\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" "
                "height=\"%.2f\"/>",
                is_beyond ? " beyond" : "", count, x + 0.3, top, aid_plot_x(plot, high) - x - 0.6,
                plot->bottom - top);
    }
}

/* The number of pixels that a unit normal puts into a bin around each value. */
static void draw_unit_normal(const aid_plot *plot, double total)
{
    enum { STEPS = 161 };
    double x[STEPS], y[STEPS];
    for (int i = 0; i < STEPS; i++) {
        x[i] = -8.0 + 0.1 * i;
        y[i] = total / AID_SCORE_BINS_PER_UNIT * exp(-0.5 * x[i] * x[i]) / sqrt(2.0 * pi);
    }
    aid_plot_curve(plot, x, y, STEPS, "normal");
}

void aid_plot_score_histogram(const aid_report_page *page)
{
    const aid_score_histogram *histogram = &page->summary->histogram;
    double most = (double)AID_MAX(histogram->below, histogram->above);
    for (int i = 0; i < AID_SCORE_BINS; i++)
        most = fmax(most, (double)histogram->bins[i]);
    double one_bin = 1.0 / AID_SCORE_BINS_PER_UNIT;
    aid_axis x = {-AID_SCORE_EDGE - one_bin, AID_SCORE_EDGE + one_bin, false, score_label};
    aid_axis y = {0.5, 2.0 * fmax(most, 5.0), true, "pixels per bin of ¼ σ"};
    aid_plot plot;
    aid_plot_begin(&plot, page->out, PLOT_WIDTH, PLOT_HEIGHT, x, y,
                   "Histogram of the score over all searched pixels, with the unit normal");
    draw_bars(&plot, histogram, page->facts->threshold);
    draw_unit_normal(&plot, (double)histogram->total);
    aid_plot_vertical(&plot, page->facts->threshold, "limit");
    aid_plot_vertical(&plot, -page->facts->threshold, "limit");
    aid_plot_end(&plot);
}

/* ---------------------------------------------------------------------------------- flux scale */

/* Two numbers of each matched star, sorted by class; at most `most` stars, evenly chosen. */
enum { MAX_CLASSES = 4 };
typedef struct star_columns {
    double *x, *y; /* owned through x */
    int begin[MAX_CLASSES + 1];
} star_columns;

typedef struct star_view {
    void (*values)(const aid_report_page *page, const aid_matched_star *star, double *ret_x,
                   double *ret_y);
    int (*class_of)(const aid_report_page *page, const aid_matched_star *star); /* -1: left out */
    int classes;
    const char *names[MAX_CLASSES]; /* later ones are drawn over earlier ones */
} star_view;

static bool gather_stars(const aid_report_page *page, const star_view *view, int most,
                         star_columns *columns)
{
    const aid_photometric_match *match = &page->result->difference.match;
    int step = AID_MAX((match->count + most - 1) / most, 1), count = 0;
    size_t room = (size_t)match->count / (size_t)step + 1;
    *columns = (star_columns){0};
    if (aid_new_array(2 * room, sizeof *columns->x, "report", &columns->x, NULL) != AID_OK)
        return false; /* a plot without dots is better than no report */
    columns->y = columns->x + room;
    for (int class = 0; class < view->classes; class ++) {
        columns->begin[class] = count;
        for (int i = 0; i < match->count; i += step)
            if (view->class_of(page, &match->stars[i]) == class) {
                view->values(page, &match->stars[i], &columns->x[count], &columns->y[count]);
                count++;
            }
    }
    for (int class = view->classes; class <= MAX_CLASSES; class ++)
        columns->begin[class] = count;
    return true;
}

static void draw_stars(const aid_plot *plot, const star_view *view, const star_columns *columns)
{
    for (int class = 0; class < view->classes; class ++) {
        int begin = columns->begin[class];
        aid_plot_dots(plot, columns->x + begin, columns->y + begin,
                      columns->begin[class + 1] - begin, view->names[class]);
    }
}

static int used_or_not(const aid_report_page *page, const aid_matched_star *star)
{
    (void)page;
    return star->used;
}

/* In per cent: measured ratio over the fitted one at the star's place, minus 1. */
static double flux_residual(const aid_report_page *page, const aid_matched_star *star)
{
    const aid_image *image = &page->result->science.image;
    double fitted = aid_report_flux_ratio(&page->result->difference.match, image->width,
                                          image->height, star->x, star->y);
    return 100.0 * (star->ratio / fitted - 1.0);
}

static void finite_range(const double *values, int count, double *ret_low, double *ret_high)
{
    *ret_low = INFINITY;
    *ret_high = -INFINITY;
    for (int i = 0; i < count; i++)
        if (isfinite(values[i])) {
            *ret_low = fmin(*ret_low, values[i]);
            *ret_high = fmax(*ret_high, values[i]);
        }
}

/* A symmetric range that holds nearly all of the values (of the stars in the fit: the others show
 * on the rim) and does not follow the wildest. */
static double robust_range(const double *values, int count, double least)
{
    double *copy = NULL;
    size_t room = (size_t)AID_MAX(count, 1);
    if (aid_new_array(room, sizeof *copy, "report", &copy, NULL) != AID_OK)
        return least;
    for (int i = 0; i < count; i++)
        copy[i] = fabs(values[i]);
    double most = aid_quantile_in_place_f64(copy, count, 0.97);
    free(copy);
    return aid_round_up(fmax(1.15 * (isfinite(most) ? most : 0.0), least));
}

static void flux_and_residual(const aid_report_page *page, const aid_matched_star *star,
                              double *ret_x, double *ret_y)
{
    *ret_x = star->flux_science > 0.0 ? star->flux_science : NAN;
    *ret_y = flux_residual(page, star);
}

static void place_of_star(const aid_report_page *page, const aid_matched_star *star, double *ret_x,
                          double *ret_y)
{
    (void)page;
    *ret_x = star->x;
    *ret_y = star->y;
}

void aid_plot_flux_residuals(const aid_report_page *page)
{
    static const star_view view = {flux_and_residual, used_or_not, 2, {"unused", "used"}};
    star_columns columns;
    if (!gather_stars(page, &view, MAX_DOTS, &columns))
        return;
    int used = columns.begin[1], count = columns.begin[MAX_CLASSES];
    double scatter = 100.0 * page->result->difference.match.scatter, low, high;
    finite_range(columns.x, count, &low, &high);
    double least = isfinite(scatter) ? 2.0 * scatter : 0.1;
    double range = robust_range(columns.y + used, count - used, least);
    aid_axis x = {low / 1.3, high * 1.3, true, "flux in the science image, in its unit"};
    aid_axis y = {-range, range, false, "flux ratio ÷ fit − 1, in %"};
    aid_plot plot;
    aid_plot_begin(&plot, page->out, PLOT_WIDTH, PLOT_HEIGHT, x, y,
                   "Flux ratio residual of each matched star against its flux");
    aid_plot_band(&plot, -scatter, scatter, "band");
    aid_plot_horizontal(&plot, 0.0, "zero");
    draw_stars(&plot, &view, &columns);
    aid_plot_end(&plot);
    free(columns.x);
}

/* A frame that shows the field with one scale on both axes. */
static void begin_field(const aid_report_page *page, aid_plot *plot, const char *description)
{
    const aid_image *image = &page->result->science.image;
    double per_px = fmin(300.0 / image->height, (PLOT_WIDTH - 68.0) / image->width);
    double wide = fmax(per_px * image->width, 100.0), tall = fmax(per_px * image->height, 100.0);
    aid_axis x = {-0.5, image->width - 0.5, false, "x, px"};
    aid_axis y = {-0.5, image->height - 0.5, false, "y, px"};
    aid_plot_begin(plot, page->out, wide + 68.0, tall + 48.0, x, y, description);
}

/* Sign by colour, beyond one scatter by size. */
static int residual_class(const aid_report_page *page, const aid_matched_star *star)
{
    double residual = flux_residual(page, star) / (100.0 * page->result->difference.match.scatter);
    if (!star->used || isnan(residual))
        return -1;
    bool is_big = fabs(residual) > 1.0;
    return 2 * is_big + (residual > 0.0);
}

void aid_plot_flux_field(const aid_report_page *page)
{
    static const star_view view = {
        place_of_star, residual_class, 4, {"low", "high", "low big", "high big"}};
    aid_plot plot;
    begin_field(page, &plot, "Flux ratio residual of each matched star over the field");
    star_columns columns;
    if (gather_stars(page, &view, MAX_DOTS, &columns)) {
        draw_stars(&plot, &view, &columns);
        free(columns.x);
    }
    aid_plot_end(&plot);
}

/* ----------------------------------------------------------------------------------- astrometry */

static void shift_of_star(const aid_report_page *page, const aid_matched_star *star, double *ret_x,
                          double *ret_y)
{
    (void)page;
    *ret_x = star->dx;
    *ret_y = star->dy;
}

static void draw_ellipse(const aid_plot *plot, double radius_x, double radius_y, const char *class)
{
    if (!isfinite(radius_x) || !isfinite(radius_y))
        return;
    double x = aid_plot_x(plot, 0.0), y = aid_plot_y(plot, 0.0);
    fprintf(plot->out, "<ellipse class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" rx=\"%.2f\" ry=\"%.2f\"/>",
            class, x, y, aid_plot_x(plot, radius_x) - x, y - aid_plot_y(plot, radius_y));
}

void aid_plot_astrometric_residuals(const aid_report_page *page)
{
    static const star_view view = {shift_of_star, used_or_not, 2, {"unused", "used"}};
    star_columns columns;
    if (!gather_stars(page, &view, MAX_DOTS, &columns))
        return;
    const aid_difference *difference = &page->result->difference;
    int used = columns.begin[1], count = columns.begin[MAX_CLASSES] - used;
    double range = fmax(robust_range(columns.x + used, count, 0.01),
                        robust_range(columns.y + used, count, 0.01));
    aid_axis x = {-range, range, false, "x(science) − x(reference), px"};
    aid_axis y = {-range, range, false, "y(science) − y(reference), px"};
    aid_plot plot;
    aid_plot_begin(&plot, page->out, PLOT_HEIGHT + 58, PLOT_HEIGHT + 38, x, y,
                   "Position difference of each matched star in x and y");
    aid_plot_horizontal(&plot, 0.0, "zero");
    aid_plot_vertical(&plot, 0.0, "zero");
    draw_stars(&plot, &view, &columns);
    draw_ellipse(&plot, difference->astrometric_x_px, difference->astrometric_y_px, "ring");
    aid_plot_end(&plot);
    free(columns.x);
}

/* Nine of ten arrows are shorter than a fifteenth of the field. */
double aid_plot_magnification(const aid_report_page *page)
{
    const aid_photometric_match *match = &page->result->difference.match;
    const aid_image *image = &page->result->science.image;
    AID_CLEANUP(aid_free_pointer)
    double *lengths = NULL;
    size_t room = (size_t)AID_MAX(match->count, 1);
    if (aid_new_array(room, sizeof *lengths, "report", &lengths, NULL) != AID_OK)
        return 0.0;
    int count = 0;
    for (int i = 0; i < match->count; i++)
        if (match->stars[i].used)
            lengths[count++] = hypot(match->stars[i].dx, match->stars[i].dy);
    double longest = aid_quantile_in_place_f64(lengths, count, 0.9);
    return longest > 0.0 ? AID_MAX(image->width, image->height) / 15.0 / longest : 0.0;
}

void aid_plot_astrometric_field(const aid_report_page *page)
{
    const aid_photometric_match *match = &page->result->difference.match;
    const aid_image *image = &page->result->science.image;
    double side = AID_MAX(image->width, image->height);
    double magnification = aid_plot_magnification(page);
    int step = AID_MAX((match->count + MAX_ARROWS - 1) / MAX_ARROWS, 1);
    aid_plot plot;
    begin_field(page, &plot, "Position difference of matched stars over the field, as arrows");
    fputs("<path class=\"arrows\" d=\"", page->out);
    for (int i = 0; i < match->count; i += step) {
        const aid_matched_star *star = &match->stars[i];
        double dx = star->dx * magnification, dy = star->dy * magnification;
        if (!star->used || !(hypot(dx, dy) < 0.15 * side))
            continue;
        fprintf(page->out, "M%.1f %.1fL%.1f %.1f", aid_plot_x(&plot, star->x),
                aid_plot_y(&plot, star->y), aid_plot_x(&plot, star->x + dx),
                aid_plot_y(&plot, star->y + dy));
    }
    fputs("\"/>", page->out);
    static const star_view bases = {place_of_star, used_or_not, 2, {NULL, "base"}};
    star_columns columns;
    if (gather_stars(page, &bases, MAX_ARROWS, &columns)) {
        int begin = columns.begin[1];
        aid_plot_dots(&plot, columns.x + begin, columns.y + begin, columns.begin[2] - begin,
                      "base");
        free(columns.x);
    }
    aid_plot_end(&plot);
}

/* ----------------------------------------------------------------------------------------- PSFs */

enum { PROFILE_MAX = 40 };

/* Mean of the stamp in rings one pixel wide, relative to the central pixel. */
static int radial_profile(const aid_image *stamp, double radius[PROFILE_MAX],
                          double value[PROFILE_MAX])
{
    double sum[PROFILE_MAX] = {0}, count[PROFILE_MAX] = {0};
    int centre = stamp->width / 2, rings = AID_MIN(centre + 1, PROFILE_MAX);
    for (int32_t y = 0; y < stamp->height; y++)
        for (int32_t x = 0; x < stamp->width; x++) {
            int ring = (int)lround(hypot(x - centre, y - centre));
            if (ring >= rings)
                continue;
            sum[ring] += (double)aid_image_row(stamp, y)[x];
            count[ring] += 1.0;
        }
    for (int i = 0; i < rings; i++) {
        radius[i] = i;
        value[i] = sum[i] / count[i] / sum[0];
    }
    return rings;
}

static void draw_profile(const aid_plot *plot, const aid_image *stamp, const char *class)
{
    double radius[PROFILE_MAX], value[PROFILE_MAX];
    int rings = radial_profile(stamp, radius, value);
    aid_plot_curve(plot, radius, value, rings, class);
}

static void draw_model_profile(const aid_plot *plot, const aid_exposure *exposure,
                               const char *class)
{
    int side = 2 * exposure->psf.radius_px + 1;
    aid_image stamp;
    if (exposure->psf.radius_px < 1 || aid_image_init(side, side, &stamp, NULL) != AID_OK)
        return;
    aid_psf_stamp(&exposure->psf, 0.5 * (exposure->image.width - 1),
                  0.5 * (exposure->image.height - 1), 0.0, 0.0, exposure->psf.radius_px,
                  stamp.data);
    draw_profile(plot, &stamp, class);
    aid_image_done(&stamp);
}

void aid_plot_psf_profiles(const aid_report_page *page)
{
    const aid_process_result *result = page->result;
    int reach = AID_MAX(result->science.psf.radius_px, result->reference.psf.radius_px);
    aid_axis x = {0.0, AID_CLAMP(reach, 8, PROFILE_MAX), false, "distance from the centre, px"};
    aid_axis y = {1e-4, 1.6, true, "brightness, centre = 1"};
    aid_plot plot;
    aid_plot_begin(&plot, page->out, PLOT_WIDTH, PLOT_HEIGHT, x, y,
                   "Radial profiles of the three point spread functions");
    draw_model_profile(&plot, &result->reference, "reference");
    if (result->difference.psf.data)
        draw_profile(&plot, &result->difference.psf, "difference");
    draw_model_profile(&plot, &result->science, "science");
    aid_plot_end(&plot);
}

/* --------------------------------------------------------------------------------- completeness */

static void draw_completeness_bin(const aid_plot *plot, const aid_completeness_bin *bin)
{
    aid_interval interval = aid_wilson(bin->found, bin->injected, 1.959964);
    double middle = 0.5 * (bin->snr_low + bin->snr_high);
    double x = aid_plot_x(plot, middle), y = aid_plot_y(plot, (double)bin->found / bin->injected);
    fprintf(plot->out, "<path class=\"error\" d=\"M%.1f %.1fV%.1fM%.1f %.1fH%.1f\"/>", x,
            aid_plot_y(plot, interval.low), aid_plot_y(plot, interval.high),
            aid_plot_x(plot, bin->snr_low) + 2.0, y, aid_plot_x(plot, bin->snr_high) - 2.0);
    fprintf(plot->out,
            "<circle class=\"point\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"><title>%d of %d found at S/N "
            "%.1f to %.1f; 95 %% interval %.2f to %.2f</title></circle>",
            x, y, bin->found, bin->injected, bin->snr_low, bin->snr_high, interval.low,
            interval.high);
}

void aid_plot_completeness(const aid_report_page *page)
{
    const aid_injection *injection = &page->result->injection;
    double low = INFINITY, high = -INFINITY;
    for (int i = 0; i < AID_COMPLETENESS_BINS; i++)
        if (injection->bins[i].injected > 0) {
            low = fmin(low, injection->bins[i].snr_low);
            high = fmax(high, injection->bins[i].snr_high);
        }
    aid_axis x = {low, high, false, "S/N of the injected source"};
    aid_axis y = {0.0, 1.05, false, "fraction found"};
    aid_plot plot;
    aid_plot_begin(&plot, page->out, PLOT_WIDTH, PLOT_HEIGHT, x, y,
                   "Fraction of injected sources found against their signal-to-noise ratio");
    aid_plot_horizontal(&plot, 0.5, "zero");
    aid_plot_vertical(&plot, page->facts->threshold, "limit");
    if (isfinite(injection->snr_50))
        aid_plot_vertical(&plot, injection->snr_50, "half");
    for (int i = 0; i < AID_COMPLETENESS_BINS; i++)
        if (injection->bins[i].injected > 0)
            draw_completeness_bin(&plot, &injection->bins[i]);
    aid_plot_end(&plot);
}
