/* The plan of a night: which frames make which masters, which masters are for which science frame,
 * and which science frames belong together. */
#include "adapters/files/files.h"
#include "apps/cli/preprocess.h"
#include "apps/common/version.h"
#include "core/base/memory.h"

#include <ctype.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double longest_pause_d = 0.5;                  /* between frames of one night */
static const double same_exposure = 0.01, same_gain = 0.01; /* relative */
static const double same_temperature_c = 2.0;

static const aid_frame_type master_types[NIGHT_MASTER_TYPES] = {AID_TYPE_BIAS, AID_TYPE_DARK,
                                                                AID_TYPE_FLAT};

/* -------------------------------------------------------------------------------------- failure */

/* The folder of the night is left out of names: the same results wherever it is found. */
void night_fail(const night_state *night, night_failure *failure, const aid_error *why)
{
    char folder[AID_MAX_PATH];
    const char *text = why->message;
    int n = snprintf(folder, sizeof folder, "%s/", night->folder);
    if (night_failed(failure))
        return;
    if (n < AID_MAX_PATH && !strncmp(text, folder, (size_t)n))
        text += n;
    failure->status = why->status;
    snprintf(failure->text, sizeof failure->text, "%s", text);
}

bool night_failed(const night_failure *failure)
{
    return failure->status != AID_OK;
}

/* ----------------------------------------------------------------------------------------- sets */

static bool near_relative(double a, double b, double tolerance)
{
    return (isnan(a) && isnan(b)) || fabs(a - b) <= tolerance * fmax(fabs(a), fabs(b));
}

static bool near_absolute(double a, double b, double tolerance)
{
    return isnan(a) || isnan(b) || fabs(a - b) <= tolerance;
}

static bool same_camera(const aid_frame_facts *a, const aid_frame_facts *b)
{
    return !strcasecmp(a->instrument, b->instrument) && a->width == b->width &&
           a->height == b->height && a->binning_x == b->binning_x && a->binning_y == b->binning_y &&
           near_relative(a->gain, b->gain, same_gain);
}

static bool same_night(const aid_frame_facts *a, const aid_frame_facts *b)
{
    return !a->epoch.known || !b->epoch.known ||
           fabs(a->epoch.start_mjd_utc - b->epoch.start_mjd_utc) <= longest_pause_d;
}

/* Whether a frame belongs into a set. Flats may differ in exposure: they are normalised. Only darks
 * depend on the temperature. */
static bool belongs(const night_state *night, const night_set *set, const aid_frame_facts *facts)
{
    const aid_frame_facts *first = &set->facts;
    const aid_frame_facts *last = &night->files[set->files[set->count - 1]].facts;
    if (set->ready_made || set->type != facts->type || !same_camera(first, facts) ||
        !same_night(last, facts))
        return false;
    if (set->type == AID_TYPE_FLAT)
        return !strcasecmp(first->filter, facts->filter);
    return set->type == AID_TYPE_BIAS ||
           (near_relative(first->exposure_s, facts->exposure_s, same_exposure) &&
            near_absolute(first->temperature_c, facts->temperature_c, same_temperature_c));
}

static aid_status add_to_set(night_set *set, int file, aid_error *err)
{
    int *files = realloc(set->files, (size_t)(set->count + 1) * sizeof *files);
    if (!files)
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory for a set of %d frames", set->count + 1);
    set->files = files;
    set->files[set->count++] = file;
    return AID_OK;
}

static aid_status sort_into_sets(night_state *night, int file, aid_error *err)
{
    const aid_frame_facts *facts = &night->files[file].facts;
    for (int i = 0; i < night->set_count && !facts->is_master; i++)
        if (belongs(night, &night->sets[i], facts))
            return add_to_set(&night->sets[i], file, err);
    night_set *set = &night->sets[night->set_count];
    *set = (night_set){.type = facts->type,
                       .ready_made = facts->is_master,
                       .facts = *facts,
                       .bias = -1,
                       .dark = -1};
    set->facts.is_master = true;
    AID_TRY(add_to_set(set, file, err));
    night->set_count++;
    return AID_OK;
}

