#include "adapters/report/svg.h"

#include <math.h>

/* ---------------------------------------------------------------------------------------- ticks */

double aid_round_up(double value)
{
    if (!(value > 0.0) || !isfinite(value))
        return 1.0;
    double power = pow(10.0, floor(log10(value)));
    static const double steps[] = {1.0, 2.0, 5.0, 10.0};
    for (int i = 0; i < 4; i++)
        if (value <= steps[i] * power * (1.0 + 1e-9))
            return steps[i] * power;
    return 10.0 * power;
}

static int linear_ticks(const aid_axis *axis, int wanted, double *ticks)
{
    double step = aid_round_up((axis->high - axis->low) / wanted);
    double slack = 1e-9 * step;
    int count = 0;
    double first = ceil((axis->low - slack) / step);
    for (double i = first; i * step <= axis->high + slack && count < AID_PLOT_MAX_TICKS; i += 1.0)
        ticks[count++] = i * step;
    return count;
}

static int logarithmic_ticks(const aid_axis *axis, double *ticks)
{
    static const double steps[] = {1.0, 2.0, 5.0};
    double decades = log10(axis->high / axis->low);
    int every = decades > 12.0  ? 3
                : decades > 7.0 ? 2
                                : 1,
        inner = decades < 1.6 ? 3 : 1, count = 0;
    int last = (int)floor(log10(axis->high) + 1e-9);
    for (int power = (int)floor(log10(axis->low)); power <= last; power++) {
        if (power % every)
            continue;
        for (int i = 0; i < inner && count < AID_PLOT_MAX_TICKS; i++) {
            double tick = steps[i] * pow(10.0, power);
            if (tick >= axis->low * (1.0 - 1e-9) && tick <= axis->high * (1.0 + 1e-9))
                ticks[count++] = tick;
        }
    }
    return count;
}

int aid_axis_ticks(const aid_axis *axis, int wanted, double ticks[AID_PLOT_MAX_TICKS])
{
    return axis->logarithmic ? logarithmic_ticks(axis, ticks) : linear_ticks(axis, wanted, ticks);
}

/* A true minus sign and an exponent where the digits would be many. */
static void write_tick_text(FILE *out, double value, double step, bool logarithmic)
{
    if (value < 0.0)
        fputs("&#8722;", out);
    double size = fabs(value);
    int power = size > 0.0 ? (int)floor(log10(size) + 1e-9) : 0;
    int largest = logarithmic ? 3 : 4;
    if (size > 0.0 && (power > largest || power < -3)) {
        double mantissa = size / pow(10.0, power);
        if (!logarithmic || mantissa > 1.5)
            fprintf(out, "%.3g&#215;", mantissa);
        fprintf(out, "10<tspan dy=\"-4\" class=\"power\">%s%d</tspan>", power < 0 ? "&#8722;" : "",
                power < 0 ? -power : power);
        return;
    }
    int decimals = logarithmic ? AID_MAX(-power, 0) : AID_MAX(-(int)floor(log10(step) + 1e-9), 0);
    fprintf(out, "%.*f", decimals, size);
}

/* ---------------------------------------------------------------------------------------- frame */

static double along_axis(const aid_axis *axis, double value)
{
    if (axis->logarithmic)
        return value > 0.0 ? log(value / axis->low) / log(axis->high / axis->low) : -1e9;
    return (value - axis->low) / (axis->high - axis->low);
}

double aid_plot_x(const aid_plot *plot, double value)
{
    return plot->left + (plot->right - plot->left) * along_axis(&plot->x, value);
}

double aid_plot_y(const aid_plot *plot, double value)
{
    return plot->bottom - (plot->bottom - plot->top) * along_axis(&plot->y, value);
}

