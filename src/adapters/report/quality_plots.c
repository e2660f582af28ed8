/* What is followed over time, one plot each, with its trend and the frames that leave it. */
#include "adapters/report/html.h"
#include "adapters/report/quality_page.h"
#include "adapters/report/svg.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>

enum {
    PLOT_HEIGHT = 230,
    STEPS = 60,       /* of a trend line */
    MAX_NAMED = 5,    /* outliers that are written beside their point */
    MAX_TOUCHED = 600 /* points that tell their name when pointed at */
};

static const struct {
    const char *words, *title, *y_label;
    int decimals;
    bool from_zero;
} looks[AID_QUALITY_METRICS] = {
    [AID_METRIC_SEEING] = {"seeing", "Seeing", "FWHM, px", 2, false},
    [AID_METRIC_BACKGROUND] = {"sky", "Sky", "sky level, image unit", 3, false},
    [AID_METRIC_TRANSPARENCY] = {"transparency", "Transparency", "relative to the clearest", 3,
                                 false},
    [AID_METRIC_DEPTH] = {"depth", "Depth lost", "mag, relative to the best", 2, false},
    [AID_METRIC_ELLIPTICITY] = {"ellipticity", "Ellipticity", "1 &#8722; b/a", 3, true},
    [AID_METRIC_STARS] = {"stars", "Stars", "above 10 &#963;", 0, true},
    [AID_METRIC_SCORE] = {"score", "Score", "0 to 1", 2, true}};

const char *aid_quality_page_words(aid_quality_metric metric)
{
    return looks[metric].words;
}

const char *aid_quality_page_unit(aid_quality_metric metric, const aid_quality_group *group)
{
    switch (metric) {
    case AID_METRIC_SEEING:
        return group->seeing_in_arcsec ? "arcsec" : "px";
    case AID_METRIC_BACKGROUND:
        return group->background_per_s ? "/s" : "";
    case AID_METRIC_DEPTH:
        return "mag";
    default:
        return "";
    }
}

int aid_quality_page_decimals(aid_quality_metric metric)
{
    return looks[metric].decimals;
}

typedef struct series_points {
    double *x, *y, *odd_x, *odd_y; /* [count] each; owned through x */
    const aid_quality_frame **frames;
    int count, odd;
    bool timed;
    double x_low, x_high, y_low, y_high;
} series_points;

static void points_done(series_points *points)
{
    free(points->x);
    free(points->frames);
}

/* false: nothing to draw, or no memory to draw it with. */
static bool points_init(const aid_quality_report *report, const aid_quality_group *group,
                        int metric, series_points *points)
{
    size_t room = (size_t)group->frames;
    if (aid_new_array(4 * room, sizeof(double), "report", &points->x, NULL) != AID_OK ||
        aid_new_array(room, sizeof(void *), "report", &points->frames, NULL) != AID_OK)
        return false;
    points->y = points->x + room;
    points->odd_x = points->x + 2 * room;
    points->odd_y = points->x + 3 * room;
    points->timed = isfinite(group->begin_mjd_utc);
    points->x_low = points->y_low = INFINITY;
    points->x_high = points->y_high = -INFINITY;
    for (int i = group->first; i <= group->last; i++) {
        const aid_quality_frame *frame = &report->frames[report->series->order[i]];
        double days = frame->quality.mid_mjd_utc - group->begin_mjd_utc;
        double x = points->timed ? days * (group->per_night ? 1.0 : 24.0) : i - group->first + 1.0;
        double y = frame->metrics[metric];
        if (!isfinite(x) || !isfinite(y))
            continue;
        points->x_low = fmin(points->x_low, x);
        points->x_high = fmax(points->x_high, x);
        points->y_low = fmin(points->y_low, y);
        points->y_high = fmax(points->y_high, y);
        bool is_odd = frame->outlier >> metric & 1u;
        if (is_odd) {
            points->odd_x[points->odd] = x;
            points->odd_y[points->odd++] = y;
        }
        points->x[points->count] = x;
        points->y[points->count] = y;
        points->frames[points->count++] = frame;
    }
    return points->count > 0;
}

static aid_axis time_axis(const series_points *points, const aid_quality_group *group)
{
    double margin = 0.04 * fmax(points->x_high - points->x_low, 1e-3);
    const char *label = !points->timed     ? "frame, by name"
                        : group->per_night ? "days since the first exposure"
                                           : "hours since the first exposure";
    return (aid_axis){points->x_low - margin, points->x_high + margin, false, label};
}

static aid_axis value_axis(const series_points *points, const aid_quality_group *group, int metric)
{
    double low = points->y_low, high = points->y_high;
    double margin = fmax(0.1 * (high - low), 0.02 * fabs(high));
    const char *label = looks[metric].y_label;
    if (metric == AID_METRIC_SEEING && group->seeing_in_arcsec)
        label = "FWHM, arcsec";
    if (metric == AID_METRIC_BACKGROUND && group->background_per_s)
        label = "sky level per second";
    aid_axis axis = {low - margin, high + margin, false, label};
    if (looks[metric].from_zero)
        axis.low = 0.0;
    if (metric == AID_METRIC_SCORE)
        axis.high = fmax(1.0, axis.high);
    if (metric == AID_METRIC_TRANSPARENCY)
        axis.low = fmin(axis.low, 0.9);
    return axis;
}