/* ------------------------------------------------------------------------------- science frames */

/* "2024/d1047.fits.gz" -> "2024_d1047". */
static void output_name(const char *path, char *ret_name, size_t size)
{
    static const char *const endings[] = {".gz", ".fz", ".fits", ".fit", ".fts"};
    size_t length = strlen(path);
    for (size_t i = 0; i < AID_COUNT_OF(endings); i++) {
        size_t tail = strlen(endings[i]);
        if (length > tail && !strncasecmp(path + length - tail, endings[i], tail))
            length -= tail;
    }
    size_t start = length >= size ? length - (size - 1) : 0; /* the end of a name tells most */
    snprintf(ret_name, size, "%.*s", (int)(length - start), path + start);
    for (char *c = ret_name; *c; c++)
        if (*c == '/' || iscntrl((unsigned char)*c))
            *c = '_';
}

static bool is_taken(const night_state *night, const char *name)
{
    for (int i = 0; i < night->frame_count; i++)
        if (!strcasecmp(night->frames[i].name, name))
            return true;
    return false;
}

static void add_frame(night_state *night, int file)
{
    night_frame frame = {.file = file, .sets = {-1, -1, -1}, .group = -1};
    output_name(night->files[file].path, frame.name, 120);
    if (is_taken(night, frame.name)) {
        size_t length = strlen(frame.name);
        snprintf(frame.name + length, sizeof frame.name - length, "_%.16s",
                 night->files[file].sha256);
    }
    night->frames[night->frame_count++] = frame;
}

/* --------------------------------------------------------------------------------------- groups */

/* Names of objects are spelled in many ways. */
static bool same_text(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (*a && !isalnum((unsigned char)*a))
            a++;
        while (*b && !isalnum((unsigned char)*b))
            b++;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
    }
}

static void group_name(const night_state *night, night_group *group)
{
    int n = snprintf(group->name, sizeof group->name - 8, "%s%s%s",
                     *group->object ? group->object : "unnamed", *group->filter ? "_" : "",
                     group->filter);
    (void)n;
    for (char *c = group->name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("+-.", *c))
            *c = '_';
    if (group->name[0] == '.')
        group->name[0] = '_';
    int same = 0;
    for (int i = 0; i < night->group_count; i++)
        same += !strncasecmp(night->groups[i].name, group->name, strlen(group->name));
    size_t length = strlen(group->name);
    if (same > 0)
        snprintf(group->name + length, sizeof group->name - length, "_%d", same + 1);
}

static void sort_into_groups(night_state *night, night_frame *frame)
{
    const aid_frame_facts *facts = &night->files[frame->file].facts;
    for (int i = 0; i < night->group_count && frame->group < 0; i++)
        if (same_text(night->groups[i].object, facts->object) &&
            same_text(night->groups[i].filter, facts->filter))
            frame->group = i;
    if (frame->group >= 0)
        return;
    night_group group = {.reference = -1};
    snprintf(group.object, sizeof group.object, "%s", facts->object);
    snprintf(group.filter, sizeof group.filter, "%s", facts->filter);
    group_name(night, &group);
    frame->group = night->group_count;
    night->groups[night->group_count++] = group;
}

aid_status night_make_plan(night_state *night, aid_error *err)
{
    size_t files = (size_t)night->file_count;
    AID_TRY(aid_new_array(files, sizeof *night->sets, "plan", &night->sets, err));
    AID_TRY(aid_new_array(files, sizeof *night->frames, "plan", &night->frames, err));
    AID_TRY(aid_new_array(files, sizeof *night->groups, "plan", &night->groups, err));
    for (int i = 0; i < night->file_count; i++) {
        const night_file *file = &night->files[i];
        if (night_failed(&file->failure))
            continue;
        if (file->facts.type == AID_TYPE_LIGHT)
            add_frame(night, i);
        else
            AID_TRY(sort_into_sets(night, i, err));
    }
    for (int i = 0; i < night->frame_count; i++)
        sort_into_groups(night, &night->frames[i]);
    return AID_OK;
}

