/* night.json, night.csv and what is printed. Nothing in them depends on when or how fast the work
 * was done: two runs of the same night give the same bytes. */
#include "adapters/files/files.h"
#include "adapters/files/json.h"
#include "adapters/tables/table.h"
#include "apps/cli/preprocess.h"
#include "apps/common/provenance.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void put_lines(aid_json_writer *json, const char *key, const char *lines)
{
    aid_json_put_array(json, key);
    while (lines && *lines) {
        char line[AID_MAX_MESSAGE];
        size_t length = strcspn(lines, "\n");
        snprintf(line, sizeof line, "%.*s", (int)AID_MIN(length, sizeof line - 1), lines);
        aid_json_text(json, line);
        lines += length;
        lines += *lines == '\n';
    }
    aid_json_end_array(json);
}

/* ------------------------------------------------------------------------------------ the plan */

static void put_facts(aid_json_writer *json, const aid_frame_facts *facts)
{
    aid_json_put_text(json, "instrument", facts->instrument);
    aid_json_put_text(json, "filter", facts->filter);
    aid_json_put_integer(json, "width", facts->width);
    aid_json_put_integer(json, "height", facts->height);
    aid_json_put_integer(json, "binning_x", facts->binning_x);
    aid_json_put_integer(json, "binning_y", facts->binning_y);
    aid_json_put_number(json, "exposure_s", facts->exposure_s);
    aid_json_put_number(json, "temperature_c", facts->temperature_c);
    aid_json_put_number(json, "gain", facts->gain);
    aid_json_put_number(json, "read_noise_e", facts->read_noise_e);
}

static void put_failure(aid_json_writer *json, const char *key, const night_failure *failure)
{
    aid_json_key(json, key);
    if (!night_failed(failure)) {
        aid_json_null(json);
        return;
    }
    aid_json_begin_object(json);
    aid_json_put_text(json, "status", aid_status_name(failure->status));
    aid_json_put_text(json, "message", failure->text);
    aid_json_end_object(json);
}

static void put_master(aid_json_writer *json, const night_state *night, const night_set *set)
{
    aid_json_begin_object(json);
    aid_json_put_text(json, "type", aid_frame_type_name(set->type));
    aid_json_put_text(json, "file", set->made ? set->name : NULL);
    aid_json_put_text(json, "id", set->id);
    aid_json_put_bool(json, "needed", set->wanted);
    aid_json_put_bool(json, "ready_made", set->ready_made);
    aid_frame_facts facts = set->facts;
    if (set->type != AID_TYPE_FLAT) /* whatever stood in the beam, it let no light through */
        facts.filter[0] = '\0';
    put_facts(json, &facts);
    aid_json_put_array(json, "frames");
    for (int i = 0; i < set->count; i++)
        aid_json_text(json, night->files[set->files[i]].path);
    aid_json_end_array(json);
    put_lines(json, "left_out", set->left_out);
    aid_json_put_text(json, "bias", set->bias >= 0 ? night->sets[set->bias].name : NULL);
    aid_json_put_text(json, "dark", set->dark >= 0 ? night->sets[set->dark].name : NULL);
    put_failure(json, "failure", &set->failure);
    aid_json_end_object(json);
}

/* ------------------------------------------------------------------------------------- results */