static void draw_x_axis(const aid_plot *plot)
{
    double ticks[AID_PLOT_MAX_TICKS];
    int count = aid_axis_ticks(&plot->x, plot->right - plot->left > 250.0 ? 7 : 5, ticks);
    double step = count > 1 ? ticks[1] - ticks[0] : 1.0;
    for (int i = 0; i < count; i++) {
        double x = aid_plot_x(plot, ticks[i]);
        fprintf(plot->out, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>", x, plot->top,
                plot->bottom);
        fprintf(plot->out, "<text class=\"tick mid\" x=\"%.1f\" y=\"%.1f\">", x,
                plot->bottom + 15.0);
        write_tick_text(plot->out, ticks[i], step, plot->x.logarithmic);
        fputs("</text>", plot->out);
    }
    fprintf(plot->out, "<text class=\"label mid\" x=\"%.1f\" y=\"%.1f\">",
            0.5 * (plot->left + plot->right), plot->height - 5.0);
    fputs(plot->x.label, plot->out);
    fputs("</text>", plot->out);
}

static void draw_y_axis(const aid_plot *plot)
{
    double ticks[AID_PLOT_MAX_TICKS];
    int count = aid_axis_ticks(&plot->y, 6, ticks);
    double step = count > 1 ? ticks[1] - ticks[0] : 1.0;
    for (int i = 0; i < count; i++) {
        double y = aid_plot_y(plot, ticks[i]);
        fprintf(plot->out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", plot->left, y,
                plot->right);
        fprintf(plot->out, "<text class=\"tick end\" x=\"%.1f\" y=\"%.1f\">", plot->left - 6.0,
                y + 4.0);
        write_tick_text(plot->out, ticks[i], step, plot->y.logarithmic);
        fputs("</text>", plot->out);
    }
    double middle = 0.5 * (plot->top + plot->bottom);
    fprintf(plot->out,
            "<text class=\"label mid\" x=\"12\" y=\"%.1f\" transform=\"rotate(-90 12 %.1f)\">",
            middle, middle);
    fputs(plot->y.label, plot->out);
    fputs("</text>", plot->out);
}

/* An axis without extent, or with limits that are no numbers, would put every point at infinity. */
static aid_axis sound_axis(aid_axis axis)
{
    if (!isfinite(axis.low) || !isfinite(axis.high) || (axis.logarithmic && axis.low <= 0.0)) {
        axis.low = axis.logarithmic ? 1.0 : 0.0;
        axis.high = axis.logarithmic ? 10.0 : 1.0;
    }
    if (!(axis.high - axis.low > 1e-12 * fabs(axis.low)) || !(axis.high > axis.low))
        axis.high = axis.logarithmic ? axis.low * 10.0 : axis.low + AID_MAX(fabs(axis.low), 1.0);
    return axis;
}

void aid_plot_begin(aid_plot *plot, FILE *out, double width, double height, aid_axis x, aid_axis y,
                    const char *description)
{
    *plot = (aid_plot){.out = out,
                       .width = width,
                       .height = height,
                       .left = 58.0,
                       .right = width - 10.0,
                       .top = 8.0,
                       .bottom = height - 40.0,
                       .x = sound_axis(x),
                       .y = sound_axis(y)};
    fprintf(out, "<svg class=\"plot\" viewBox=\"%.1f 0 %d %.1f\" role=\"img\" aria-label=\"",
            0.5 * (width - AID_PLOT_WIDTH), AID_PLOT_WIDTH, height);
    fputs(description, out);
    fputs("\">", out);
    draw_x_axis(plot);
    draw_y_axis(plot);
}

/* Short marks at 2 to 9 times each power of ten, on the axis alone. */
static void draw_minor_ticks(const aid_plot *plot, const aid_axis *axis, bool is_x)
{
    if (!axis->logarithmic || log10(axis->high / axis->low) > 8.0)
        return;
    fputs("<path class=\"minor\" d=\"", plot->out);
    for (double power = pow(10.0, floor(log10(axis->low))); power < axis->high; power *= 10.0)
        for (int i = 2; i < 10; i++) {
            double value = i * power;
            if (value < axis->low || value > axis->high)
                continue;
            if (is_x)
                fprintf(plot->out, "M%.1f %.1fv-4", aid_plot_x(plot, value), plot->bottom);
            else
                fprintf(plot->out, "M%.1f %.1fh4", plot->left, aid_plot_y(plot, value));
        }
    fputs("\"/>", plot->out);
}