/* ------------------------------------------------------------------------------------- choosing */

/* Scratch for as many masters as there are sets. */
typedef struct chooser {
    const aid_frame_facts **facts;
    aid_choice *choices;
    int *numbers;
} chooser;

/* The set of a type that fits best, or -1; `why` of the choice, or of the first that does not. */
static int choose_set(const night_state *night, const aid_frame_facts *facts, aid_frame_type type,
                      const chooser *work, char why[160])
{
    aid_choice_options options = AID_CHOICE_DEFAULTS;
    int count = 0;
    for (int i = 0; i < night->set_count; i++)
        if (night->sets[i].type == type && !night_failed(&night->sets[i].failure)) {
            work->numbers[count] = i;
            work->facts[count++] = &night->sets[i].facts;
        }
    int chosen = aid_master_choose(facts, type, work->facts, count, &options, work->choices);
    if (chosen >= 0)
        snprintf(why, 160, "%s", work->choices[chosen].reason);
    else if (count > 0)
        snprintf(why, 160, "none fits: %s", work->choices[0].reason);
    else
        snprintf(why, 160, "there is none");
    return chosen < 0 ? -1 : work->numbers[chosen];
}

static bool is_on(const night_state *night, aid_frame_type type)
{
    return night->stages[type == AID_TYPE_BIAS   ? NIGHT_BIAS
                         : type == AID_TYPE_DARK ? NIGHT_DARK
                                                 : NIGHT_FLAT];
}

static void choose_for_frame(const night_state *night, night_frame *frame, const chooser *work)
{
    const aid_frame_facts *facts = &night->files[frame->file].facts;
    for (int t = 0; t < NIGHT_MASTER_TYPES; t++) {
        frame->sets[t] = -1;
        if (!is_on(night, master_types[t]))
            snprintf(frame->why[t], sizeof frame->why[t], "left out: --stages");
        else
            frame->sets[t] = choose_set(night, facts, master_types[t], work, frame->why[t]);
    }
}

static void want(night_state *night, int set)
{
    if (set < 0 || night->sets[set].wanted)
        return;
    night->sets[set].wanted = true;
    want(night, night->sets[set].bias);
    want(night, night->sets[set].dark);
}

static aid_status frame_id(const night_state *night, night_frame *frame, aid_error *err)
{
    static const char *const changing[] = {"gain", "read-noise", "saturation", "zero-point",
                                           "electrons"};
    night_hash hash;
    AID_TRY(night_hash_begin(night, "frame 1", &hash, err));
    fprintf(hash.stream, "raw %s\n", night->files[frame->file].sha256);
    fprintf(hash.stream, "type %s\n", night->files[frame->file].facts.type_origin);
    for (int t = 0; t < NIGHT_MASTER_TYPES; t++)
        fprintf(hash.stream, "master %s\n",
                frame->sets[t] >= 0 ? night->sets[frame->sets[t]].id : "none");
    fprintf(hash.stream, "stages %d %d\n", night->stages[NIGHT_COSMIC_RAYS],
            night->stages[NIGHT_QUALITY]);
    for (int i = 0; i < night->parameter_count; i++)
        for (size_t k = 0; k < AID_COUNT_OF(changing); k++)
            if (!strcmp(night->parameters[i].setting->key, changing[k])) {
                char text[64];
                aid_setting_text(night->parameters[i].setting, night->parameters[i].field, text,
                                 sizeof text);
                fprintf(hash.stream, "%s %s\n", changing[k], text);
            }
    return night_hash_end(&hash, frame->id, err);
}