static void put_quality(aid_json_writer *json, const night_frame *frame)
{
    char flags[AID_QUALITY_FLAGS_TEXT];
    aid_json_key(json, "quality_metrics");
    if (!frame->assessed) {
        aid_json_null(json);
        return;
    }
    aid_json_begin_object(json);
    for (int i = 0; i < night_quality_field_count; i++) {
        const night_quality_field *field = &night_quality_fields[i];
        const char *member = (const char *)&frame->quality + field->offset;
        if (field->integer)
            aid_json_put_integer(json, field->json, *(const int64_t *)(const void *)member);
        else
            aid_json_put_number(json, field->json, *(const double *)(const void *)member);
    }
    aid_json_put_number(json, "alignment_accuracy_px", frame->alignment.rms_px);
    aid_json_put_number(json, "score_by_itself", frame->own_score);
    aid_json_put_bool(json, "rated_by_group", frame->rated_by_group);
    aid_json_put_text(json, "class", aid_quality_class_name(frame->quality.class));
    aid_json_put_array(json, "off_the_trend");
    for (int metric = 0; metric < AID_QUALITY_METRICS; metric++)
        if (frame->outlier >> metric & 1U)
            aid_json_text(json, aid_quality_metric_name((aid_quality_metric)metric));
    aid_json_end_array(json);
    aid_quality_flags_text(frame->quality.flags, flags);
    aid_json_put_array(json, "quality_flags");
    for (char *rest = NULL, *flag = strtok_r(flags, "|", &rest); flag;
         flag = strtok_r(NULL, "|", &rest))
        aid_json_text(json, flag);
    aid_json_end_array(json);
    aid_json_end_object(json);
}

static void put_calibration(aid_json_writer *json, const night_state *night,
                            const night_frame *frame)
{
    static const char *const types[] = {"bias", "dark", "flat"};
    aid_json_put_object(json, "calibration_metadata");
    aid_json_put_bool(json, "calibrated", frame->calibrated);
    for (int t = 0; t < NIGHT_MASTER_TYPES; t++) {
        aid_json_put_object(json, types[t]);
        aid_json_put_text(json, "file",
                          frame->sets[t] >= 0 ? night->sets[frame->sets[t]].name : NULL);
        aid_json_put_text(json, "reason", frame->why[t]);
        aid_json_end_object(json);
    }
    aid_json_put_bool(json, "cosmic_rays_cleaned", frame->cleaned);
    aid_json_put_integer(json, "cosmic_ray_hits", frame->cosmic_ray_hits);
    aid_json_put_integer(json, "cosmic_ray_pixels", frame->cosmic_ray_pixels);
    put_lines(json, "notes", frame->notes);
    aid_json_end_object(json);
}

static void put_alignment(aid_json_writer *json, const night_frame *frame)
{
    const night_alignment *alignment = &frame->alignment;
    aid_json_key(json, "alignment");
    if (!alignment->done) {
        aid_json_null(json);
        return;
    }
    aid_json_begin_object(json);
    aid_json_put_text(json, "method", alignment->method);
    aid_json_put_integer(json, "matched_stars", alignment->matched);
    aid_json_put_number(json, "rms_px", alignment->rms_px);
    aid_json_put_number(json, "shift_px", alignment->shift_px);
    aid_json_put_number(json, "rotation_deg", alignment->rotation_deg);
    aid_json_put_number(json, "overlap", alignment->overlap);
    aid_json_put_number(json, "correlation", alignment->correlation);
    aid_json_end_object(json);
}

static void put_error(aid_json_writer *json, const char *stage, const night_failure *failure)
{
    if (!night_failed(failure))
        return;
    aid_json_begin_object(json);
    aid_json_put_text(json, "stage", stage);
    aid_json_put_text(json, "status", aid_status_name(failure->status));
    aid_json_put_text(json, "message", failure->text);
    aid_json_end_object(json);
}

