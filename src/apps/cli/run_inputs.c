#include "apps/cli/run.h"

#include <string.h>

/* In a mask of the user's, 1 is a bad pixel and 2 a saturated one; any other value is bad, too. */
static uint8_t bits_of_user(uint8_t value)
{
    uint8_t known = value & (AID_MASK_BAD | AID_MASK_SATURATED);
    return value && !known ? AID_MASK_BAD : known;
}

/* Adds the user's mask to the one that came with the image, if any. */
static aid_status read_mask(run_input *input, aid_error *err)
{
    AID_CLEANUP(aid_mask_done)
    aid_mask mask = {0};
    AID_TRY(aid_fits_read_mask(input->mask_path, input->width, input->height, &mask,
                               input->mask_sha256, err));
    aid_mask *own = &input->file.mask;
    if (!own->data)
        AID_TRY(aid_mask_init(input->width, input->height, own, err));
    size_t pixels = (size_t)mask.width * (size_t)mask.height;
    for (size_t i = 0; i < pixels; i++)
        own->data[i] = (uint8_t)(own->data[i] | bits_of_user(mask.data[i]));
    return AID_OK;
}

static aid_status read_one(void *context, int64_t task, int worker, aid_error *err)
{
    (void)worker;
    run_input *input = (run_input *)context + task;
    aid_fits_read_options options = AID_FITS_READ_DEFAULTS;
    options.hdu = input->hdu;
    AID_TRY(aid_fits_read(input->path, &options, &input->file, err));
    input->width = input->file.image.width;
    input->height = input->file.image.height;
    return input->mask_path ? read_mask(input, err) : AID_OK;
}

aid_status run_read_inputs(run_state *run, aid_error *err)
{
    return aid_pool_run(run->pool, 2, read_one, run->inputs, err);
}

void run_inputs_done(run_state *run)
{
    for (int i = 0; i < 2; i++)
        aid_fits_image_done(&run->inputs[i].file);
}

const char *run_flux_unit(const run_state *run)
{
    const char *unit = aid_header_text(&run->inputs[0].file.header, "BUNIT");
    return unit && *unit ? unit : NULL;
}
