/* What a person reads on the terminal after a run. */
#include "apps/cli/run.h"

#include <math.h>
#include <stdio.h>

enum { MAX_SHOWN = 15 };

static void print_or_dash(const char *format, double value, int width)
{
    if (isfinite(value))
        printf(format, value);
    else
        printf("%*s ", width, "-");
}

static void print_candidate(const aid_candidate *candidate)
{
    char flags[256];
    aid_flag_names(candidate->flags, flags, sizeof flags);
    printf("%5lld %9.2f %9.2f ", (long long)candidate->id, candidate->x, candidate->y);
    print_or_dash("%11.6f ", candidate->ra_deg, 11);
    print_or_dash("%11.6f ", candidate->dec_deg, 11);
    printf("%11.4g %9.3g %7.1f ", candidate->flux, candidate->flux_err, candidate->score);
    print_or_dash("%7.3f ", candidate->mag, 7);
    printf(" %s\n", flags);
}

static bool is_rejected(const aid_candidate *candidate)
{
    return (candidate->flags & AID_FLAG_GROUP_REJECT) != 0;
}

static void print_candidates(const aid_candidates *candidates)
{
    if (candidates->unflagged == 0)
        return;
    printf("\n%5s %9s %9s %11s %11s %11s %9s %7s %7s  %s\n", "id", "x", "y", "ra", "dec", "flux",
           "+-", "score", "mag", "flags");
    int shown = 0;
    for (int i = 0; i < candidates->count && shown < MAX_SHOWN; i++)
        if (!is_rejected(&candidates->items[i])) {
            print_candidate(&candidates->items[i]);
            shown++;
        }
    if (candidates->unflagged > shown)
        printf("      ... and %d more\n", candidates->unflagged - shown);
}

static void print_quality(const aid_process_result *result)
{
    const aid_difference *difference = &result->difference;
    const aid_registration *registration = &result->registration;
    printf("\nseeing %.2f and %.2f px; aligned by %s", result->science.psf.fwhm_px,
           result->reference.psf.fwhm_px, registration->method);
    if (registration->matched)
        printf(", %d stars, %.3f px rms", registration->matched, registration->rms_px);
    printf("\nflux ratio %.5g +- %.2g; score map on blank sky: standard deviation %.3f\n",
           difference->match.ratio, difference->match.ratio_err, difference->score_std);
    const aid_injection *injection = &result->injection;
    if (injection->count) {
        printf("of %d injected sources half are found at S/N %.1f", injection->count,
               injection->snr_50);
        printf("; flux bias %+.1f %%; %.2f false alarms a megapixel\n",
               100.0 * injection->flux_bias, injection->false_alarms_per_mpx);
    }
}

void run_print_findings(const run_state *run)
{
    const aid_candidates *candidates = &run->result.candidates;
    printf("%d candidate%s above %g sigma: %d brighter, %d fainter than in the reference; %d more "
           "flagged as unlikely\n",
           candidates->unflagged, candidates->unflagged == 1 ? "" : "s", run->options->threshold,
           candidates->unflagged_positive, candidates->unflagged - candidates->unflagged_positive,
           candidates->count - candidates->unflagged);
    print_candidates(candidates);
    print_quality(&run->result);
    for (int i = 0; i < run->result.notes.count; i++)
        printf("note, %s: %s\n", run->result.notes.items[i].stage, run->result.notes.items[i].text);
    printf("\nreport: %s/report.html\n", run->output);
}