/* Darks need the bias that belongs to them, flats bias and dark. */
static void choose_for_sets(night_state *night, const chooser *work)
{
    char why[160];
    for (int i = 0; i < night->set_count; i++) {
        night_set *set = &night->sets[i];
        set->wanted = night->frame_count == 0; /* then masters are what is wanted */
        set->bias = set->dark = -1;
        if (set->ready_made || set->type == AID_TYPE_BIAS)
            continue;
        if (night->stages[NIGHT_BIAS])
            set->bias = choose_set(night, &set->facts, AID_TYPE_BIAS, work, why);
        if (set->type == AID_TYPE_FLAT && night->stages[NIGHT_DARK])
            set->dark = choose_set(night, &set->facts, AID_TYPE_DARK, work, why);
    }
}

aid_status night_choose(night_state *night, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    const aid_frame_facts **facts = NULL;
    AID_CLEANUP(aid_free_pointer)
    aid_choice *choices = NULL;
    AID_CLEANUP(aid_free_pointer)
    int *numbers = NULL;
    size_t sets = (size_t)AID_MAX(night->set_count, 1);
    AID_TRY(aid_new_array(sets, sizeof *facts, "plan", &facts, err));
    AID_TRY(aid_new_array(sets, sizeof *choices, "plan", &choices, err));
    AID_TRY(aid_new_array(sets, sizeof *numbers, "plan", &numbers, err));
    const chooser work = {facts, choices, numbers};
    choose_for_sets(night, &work);
    for (int i = 0; i < night->frame_count; i++) {
        choose_for_frame(night, &night->frames[i], &work);
        for (int t = 0; t < NIGHT_MASTER_TYPES; t++)
            want(night, night->frames[i].sets[t]);
        AID_TRY(frame_id(night, &night->frames[i], err));
    }
    return AID_OK;
}

/* ------------------------------------------------------------------------------------- printing */

static void print_frames_of(const night_state *night, const night_set *set, FILE *out)
{
    enum { SHOWN = 3 };
    for (int i = 0; i < AID_MIN(set->count, SHOWN); i++)
        fprintf(out, "%s%s", i ? ", " : "", night->files[set->files[i]].path);
    if (set->count > SHOWN)
        fprintf(out, ", ... %s", night->files[set->files[set->count - 1]].path);
}

static void print_set(const night_state *night, int number, FILE *out)
{
    const night_set *set = &night->sets[number];
    const aid_frame_facts *facts = &set->facts;
    fprintf(out, "  #%d %s %d x %d", number + 1, aid_frame_type_name(set->type), facts->width,
            facts->height);
    if (set->type == AID_TYPE_FLAT)
        fprintf(out, ", filter %s", *facts->filter ? facts->filter : "unknown");
    if (set->type == AID_TYPE_DARK)
        fprintf(out, ", %g s", facts->exposure_s);
    if (isfinite(facts->temperature_c))
        fprintf(out, ", %g C", facts->temperature_c);
    fprintf(out, ": %s%d frame%s: ", set->ready_made ? "ready made, " : "", set->count,
            set->count == 1 ? "" : "s");
    print_frames_of(night, set, out);
    if (set->bias >= 0)
        fprintf(out, "; bias #%d", set->bias + 1);
    if (set->dark >= 0)
        fprintf(out, "; dark #%d", set->dark + 1);
    fputs(set->wanted ? "\n" : "; not needed\n", out);
}

static void print_frame(const night_state *night, const night_frame *frame, FILE *out)
{
    const aid_frame_facts *facts = &night->files[frame->file].facts;
    fprintf(out, "  %s: %s, filter %s, %g s\n", night->files[frame->file].path,
            *facts->object ? facts->object : "unnamed", *facts->filter ? facts->filter : "unknown",
            facts->exposure_s);
    for (int t = 0; t < NIGHT_MASTER_TYPES; t++) {
        const char *type = aid_frame_type_name(master_types[t]);
        if (frame->sets[t] >= 0)
            fprintf(out, "    %s #%d (%s)\n", type, frame->sets[t] + 1, frame->why[t]);
        else
            fprintf(out, "    no %s: %s\n", type, frame->why[t]);
    }
}