/* The line goes through the median of the residuals, as the scatter is about it. */
static void draw_trend(const aid_plot *plot, const series_points *points,
                       const aid_quality_trend *trend)
{
    if (!isfinite(trend->slope)) {
        aid_plot_horizontal(plot, trend->median, "half");
        return;
    }
    double at[STEPS], line[STEPS]; /* steps, as what leaves the frame is left out whole */
    for (int k = 0; k < STEPS; k++) {
        at[k] = points->x_low + (points->x_high - points->x_low) * k / (STEPS - 1);
        line[k] = trend->level + trend->slope * at[k];
    }
    aid_plot_curve(plot, at, line, STEPS, "normal");
}

/* Points that say which frame they are: by a title under the pointer, and the odd ones in writing.
 */
static void write_names(const aid_plot *plot, const series_points *points, int metric)
{
    FILE *out = plot->out;
    int named = 0;
    for (int i = 0; i < points->count && i < MAX_TOUCHED; i++) {
        double x = aid_plot_x(plot, points->x[i]), y = aid_plot_y(plot, points->y[i]);
        bool is_odd = points->frames[i]->outlier >> metric & 1u;
        fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"7\" fill=\"transparent\"><title>", x, y);
        aid_html_text(out, points->frames[i]->name);
        fputs(": ", out);
        aid_html_fixed(out, points->y[i], looks[metric].decimals);
        fputs("</title></circle>", out);
        if (!is_odd || named++ >= MAX_NAMED)
            continue;
        bool is_right = x > 0.5 * (plot->left + plot->right);
        fprintf(out, "<text class=\"tick%s\" x=\"%.1f\" y=\"%.1f\">", is_right ? " end" : "",
                x + (is_right ? -8.0 : 8.0), y + 4.0);
        aid_html_text(out, points->frames[i]->name);
        fputs("</text>", out);
    }
}

static void write_caption(FILE *out, const aid_quality_group *group, int metric)
{
    const aid_quality_trend *trend = &group->trends[metric];
    const char *unit = aid_quality_page_unit((aid_quality_metric)metric, group);
    fputs("<figcaption><b>", out);
    fputs(looks[metric].title, out);
    fputs("</b> &#183; median ", out);
    aid_html_significant(out, trend->median, 3);
    fprintf(out, "%s%s", *unit ? "&#8239;" : "", unit);
    if (isfinite(trend->slope)) {
        fputs(", trend ", out);
        fputs(trend->slope > 0.0 ? "+" : "", out);
        aid_html_significant(out, trend->slope, 2);
        fputs(" &#177; ", out);
        aid_html_significant(out, trend->slope_error, 1);
        fprintf(out, "%s%s per %s", *unit ? "&#8239;" : "", unit,
                group->per_night ? "night" : "hour");
    }
    if (trend->outliers)
        fprintf(out, " &#183; <i class=\"key o\"></i> %d off the trend", trend->outliers);
    fputs("</figcaption>", out);
}

static void write_plot(FILE *out, const aid_quality_report *report, const aid_quality_group *group,
                       int metric)
{
    AID_CLEANUP(points_done)
    series_points points = {0};
    if (!points_init(report, group, metric, &points))
        return;
    aid_plot plot;
    fputs("<figure>", out);
    aid_plot_begin(&plot, out, AID_PLOT_WIDTH, PLOT_HEIGHT, time_axis(&points, group),
                   value_axis(&points, group, metric), looks[metric].title);
    const aid_quality_trend *trend = &group->trends[metric];
    if (!isfinite(trend->slope) && trend->scatter > 0.0)
        aid_plot_band(&plot, trend->median - trend->scatter, trend->median + trend->scatter,
                      "band");
    draw_trend(&plot, &points, trend);
    aid_plot_dots(&plot, points.x, points.y, points.count, "used");
    aid_plot_dots(&plot, points.odd_x, points.odd_y, points.odd, "high big");
    write_names(&plot, &points, metric);
    aid_plot_end(&plot);
    write_caption(out, group, metric);
    fputs("</figure>\n", out);
}

void aid_quality_page_plots(FILE *out, const aid_quality_report *report, int group)
{
    static const aid_quality_metric in_order[] = {
        AID_METRIC_SCORE,        AID_METRIC_SEEING,      AID_METRIC_BACKGROUND, AID_METRIC_DEPTH,
        AID_METRIC_TRANSPARENCY, AID_METRIC_ELLIPTICITY, AID_METRIC_STARS};
    fputs("<div class=\"plots\">\n", out);
    for (size_t i = 0; i < AID_COUNT_OF(in_order); i++)
        write_plot(out, report, &report->series->groups[group], (int)in_order[i]);
    fputs("</div>\n", out);
}
