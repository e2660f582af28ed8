/* The frames of a group added up: one deep image on the grid of the best of them. */
#include "adapters/fits/frame_store.h"
#include "adapters/log/log.h"
#include "apps/cli/preprocess.h"
#include "apps/common/stop.h"
#include "core/base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* As in preprocess_align.c, and what combining takes besides the frames themselves. */
static const int64_t bytes_per_pixel = 90, bytes_besides = 32 << 20, least_store_bytes = 16 << 20;

static const aid_warp_kernel kernel = AID_KERNEL_SPLINE3;

typedef struct stacking {
    night_state *night;
    night_group *group;
    int number; /* of the group */
    char id[65];
    cli_frame reference;
    int count;               /* in the store */
    aid_stack_frame *frames; /* [count] */
    aid_frame_store *store;
    aid_mask saturated; /* of all frames, on the grid */
    aid_stacked stacked;
    aid_notes notes;
} stacking;

static void stacking_done(stacking *work)
{
    frame_done(&work->reference);
    free(work->frames);
    aid_frame_store_free(work->store);
    aid_mask_done(&work->saturated);
    aid_stacked_done(&work->stacked);
}

static bool takes_part(const night_state *night, int group, int frame)
{
    return night->frames[frame].group == group && night->frames[frame].done;
}

static aid_status stack_id(stacking *work, aid_error *err)
{
    night_hash hash;
    const night_state *night = work->night;
    AID_TRY(night_hash_begin(night, "stack 1", &hash, err));
    fprintf(hash.stream, "reference %s\n", work->group->reference_id);
    for (int i = 0; i < night->frame_count; i++)
        if (takes_part(night, work->number, i))
            fprintf(hash.stream, "frame %s\n", night->frames[i].id);
    return night_hash_end(&hash, work->id, err);
}

static void stack_file(const night_group *group, char ret_name[AID_MAX_PATH])
{
    snprintf(ret_name, AID_MAX_PATH, "stacks/%s.fits", group->name);
}

static bool is_made(const stacking *work)
{
    char name[AID_MAX_PATH];
    double frames = 0.0;
    AID_CLEANUP(aid_header_done)
    aid_header header = {0};
    stack_file(work->group, name);
    if (!night_find_made(work->night, name, work->id, &header))
        return false;
    (void)aid_header_number(&header, "NCOMBINE", &frames);
    work->group->stacked = true;
    work->group->frames_stacked = (int)frames;
    return true;
}

/* -------------------------------------------------------------------------------------- frames */

static aid_status onto_grid(stacking *work, cli_frame *frame, const aid_stack_frame *described,
                            aid_error *err)
{
    AID_CLEANUP(aid_frame_pixels_done)
    aid_frame_pixels pixels = {0};
    AID_CLEANUP(aid_grid_map_done)
    aid_grid_map exact = {0};
    aid_regrid_options options = AID_REGRID_DEFAULTS;
    AID_TRY(night_exact_map(&work->reference, frame, &described->registration, &exact, err));
    options.grid = exact.x ? &exact : NULL;
    options.width = work->reference.width;
    options.height = work->reference.height;
    options.map = &described->registration.transform;
    options.kernel = kernel;
    options.subtract_sky = true;
    options.scale = described->scale;
    AID_TRY(
        aid_regrid_frame(&frame->pixels, &frame->facts, &options, work->night->pool, &pixels, err));
    int64_t count = (int64_t)pixels.mask.width * pixels.mask.height;
    for (int64_t i = 0; i < count; i++)
        work->saturated.data[i] |= pixels.mask.data[i] & AID_MASK_SATURATED;
    return aid_frame_store_add(work->store, &pixels.image, &pixels.variance, err);
}

static aid_status take_frame(stacking *work, const night_frame *from, aid_error *err)
{
    AID_CLEANUP(frame_done)
    cli_frame frame = {0};
    aid_registration registration;
    aid_stack_frame described;
    aid_registration_options options = AID_REGISTRATION_DEFAULTS;
    aid_stack_options settings = AID_STACK_DEFAULTS;
    frame_request request = {.prepare = AID_PREPARE_DEFAULTS};
    aid_pool *pool = work->night->pool;
    AID_TRY(night_read_frame(&request, work->night, from, pool, &frame, err));
    AID_TRY(aid_register(&work->reference.facts, &frame.facts, &options, pool, &work->notes,
                         &registration, err));
    AID_TRY(aid_stack_describe(&work->reference.facts, &frame.facts, &registration, &settings,
                               &work->notes, &described, err));
    AID_TRY(onto_grid(work, &frame, &described, err));
    work->frames[work->count++] = described;
    return AID_OK;
}