static void put_frame(aid_json_writer *json, const night_state *night, const night_frame *frame)
{
    const night_file *file = &night->files[frame->file];
    char name[256];
    aid_json_begin_object(json);
    aid_json_put_text(json, "observation_id", file->sha256);
    aid_json_put_text(json, "raw_file", file->path);
    aid_json_put_text(json, "object", file->facts.object);
    put_lines(json, "header_notes", file->notes);
    put_facts(json, &file->facts);
    aid_json_put_number(json, "mid_mjd_utc",
                        file->facts.epoch.known ? file->facts.epoch.mid_mjd_utc : NAN);
    aid_json_put_text(json, "group", night->groups[frame->group].name);
    aid_json_put_bool(json, "done", frame->done && !night_failed(&frame->alignment_failure));
    snprintf(name, sizeof name, "frames/%s.fits", frame->name);
    aid_json_put_text(json, "calibrated_image", frame->done ? name : NULL);
    aid_json_put_text(json, "output_file_path", frame->done ? name : NULL);
    snprintf(name, sizeof name, "aligned/%s.fits", frame->name);
    aid_json_put_text(json, "aligned_image", frame->alignment.done ? name : NULL);
    aid_json_put_text(json, "id", frame->id);
    put_calibration(json, night, frame);
    put_quality(json, frame);
    put_alignment(json, frame);
    aid_json_put_array(json, "processing_errors");
    night_failure quality = {.status = frame->quality_failure[0] ? AID_ERR_INVALID : AID_OK};
    snprintf(quality.text, sizeof quality.text, "%s", frame->quality_failure);
    put_error(json, "calibrate", &frame->failure);
    put_error(json, "quality", &quality);
    put_error(json, "align", &frame->alignment_failure);
    aid_json_end_array(json);
    aid_json_end_object(json);
}

static void put_group(aid_json_writer *json, const night_state *night, int number)
{
    const night_group *group = &night->groups[number];
    char name[256];
    aid_json_begin_object(json);
    aid_json_put_text(json, "name", group->name);
    aid_json_put_text(json, "object", group->object);
    aid_json_put_text(json, "filter", group->filter);
    aid_json_put_array(json, "frames");
    for (int i = 0; i < night->frame_count; i++)
        if (night->frames[i].group == number)
            aid_json_text(json, night->frames[i].name);
    aid_json_end_array(json);
    aid_json_put_text(json, "reference", group->reference_name);
    aid_json_put_text(json, "reference_reason", group->why);
    snprintf(name, sizeof name, "stacks/%s.fits", group->name);
    aid_json_put_text(json, "stack", group->stacked ? name : NULL);
    put_failure(json, "stack_failure", &group->stack_failure);
    aid_json_end_object(json);
}

static void put_trends(aid_json_writer *json, const aid_quality_group *group)
{
    aid_json_begin_object(json);
    aid_json_put_text(json, "instrument", group->instrument);
    aid_json_put_text(json, "filter", group->filter);
    aid_json_put_integer(json, "frames", group->frames);
    aid_json_put_text(json, "slopes", group->per_night ? "per night" : "per hour");
    for (int metric = 0; metric < AID_QUALITY_METRICS; metric++) {
        const aid_quality_trend *trend = &group->trends[metric];
        if (trend->frames == 0)
            continue;
        aid_json_put_object(json, aid_quality_metric_name((aid_quality_metric)metric));
        aid_json_put_integer(json, "frames", trend->frames);
        aid_json_put_number(json, "median", trend->median);
        aid_json_put_number(json, "scatter", trend->scatter);
        aid_json_put_number(json, "slope", trend->slope);
        aid_json_put_number(json, "slope_error", trend->slope_error);
        aid_json_put_integer(json, "outliers", trend->outliers);
        aid_json_end_object(json);
    }
    aid_json_end_object(json);
}

static void put_counts(aid_json_writer *json, const night_state *night)
{
    int refused = 0, done = 0, failed = 0;
    for (int i = 0; i < night->file_count; i++)
        refused += night_failed(&night->files[i].failure);
    for (int i = 0; i < night->frame_count; i++) {
        done += night->frames[i].done;
        failed += night_failed(&night->frames[i].failure) ||
                  night_failed(&night->frames[i].alignment_failure);
    }
    aid_json_put_object(json, "counts");
    aid_json_put_integer(json, "files", night->file_count);
    aid_json_put_integer(json, "files_not_used", refused);
    aid_json_put_integer(json, "other_files", night->ignored);
    aid_json_put_integer(json, "masters", night->set_count);
    aid_json_put_integer(json, "science_frames", night->frame_count);
    aid_json_put_integer(json, "done", done);
    aid_json_put_integer(json, "failed", failed);
    aid_json_end_object(json);
}