void aid_plot_end(const aid_plot *plot)
{
    draw_minor_ticks(plot, &plot->x, true);
    draw_minor_ticks(plot, &plot->y, false);
    fprintf(plot->out, "<path class=\"frame\" d=\"M%.1f %.1fV%.1fH%.1f\"/></svg>\n", plot->left,
            plot->top, plot->bottom, plot->right);
}

/* ---------------------------------------------------------------------------------------- marks */

/* One path for all dots: a stroke of no length with round ends, which is a sixth of a <circle>. */
void aid_plot_dots(const aid_plot *plot, const double *x, const double *y, int count,
                   const char *class)
{
    fprintf(plot->out, "<path class=\"dots %s\" d=\"", class);
    int outside = 0;
    for (int i = 0; i < count; i++) {
        double at_x = aid_plot_x(plot, x[i]), at_y = aid_plot_y(plot, y[i]);
        bool is_inside =
            at_x >= plot->left && at_x <= plot->right && at_y >= plot->top && at_y <= plot->bottom;
        if (is_inside)
            fprintf(plot->out, "M%.1f %.1fh0", at_x, at_y);
        outside += !is_inside && !isnan(at_x) && !isnan(at_y);
    }
    fputs("\"/>", plot->out);
    if (!outside)
        return;
    fprintf(plot->out, "<path class=\"rim %s\" d=\"", class);
    for (int i = 0; i < count; i++) {
        double at_x = aid_plot_x(plot, x[i]), at_y = aid_plot_y(plot, y[i]);
        if (isnan(at_x) || isnan(at_y))
            continue;
        double in_x = AID_CLAMP(at_x, plot->left, plot->right);
        double in_y = AID_CLAMP(at_y, plot->top, plot->bottom);
        if (in_y != at_y)
            fprintf(plot->out, "M%.1f %.1fl3 %sl-6 0z", in_x, in_y, at_y < in_y ? "6" : "-6");
        else if (in_x != at_x)
            fprintf(plot->out, "M%.1f %.1fl%s 3l0 -6z", in_x, in_y, at_x < in_x ? "6" : "-6");
    }
    fputs("\"/>", plot->out);
}

void aid_plot_curve(const aid_plot *plot, const double *x, const double *y, int count,
                    const char *class)
{
    fprintf(plot->out, "<path class=\"curve %s\" d=\"", class);
    bool is_drawing = false;
    for (int i = 0; i < count; i++) {
        double at_x = aid_plot_x(plot, x[i]), at_y = aid_plot_y(plot, y[i]);
        bool is_inside = at_y >= plot->top && at_y <= plot->bottom + 0.5; /* NaN is not */
        if (is_inside)
            fprintf(plot->out, "%c%.1f %.1f", is_drawing ? 'L' : 'M', at_x, at_y);
        is_drawing = is_inside;
    }
    fputs("\"/>", plot->out);
}

void aid_plot_horizontal(const aid_plot *plot, double y, const char *class)
{
    double at = aid_plot_y(plot, y);
    if (at >= plot->top && at <= plot->bottom)
        fprintf(plot->out, "<path class=\"rule %s\" d=\"M%.1f %.1fH%.1f\"/>", class, plot->left, at,
                plot->right);
}

void aid_plot_vertical(const aid_plot *plot, double x, const char *class)
{
    double at = aid_plot_x(plot, x);
    if (at >= plot->left && at <= plot->right)
        fprintf(plot->out, "<path class=\"rule %s\" d=\"M%.1f %.1fV%.1f\"/>", class, at, plot->top,
                plot->bottom);
}

void aid_plot_band(const aid_plot *plot, double y_low, double y_high, const char *class)
{
    double high = aid_plot_y(plot, y_low), low = aid_plot_y(plot, y_high);
    if (isnan(low) || isnan(high))
        return;
    low = AID_CLAMP(low, plot->top, plot->bottom);
    high = AID_CLAMP(high, plot->top, plot->bottom);
    fprintf(plot->out, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
            class, plot->left, low, plot->right - plot->left, high - low);
}
