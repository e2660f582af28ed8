/* A galaxy as points on the sky: a disc with two arms and knots, and a bulge. The same points are
 * seen in both epochs, each through the PSF of its place, so that the galaxy is the same sky. */
#include "domain/simulation/internal.h"

#include <math.h>

static const double pi = 3.141592653589793;
static const double golden_turn = 2.399963229728653; /* rad: spreads points evenly over a disc */

/* Enough points that none of them stands out of the noise. */
int aid_sim_galaxy_point_count(const aid_sky *sky, const aid_sky_source *galaxy)
{
    double flux = aid_sim_flux_of_mag(&sky->options, AID_SKY_SCIENCE, galaxy->mag[0]);
    return (int)fmin(fmax(flux / 40.0, 40.0), AID_SIM_GALAXY_POINTS);
}

/* The radius, in scale lengths, within which an exponential disc has the fraction f of its light:
 * Newton on 1 - (1 + r) e^-r = f. */
static double disc_radius(double f)
{
    double r = sqrt(2.0 * f) + f;
    for (int i = 0; i < 30; i++) {
        double decay = exp(-r), step = (1.0 - (1.0 + r) * decay - f) / (r * decay + 1e-12);
        r = fmax(r - step, 1e-6);
        if (fabs(step) < 1e-13)
            break;
    }
    return r;
}

/* Bulge: M(r) = (r/(r+1))^2 of Hernquist 1990 taken as a surface profile, cut at eight scales. */
static double bulge_radius(double f)
{
    double root = sqrt(f * 64.0 / 81.0);
    return root / (1.0 - root);
}

void aid_sim_galaxy_points(const aid_sky *sky, const aid_sky_source *galaxy,
                           aid_sim_galaxy_point *points, int count)
{
    aid_random random = aid_sim_random(sky, AID_SIM_STREAM_GALAXY_POINTS, galaxy->id);
    double bulge = 0.6 * aid_random_uniform(&random) * aid_random_uniform(&random);
    double arms = 0.7 * aid_random_uniform(&random), phase = 2.0 * pi * aid_random_uniform(&random);
    double winding = aid_random_uniform(&random) < 0.5 ? -3.0 : 3.0;
    double scale_deg = galaxy->half_light_arcsec / 3600.0 / 1.678;
    double turn = galaxy->position_angle_deg * pi / 180.0, total = 0.0;
    int in_bulge = (int)(bulge * count);
    for (int i = 0; i < count; i++) {
        bool is_bulge = i < in_bulge;
        int rank = is_bulge ? i : i - in_bulge, of = is_bulge ? in_bulge : count - in_bulge;
        double f = (rank + 0.5) / of * 0.97;
        double r = is_bulge ? 0.4 * bulge_radius(f) : disc_radius(f);
        double angle = golden_turn * rank + phase, weight = 1.0;
        if (!is_bulge) {
            weight += arms * cos(2.0 * angle - winding * log(r + 0.1));
            weight *= aid_random_uniform(&random) < 0.06 ? 2.5 : 1.0; /* a knot */
        }
        double flatten = is_bulge ? 0.5 + 0.5 * galaxy->axis_ratio : galaxy->axis_ratio;
        double along = scale_deg * r * cos(angle), across = scale_deg * flatten * r * sin(angle);
        points[i] = (aid_sim_galaxy_point){.east_deg = along * sin(turn) + across * cos(turn),
                                           .north_deg = along * cos(turn) - across * sin(turn),
                                           .weight = weight};
        total += weight;
    }
    for (int i = 0; i < count; i++)
        points[i].weight /= total;
}