static void put_summary(aid_json_writer *json, const night_state *night)
{
    aid_json_begin_object(json);
    aid_provenance_json(json, night->invocation);
    aid_json_put_text(json, "program_sha256", night->build);
    put_counts(json, night);
    aid_json_put_array(json, "masters");
    for (int i = 0; i < night->set_count; i++)
        put_master(json, night, &night->sets[i]);
    aid_json_end_array(json);
    aid_json_put_array(json, "frames");
    for (int i = 0; i < night->frame_count; i++)
        put_frame(json, night, &night->frames[i]);
    aid_json_end_array(json);
    aid_json_put_array(json, "groups");
    for (int i = 0; i < night->group_count; i++)
        put_group(json, night, i);
    aid_json_end_array(json);
    aid_json_put_array(json, "trends");
    for (int i = 0; i < night->series.group_count; i++)
        put_trends(json, &night->series.groups[i]);
    aid_json_end_array(json);
    aid_json_put_array(json, "not_used");
    for (int i = 0; i < night->file_count; i++)
        if (night_failed(&night->files[i].failure)) {
            aid_json_begin_object(json);
            aid_json_put_text(json, "file", night->files[i].path);
            aid_json_put_text(json, "status", aid_status_name(night->files[i].failure.status));
            aid_json_put_text(json, "message", night->files[i].failure.text);
            aid_json_end_object(json);
        }
    aid_json_end_array(json);
    aid_json_end_object(json);
    aid_json_finish(json);
}

aid_status night_summary_text(const night_state *night, char **ret_text, size_t *ret_size,
                              aid_error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        AID_FAIL(err, AID_ERR_NOMEM, "summary: out of memory");
    aid_json_writer json = aid_json_writer_on(stream, 3);
    put_summary(&json, night);
    bool failed = ferror(stream) != 0;
    if (fclose(stream) || failed) {
        free(text);
        AID_FAIL(err, AID_ERR_NOMEM, "summary: out of memory");
    }
    *ret_text = text;
    *ret_size = size;
    return AID_OK;
}

/* ------------------------------------------------------------------------------------- timing */

