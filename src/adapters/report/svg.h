/* Plots as inline SVG: one frame with ticks, and points, lines and bars in it. Colours come from
 * the page's style sheet by class, so that plots follow the light and the dark theme. */
#ifndef AID_ADAPTERS_REPORT_SVG_H
#define AID_ADAPTERS_REPORT_SVG_H

#include "core/base/macros.h"

#include <stdbool.h>
#include <stdio.h>

#define AID_PLOT_MAX_TICKS 16
#define AID_PLOT_WIDTH                                                                             \
    460 /* of every drawing: narrower plots are centred in it, texts equally large */

typedef struct aid_axis {
    double low, high;
    bool logarithmic;  /* both limits are above 0 then */
    const char *label; /* a constant of ours */
} aid_axis;

typedef struct aid_plot {
    FILE *out;
    double width, height;            /* of the drawing, in its own units */
    double left, right, top, bottom; /* of the frame */
    aid_axis x, y;
} aid_plot;

/* Round steps (1, 2 or 5 times a power of ten) that cover the axis in about `wanted` ticks; powers
 * of ten on a logarithmic one, with 2 and 5 between them on a short one. Returns how many. */
int aid_axis_ticks(const aid_axis *axis, int wanted, double ticks[AID_PLOT_MAX_TICKS]);

/* Writes <svg>, grid, ticks and labels. `description` (a constant of ours) is for screen readers.
 * The frame fills `width` (at most AID_PLOT_WIDTH) x `height` but for the labels. */
void aid_plot_begin(aid_plot *plot, FILE *out, double width, double height, aid_axis x, aid_axis y,
                    const char *description);
void aid_plot_end(const aid_plot *plot);

/* Where a value falls in the drawing; not cut to the frame. */
double aid_plot_x(const aid_plot *plot, double value);
double aid_plot_y(const aid_plot *plot, double value);

/* Round dots of class `class`. Points beyond the frame are drawn as ticks on its rim: none is lost
 * in silence. NaN is left out. */
void aid_plot_dots(const aid_plot *plot, const double *x, const double *y, int count,
                   const char *class);
/* A line through the points, cut to the frame in y. */
void aid_plot_curve(const aid_plot *plot, const double *x, const double *y, int count,
                    const char *class);
void aid_plot_horizontal(const aid_plot *plot, double y, const char *class);
void aid_plot_vertical(const aid_plot *plot, double x, const char *class);
/* A rectangle between two values of y over the whole width. */
void aid_plot_band(const aid_plot *plot, double y_low, double y_high, const char *class);

/* The smallest of 1, 2, 5 x 10^k that is not below `value`; 1 for what is not above 0. */
double aid_round_up(double value);

#endif