static bool is_input_s_fault(aid_status status)
{
    return status == AID_ERR_INVALID || status == AID_ERR_NUMERIC;
}

/* One that does not go onto the grid is left out; its alignment says why. */
static aid_status take_frames(stacking *work, aid_error *err)
{
    const night_state *night = work->night;
    for (int i = 0; i < night->frame_count; i++) {
        aid_error why = {0};
        if (!takes_part(night, work->number, i))
            continue;
        if (aid_stop_requested())
            AID_FAIL(err, AID_ERR_CANCELLED, "stopped by a signal; what was done stays");
        aid_status status = take_frame(work, &night->frames[i], &why);
        if (status != AID_OK && !is_input_s_fault(status)) {
            *err = why;
            return status;
        }
        night_progress_step(work->night, night->frames[i].name);
    }
    return AID_OK;
}

static aid_status make_room(stacking *work, aid_error *err)
{
    const night_state *night = work->night;
    int64_t pixels = (int64_t)work->reference.width * work->reference.height;
    int64_t needed = bytes_besides + least_store_bytes + bytes_per_pixel * pixels;
    int64_t left = night->memory_bytes - needed;
    if (left < 0)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: needs %lld MB, and the budget is %lld MB (--memory)",
                 work->group->name, (long long)(needed >> 20) + 1,
                 (long long)(night->memory_bytes >> 20));
    AID_TRY(aid_new_array((size_t)night->frame_count, sizeof *work->frames, "frames", &work->frames,
                          err));
    AID_TRY(aid_mask_init(work->reference.width, work->reference.height, &work->saturated, err));
    return aid_frame_store_new(AID_MIN((int64_t)AID_FRAME_STORE_MEMORY, left + least_store_bytes),
                               NULL, &work->store, err);
}

/* ------------------------------------------------------------------------------------- writing */

static aid_status put_values(const stacking *work, const aid_stack_summary *sum, double sky,
                             aid_header *cards, aid_error *err)
{
    AID_TRY(night_put_program(work->night, work->id, cards, err));
    AID_TRY(frame_stack_cards(sum, sky, cards, err));
    AID_TRY(
        aid_header_put_text(cards, "REGREF", work->group->reference_name, "grid and scale", err));
    for (int i = 0; i < work->count; i++) {
        char keyword[32], text[320];
        snprintf(keyword, sizeof keyword, "IMCMB%03d", i + 1);
        snprintf(text, sizeof text, "%s weight %.6f scale %.6f %s", work->frames[i].name,
                 work->frames[i].weight, work->frames[i].scale, work->frames[i].reason);
        AID_TRY(aid_header_put_text(cards, keyword, text, "", err));
    }
    return AID_OK;
}

/* Cards of one frame's time, place and quality are not the stack's. */
static bool is_of_one_frame(const char *keyword)
{
    static const char *const names[] = {"RAWFILE",  "RAWHASH", "BIASFILE", "DARKFILE",
                                        "FLATFILE", "OVSCLEV", "QFLAGS",   "QCLASS",
                                        "QFAILURE", "NCRHITS", "NCRPIX",   "AIDCLEAN"};
    if (frame_is_time_card(keyword))
        return true;
    for (size_t i = 0; i < AID_COUNT_OF(names); i++)
        if (!strcmp(keyword, names[i]))
            return true;
    for (int i = 0; i < night_quality_field_count; i++)
        if (!strcmp(keyword, night_quality_fields[i].keyword))
            return true;
    return !strncmp(keyword, "NOTE", 4);
}

