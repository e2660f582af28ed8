/* What a master is made of: its identity, and the cards that say so. */
#include "adapters/files/files.h"
#include "adapters/fits/fits.h"
#include "apps/cli/master.h"
#include "apps/common/provenance.h"
#include "core/base/memory.h"
#include "core/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* To be raised when the same inputs give another master. */
enum { RECIPE = 1 };

/* ------------------------------------------------------------------------------------- identity
 */

void master_identify(const master_state *state, char ret_id[65])
{
    const master_options *options = state->options;
    char *text = NULL, number[AID_DOUBLE_TEXT];
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    ret_id[0] = '\0';
    if (!stream)
        return;
    fprintf(stream, "astrid master %d\n%s %d %d %d\n", RECIPE,
            aid_frame_type_name(state->making.type), options->combine, options->overscan,
            options->measure_gain);
    aid_double_text(options->kappa, -1, number);
    fprintf(stream, "kappa %s\n", number);
    aid_double_text(options->valid_days, -1, number);
    fprintf(stream, "valid %s\nbias %s\ndark %s\n", number, state->bias_sha256, state->dark_sha256);
    for (int i = 0; i < state->input_count; i++)
        fprintf(stream, "%s\n", state->inputs[i].sha256);
    bool written = fclose(stream) == 0;
    if (written)
        aid_sha256(text, size, ret_id);
    free(text);
}

/* Of every input; "" where a file cannot be read, which is told when its turn comes. */
static void hash_inputs(master_state *state)
{
    for (int i = 0; i < state->input_count; i++) {
        master_input *input = &state->inputs[i];
        int file = open(input->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        aid_error ignored;
        if (file >= 0 &&
            aid_sha256_descriptor(file, input->path, input->sha256, &ignored) != AID_OK)
            input->sha256[0] = '\0';
        if (file >= 0)
            close(file);
    }
}

aid_status master_find_earlier(master_state *state, bool *ret_found, aid_error *err)
{
    char id[65];
    aid_error ignored;
    aid_master earlier;
    *ret_found = false;
    if (access(state->output, F_OK) != 0)
        return AID_OK;
    hash_inputs(state);
    master_identify(state, id);
    if (aid_stage_begin(&state->meter, "compare", err) != AID_OK)
        return AID_ERR_CANCELLED;
    aid_status status =
        aid_master_read(state->output, state->making.type, NULL, &earlier, NULL, &ignored);
    aid_stage_end(&state->meter, "compare");
    if (status != AID_OK) /* something else, which is replaced */
        return AID_OK;
    if (!strcmp(earlier.id, id)) {
        state->master = earlier;
        *ret_found = true;
        return AID_OK;
    }
    aid_master_done(&earlier);
    return AID_OK;
}

/* ---------------------------------------------------------------------------------------- cards
 */

static aid_status add_gain(const master_state *state, aid_header *cards, aid_error *err)
{
    const aid_photon_transfer *transfer = &state->transfer;
    if (!state->has_gain)
        return AID_OK;
    AID_TRY(aid_header_put_number(cards, "PTCGAIN", transfer->gain, "[e-/adu] by photon transfer",
                                  err));
    AID_TRY(
        aid_header_put_number(cards, "PTCGERR", transfer->gain_error, "[e-/adu] its error", err));
    AID_TRY(aid_header_put_number(cards, "PTCRN", transfer->read_noise_e,
                                  "[e-] read noise with that gain", err));
    return aid_header_put_number(cards, "PTCPAIRS", transfer->pairs, "pairs of flats", err);
}

/* When the first frame began and the last one ended. */
static aid_status add_dates(const master_state *state, aid_header *cards, aid_error *err)
{
    double first = INFINITY, last = -INFINITY;
    char text[AID_MJD_TEXT];
    for (int i = 0; i < state->input_count; i++) {
        const aid_raw_frame *frame = &state->frames[AID_MAX(state->inputs[i].frame, 0)];
        if (state->inputs[i].frame < 0 || !frame->used || !frame->facts.epoch.known)
            continue;
        double start = frame->facts.epoch.start_mjd_utc, mid = frame->facts.epoch.mid_mjd_utc;
        first = AID_MIN(first, start);
        last = AID_MAX(last, 2.0 * mid - start);
    }
    if (first > last)
        return AID_OK;
    aid_mjd_text(first, text);
    AID_TRY(aid_header_put_text(cards, "DATE-BEG", text, "UTC, start of the first frame", err));
    aid_mjd_text(last, text);
    return aid_header_put_text(cards, "DATE-END", text, "UTC, end of the last frame", err);
}

static aid_status add_file(aid_header *cards, const char *stem, int number, const char *path,
                           const char *sha256, aid_error *err)
{
    char keyword[32];
    const char *slash = strrchr(path, '/');
    snprintf(keyword, sizeof keyword, number > 0 ? "%s%d" : "%s", stem, number);
    AID_TRY(aid_header_put_text(cards, keyword, slash ? slash + 1 : path, "", err));
    snprintf(keyword, sizeof keyword, number > 0 ? "%.2sH%d" : "%.2sHASH", stem, number);
    return aid_header_put_text(cards, keyword, sha256, "", err);
}

aid_status master_provenance(const master_state *state, aid_header *cards, aid_error *err)
{
    const master_options *options = state->options;
    AID_TRY(aid_provenance_cards(state->invocation, cards, err));
    AID_TRY(add_gain(state, cards, err));
    AID_TRY(add_dates(state, cards, err));
    if (options->bias)
        AID_TRY(add_file(cards, "BIAS", 0, options->bias, state->bias_sha256, err));
    if (options->dark)
        AID_TRY(add_file(cards, "DARK", 0, options->dark, state->dark_sha256, err));
    int number = 0;
    for (int i = 0; i < state->input_count; i++) {
        const master_input *input = &state->inputs[i];
        if (input->frame >= 0 && state->frames[input->frame].used)
            AID_TRY(add_file(cards, "IN", ++number, input->path, input->sha256, err));
    }
    return AID_OK;
}