void night_print_plan(const night_state *night, FILE *out)
{
    int refused = 0;
    for (int i = 0; i < night->file_count; i++)
        refused += night_failed(&night->files[i].failure);
    fprintf(out, "%s: %d FITS files, %d of them not used, %d other files\n", night->folder,
            night->file_count, refused, night->ignored);
    fprintf(out, "\nMasters (%d):\n", night->set_count);
    for (int i = 0; i < night->set_count; i++)
        print_set(night, i, out);
    fprintf(out, "\nScience frames (%d; groups of object and filter: %d):\n", night->frame_count,
            night->group_count);
    for (int i = 0; i < night->frame_count; i++)
        print_frame(night, &night->frames[i], out);
    if (refused)
        fputs("\nNot used:\n", out);
    for (int i = 0; i < night->file_count; i++)
        if (night_failed(&night->files[i].failure))
            fprintf(out, "  %s\n", night->files[i].failure.text);
}

/* ------------------------------------------------------------------------------- small services */

bool night_matches(const char *pattern, const char *text)
{
    char lower_pattern[256], lower_text[256];
    const char *from[] = {pattern, text};
    char *const to[] = {lower_pattern, lower_text};
    for (int k = 0; k < 2; k++) {
        size_t n = 0;
        for (; from[k][n] && n < sizeof lower_text - 1; n++)
            to[k][n] = (char)tolower((unsigned char)from[k][n]);
        to[k][n] = '\0';
    }
    return *text && fnmatch(lower_pattern, lower_text, 0) == 0;
}

static const char *const stage_names[NIGHT_STAGES] = {"bias",    "dark",  "flat", "cosmic-rays",
                                                      "quality", "align", "stack"};

const char *night_stage_name(night_stage stage)
{
    return stage_names[stage];
}

bool night_stages_parse(const char *text, bool stages[NIGHT_STAGES])
{
    memset(stages, 0, NIGHT_STAGES * sizeof *stages);
    if (!strcmp(text, "none"))
        return true;
    for (const char *word = text; *word;) {
        size_t length = strcspn(word, ",");
        int stage = 0;
        while (stage < NIGHT_STAGES && (strlen(stage_names[stage]) != length ||
                                        strncmp(stage_names[stage], word, length) != 0))
            stage++;
        if (stage == NIGHT_STAGES)
            return false;
        stages[stage] = true;
        word += length;
        word += *word == ',';
    }
    return true;
}

aid_status night_hash_begin(const night_state *night, const char *what, night_hash *ret_hash,
                            aid_error *err)
{
    *ret_hash = (night_hash){0};
    ret_hash->stream = open_memstream(&ret_hash->text, &ret_hash->size);
    if (!ret_hash->stream)
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory for a name");
    fprintf(ret_hash->stream, "%s %s\nbuild %s\nvectors %s\n", AID_PROGRAM_NAME, what, night->build,
            aid_vector_features());
    return AID_OK;
}

aid_status night_hash_end(night_hash *hash, char ret_id[65], aid_error *err)
{
    bool failed = ferror(hash->stream) != 0;
    failed = fclose(hash->stream) != 0 || failed;
    if (!failed)
        aid_sha256(hash->text, hash->size, ret_id);
    free(hash->text);
    *hash = (night_hash){0};
    if (failed)
        AID_FAIL(err, AID_ERR_NOMEM, "out of memory for a name");
    return AID_OK;
}

void night_done(night_state *night)
{
    for (int i = 0; i < night->file_count; i++) {
        free(night->files[i].path);
        free(night->files[i].notes);
    }
    for (int i = 0; i < night->set_count; i++) {
        free(night->sets[i].files);
        free(night->sets[i].left_out);
    }
    for (int i = 0; i < night->frame_count; i++)
        free(night->frames[i].notes);
    aid_quality_series_done(&night->series);
    free(night->rated);
    free(night->files);
    free(night->sets);
    free(night->frames);
    free(night->groups);
}