static aid_status make_cards(const stacking *work, const aid_stack_summary *sum, double sky,
                             aid_header *cards, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header kept = {0};
    AID_CLEANUP(aid_header_done)
    aid_header news = {0};
    AID_TRY(frame_keep_cards(&work->reference.file.header, &kept, err));
    for (int i = 0; i < kept.count; i++) {
        const aid_card *card = &kept.cards[i];
        if (!is_of_one_frame(card->keyword))
            AID_TRY(aid_header_append(cards, card->keyword, card->kind, card->value, card->comment,
                                      err));
    }
    AID_TRY(put_values(work, sum, sky, &news, err));
    AID_TRY(frame_noise_cards(kernel, &news, err));
    return frame_replace_cards(&news, cards, err);
}

static aid_status write_stack(stacking *work, aid_error *err)
{
    char name[AID_MAX_PATH], path[AID_MAX_PATH];
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    double sky = aid_mesh_median(&work->reference.facts.background);
    aid_stack_summary sum =
        aid_stack_summarise(work->frames, work->count, work->reference.facts.epoch.exposure_s);
    AID_TRY(make_cards(work, &sum, sky, &cards, err));
    aid_image *image = &work->stacked.image;
    for (int32_t y = 0; y < image->height; y++)
        for (int32_t x = 0; x < image->width; x++) {
            aid_image_row(image, y)[x] += (float)sky;
            if (!isfinite(aid_image_row(image, y)[x]))
                aid_mask_row(&work->saturated, y)[x] |= AID_MASK_NO_DATA;
        }
    const aid_frame_pixels pixels = {*image, work->stacked.variance, work->saturated};
    stack_file(work->group, name);
    night_output_path(work->night, name, path);
    return frame_write(path, &pixels, &cards, work->reference.facts.wcs, err);
}

/* ------------------------------------------------------------------------------------- a group */

static aid_status add_up(stacking *work, aid_error *err)
{
    aid_stack_options settings = AID_STACK_DEFAULTS;
    AID_TRY(night_read_reference(work->night, work->group, &work->reference, err));
    AID_TRY(make_room(work, err));
    AID_TRY(take_frames(work, err));
    if (work->count == 0)
        AID_FAIL(err, AID_ERR_INVALID, "%s: none of its frames goes onto the grid of %s",
                 work->group->name, work->group->reference_name);
    AID_TRY(aid_stack_weigh(work->frames, work->count, &settings, err));
    aid_frame_rows rows = aid_frame_store_rows(work->store);
    return aid_stack_combine(&rows, work->frames, &settings, work->night->pool, &work->stacked,
                             err);
}

static aid_status stack_group(stacking *work, aid_error *err)
{
    if (!*work->group->reference_id)
        AID_TRY(night_choose_reference(work->night, work->number, err));
    AID_TRY(stack_id(work, err));
    if (is_made(work))
        return AID_OK;
    aid_error why = {0};
    aid_status status = add_up(work, &why);
    if (is_input_s_fault(status)) {
        night_fail(work->night, &work->group->stack_failure, &why);
        aid_log(AID_WARN, "preprocess.stack.failed", "group=%s reason=%s", work->group->name,
                why.message);
        return AID_OK;
    }
    if (status != AID_OK) {
        *err = why;
        return status;
    }
    AID_TRY(write_stack(work, err));
    if (!is_made(work))
        AID_FAIL(err, AID_ERR_IO, "%s/stacks/%s.fits: does not read back", work->night->output,
                 work->group->name);
    aid_log(AID_INFO, "preprocess.stack.completed", "group=%s frames=%d", work->group->name,
            work->group->frames_stacked);
    return AID_OK;
}

aid_status night_stack_groups(night_state *night, aid_error *err)
{
    if (!night->stages[NIGHT_STACK])
        return AID_OK;
    night_progress_begin(night, night->frame_count);
    aid_status status = AID_OK;
    for (int group = 0; group < night->group_count && status == AID_OK; group++) {
        stacking *work = NULL;
        int count = 0;
        for (int i = 0; i < night->frame_count; i++)
            count += takes_part(night, group, i);
        if (count < 2)
            continue;
        AID_TRY(aid_new_array(1, sizeof *work, "stack", &work, err));
        work->night = night;
        work->group = &night->groups[group];
        work->number = group;
        status = stack_group(work, err);
        stacking_done(work);
        free(work);
    }
    night_progress_end(night);
    return status;
}