double night_seconds(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void put_timing(aid_json_writer *json, const night_state *night)
{
    aid_json_begin_object(json);
    aid_json_put_integer(json, "threads", aid_pool_threads(night->pool));
    aid_json_put_integer(json, "memory_mb", night->memory_bytes >> 20);
    aid_json_put_number(json, "wall_s", night_seconds() - night->begun_s);
    aid_json_put_array(json, "frames");
    for (int i = 0; i < night->frame_count; i++) {
        const night_frame *frame = &night->frames[i];
        aid_json_begin_object(json);
        aid_json_put_text(json, "observation_id", night->files[frame->file].sha256);
        aid_json_put_text(json, "name", frame->name);
        aid_json_put_bool(json, "found_as_it_was", frame->done && frame->process_s == 0.0);
        aid_json_put_number(json, "processing_time_s", frame->process_s + frame->align_s);
        aid_json_put_number(json, "process_s", frame->process_s);
        aid_json_put_number(json, "align_s", frame->align_s);
        aid_json_end_object(json);
    }
    aid_json_end_array(json);
    aid_json_end_object(json);
    aid_json_finish(json);
}

aid_status night_write_timing(const night_state *night, const char *path, aid_error *err)
{
    aid_new_file *file;
    AID_TRY(aid_new_file_open(path, &file, err));
    aid_json_writer json = aid_json_writer_on(aid_new_file_stream(file), 2);
    put_timing(&json, night);
    return aid_new_file_commit(file, err);
}

/* --------------------------------------------------------------------------------------- table */

enum {
    NAME,
    RAW_FILE,
    OBJECT,
    FILTER,
    MJD,
    EXPOSURE,
    BACKGROUND,
    NOISE,
    FWHM_PX,
    FWHM_ARCSEC,
    ELLIPTICITY,
    STARS,
    COSMIC_RAYS,
    LIMITING_MAG,
    SCORE,
    CLASS,
    FLAGS,
    ALIGNMENT,
    FAILURE,
    COLUMNS
};

static const aid_column columns[COLUMNS] = {
    [NAME] = {.name = "name", .description = "of its files", .kind = AID_COLUMN_TEXT},
    [RAW_FILE] = {.name = "raw_file", .kind = AID_COLUMN_TEXT},
    [OBJECT] = {.name = "object", .kind = AID_COLUMN_TEXT},
    [FILTER] = {.name = "filter", .kind = AID_COLUMN_TEXT},
    [MJD] = {.name = "mid_mjd_utc", .unit = "d", .kind = AID_COLUMN_DOUBLE, .decimals = 8},
    [EXPOSURE] = {.name = "exposure", .unit = "s", .kind = AID_COLUMN_DOUBLE, .decimals = -1},
    [BACKGROUND] = {.name = "background", .kind = AID_COLUMN_DOUBLE, .decimals = 3},
    [NOISE] = {.name = "noise", .kind = AID_COLUMN_DOUBLE, .decimals = 4},
    [FWHM_PX] = {.name = "fwhm", .unit = "pix", .kind = AID_COLUMN_DOUBLE, .decimals = 3},
    [FWHM_ARCSEC] = {.name = "fwhm_sky",
                     .unit = "arcsec",
                     .kind = AID_COLUMN_DOUBLE,
                     .decimals = 3},
    [ELLIPTICITY] = {.name = "ellipticity", .kind = AID_COLUMN_DOUBLE, .decimals = 4},
    [STARS] = {.name = "stars", .kind = AID_COLUMN_INT64},
    [COSMIC_RAYS] = {.name = "cosmic_rays", .kind = AID_COLUMN_INT64},
    [LIMITING_MAG] = {.name = "limiting_mag",
                      .unit = "mag",
                      .kind = AID_COLUMN_DOUBLE,
                      .decimals = 3},
    [SCORE] = {.name = "score", .kind = AID_COLUMN_DOUBLE, .decimals = 4},
    [CLASS] = {.name = "class", .kind = AID_COLUMN_TEXT},
    [FLAGS] = {.name = "flags", .kind = AID_COLUMN_TEXT},
    [ALIGNMENT] = {.name = "alignment_rms",
                   .unit = "pix",
                   .kind = AID_COLUMN_DOUBLE,
                   .decimals = 4},
    [FAILURE] = {.name = "failure", .kind = AID_COLUMN_TEXT}};

/* Those that were cleaned; else those that the quality of the frame suffers from. */
static int64_t cosmic_rays_of(const night_frame *frame)
{
    return frame->cleaned ? frame->cosmic_ray_hits : frame->quality.cosmic_ray_count;
}

static aid_status fill_row(const night_state *night, const night_frame *frame, int64_t row,
                           aid_table *table, aid_error *err)
{
    const aid_frame_facts *facts = &night->files[frame->file].facts;
    const aid_quality *quality = &frame->quality;
    const night_failure *failure =
        night_failed(&frame->failure) ? &frame->failure : &frame->alignment_failure;
    char flags[AID_QUALITY_FLAGS_TEXT] = "";
    AID_TRY(aid_table_set_text(table, NAME, row, frame->name, err));
    AID_TRY(aid_table_set_text(table, RAW_FILE, row, night->files[frame->file].path, err));
    AID_TRY(aid_table_set_text(table, OBJECT, row, facts->object, err));
    AID_TRY(aid_table_set_text(table, FILTER, row, facts->filter, err));
    AID_TRY(aid_table_set_text(table, FAILURE, row, failure->text, err));
    aid_column *items = table->items;
    items[MJD].values.doubles[row] = facts->epoch.known ? facts->epoch.mid_mjd_utc : NAN;
    items[EXPOSURE].values.doubles[row] = facts->exposure_s;
    items[ALIGNMENT].values.doubles[row] = frame->alignment.rms_px;
    if (!frame->assessed)
        return AID_OK;
    items[BACKGROUND].values.doubles[row] = quality->background_level;
    items[NOISE].values.doubles[row] = quality->noise_level;
    items[FWHM_PX].values.doubles[row] = quality->fwhm_px;
    items[FWHM_ARCSEC].values.doubles[row] = quality->fwhm_arcsec;
    items[ELLIPTICITY].values.doubles[row] = quality->ellipticity;
    items[STARS].values.integers[row] = quality->stars;
    items[COSMIC_RAYS].values.integers[row] = cosmic_rays_of(frame);
    items[LIMITING_MAG].values.doubles[row] = quality->limiting_mag;
    items[SCORE].values.doubles[row] = quality->overall_quality_score;
    aid_quality_flags_text(quality->flags, flags);
    AID_TRY(aid_table_set_text(table, FLAGS, row, flags, err));
    return aid_table_set_text(table, CLASS, row, aid_quality_class_name(quality->class), err);
}

aid_status night_write_table(const night_state *night, const char *path, aid_error *err)
{
    aid_table table;
    AID_TRY(aid_table_init("night", "the science frames of a night", columns, COLUMNS,
                           night->frame_count, &table, err));
    aid_status status = AID_OK;
    for (int i = 0; i < night->frame_count && status == AID_OK; i++)
        status = fill_row(night, &night->frames[i], i, &table, err);
    if (status == AID_OK)
        status = aid_table_write_csv(&table, path, err);
    aid_table_done(&table);
    return status;
}

/* ------------------------------------------------------------------------------------- printing */

void night_print_results(const night_state *night, FILE *out)
{
    int masters = 0;
    for (int i = 0; i < night->set_count; i++)
        masters += night->sets[i].made;
    fprintf(out, "%s: %d masters, %d science frames\n", night->output, masters, night->frame_count);
    for (int i = 0; i < night->frame_count; i++) {
        const night_frame *frame = &night->frames[i];
        if (!frame->done)
            fprintf(out, "  %s: failed: %s\n", frame->name, frame->failure.text);
        else if (frame->assessed)
            fprintf(out, "  %s: %s (%.2f), FWHM %.2f px, %lld cosmic rays\n", frame->name,
                    aid_quality_class_name(frame->quality.class),
                    frame->quality.overall_quality_score, frame->quality.fwhm_px,
                    (long long)cosmic_rays_of(frame));
        else
            fprintf(out, "  %s: done\n", frame->name);
        if (night_failed(&frame->alignment_failure))
            fprintf(out, "    not aligned: %s\n", frame->alignment_failure.text);
    }
    for (int i = 0; i < night->file_count; i++)
        if (night_failed(&night->files[i].failure))
            fprintf(out, "  not used: %s\n", night->files[i].failure.text);
    fprintf(out, "See %s/report.html and %s/night.json.\n", night->output, night->output);
}

/* ------------------------------------------------------------------------------------- progress */

enum { BAR_WIDTH = 30 };

void night_progress_begin(night_state *night, int jobs)
{
    night->jobs = jobs;
    night->jobs_done = 0;
}

/* Called from several threads at once. */
void night_progress_step(night_state *night, const char *what)
{
    pthread_mutex_lock(&night->progress_lock);
    night->jobs_done++;
    if (night->terminal) {
        char bar[BAR_WIDTH + 1];
        int filled = BAR_WIDTH * night->jobs_done / AID_MAX(night->jobs, 1);
        for (int i = 0; i < BAR_WIDTH; i++)
            bar[i] = i < filled ? '#' : '.';
        bar[BAR_WIDTH] = '\0';
        char name[61];
        snprintf(name, sizeof name, "%s", what);
        for (char *c = name; *c; c++) /* a file's name must not steer the terminal */
            if (iscntrl((unsigned char)*c))
                *c = '?';
        fprintf(night->terminal, "\r\033[K[%s] %d/%d %s ", bar, night->jobs_done, night->jobs,
                name);
        fflush(night->terminal);
    }
    pthread_mutex_unlock(&night->progress_lock);
}

void night_progress_end(night_state *night)
{
    if (night->terminal) {
        fputs("\r\033[K", night->terminal);
        fflush(night->terminal);
    }
}
