/* report.html: what the report cannot know from the result alone. */
#include "adapters/report/report.h"
#include "apps/cli/run.h"
#include "apps/common/version.h"
#include "core/base/memory.h"

#include <stdio.h>
#include <string.h>

enum { MAX_INPUTS = 4, MAX_OUTPUTS = 8, MAX_VALUE = 256, MAX_LINE = 4096 };

typedef struct report_texts {
    aid_report_input inputs[MAX_INPUTS];
    aid_report_output outputs[MAX_OUTPUTS];
    aid_report_parameter parameters[RUN_MAX_PARAMETERS];
    aid_report_stage stages[AID_MAX_STAGES];
    char values[RUN_MAX_PARAMETERS][MAX_VALUE];
    char version[MAX_VALUE], command_line[MAX_LINE];
} report_texts;

static void add_input(const run_input *input, aid_report_facts *facts, aid_report_input *inputs)
{
    static const char *const mask_roles[] = {"science mask", "reference mask"};
    inputs[facts->input_count++] = (aid_report_input){.role = input->role,
                                                      .path = input->path,
                                                      .sha256 = input->file.sha256,
                                                      .hdu = input->file.hdu,
                                                      .hdu_name = input->file.hdu_name};
    if (input->mask_path)
        inputs[facts->input_count++] = (aid_report_input){.role = mask_roles[input->role[0] == 'r'],
                                                          .path = input->mask_path,
                                                          .sha256 = input->mask_sha256,
                                                          .hdu = -1};
}

static void add_parameters(const run_state *run, aid_report_facts *facts, report_texts *texts)
{
    for (int i = 0; i < run->parameter_count; i++) {
        const aid_parameter *parameter = &run->parameters[i];
        aid_setting_text(parameter->setting, parameter->field, texts->values[i], MAX_VALUE);
        texts->parameters[i] =
            (aid_report_parameter){parameter->setting->key, texts->values[i], parameter->origin};
    }
    facts->parameters = texts->parameters;
    facts->parameter_count = run->parameter_count;
}

static void add_stages(const aid_stage_meter *meter, aid_report_facts *facts, report_texts *texts)
{
    for (int i = 0; i < meter->count; i++) {
        const aid_stage *stage = &meter->items[i];
        if (!stage->open) /* the report's own stage is not over yet */
            texts->stages[facts->stage_count++] =
                (aid_report_stage){stage->name, stage->wall_s, stage->cpu_s, stage->peak_mb};
    }
    facts->stages = texts->stages;
    facts->total_s = aid_stage_meter_wall_s(meter);
}

/* The command again, with the options that were given on it. */
static void command_line(const run_state *run, char *text, size_t size)
{
    size_t used =
        (size_t)snprintf(text, size, "astrid run %s %s", run->inputs[0].path, run->inputs[1].path);
    for (int i = 0; i < run->parameter_count && used < size; i++) {
        const aid_parameter *parameter = &run->parameters[i];
        char value[MAX_VALUE];
        if (strcmp(parameter->origin, "command line") != 0)
            continue;
        aid_setting_text(parameter->setting, parameter->field, value, sizeof value);
        used +=
            (size_t)snprintf(text + used, size - used, " --%s %s", parameter->setting->key, value);
    }
}

aid_status run_write_report(const run_state *run, const char *path, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    report_texts *texts = NULL;
    AID_TRY(aid_new_array(1, sizeof *texts, "report", &texts, err));
    aid_report_facts facts = {.threshold = run->options->threshold};
    for (int i = 0; i < 2; i++)
        add_input(&run->inputs[i], &facts, texts->inputs);
    facts.inputs = texts->inputs;
    for (const char *const *name = run_file_names; *name; name++) {
        texts->outputs[facts.output_count] =
            (aid_report_output){*name, run_file_contents[facts.output_count]};
        facts.output_count++;
    }
    facts.outputs = texts->outputs;
    add_parameters(run, &facts, texts);
    add_stages(&run->meter, &facts, texts);
    facts.threads = aid_pool_threads(run->pool);
    snprintf(texts->version, sizeof texts->version, "%s %s (%s, %s, %s)", AID_PROGRAM_NAME,
             aid_version(), aid_build(), aid_compiler(), aid_vector_features());
    command_line(run, texts->command_line, sizeof texts->command_line);
    facts.program_version = texts->version;
    facts.command_line = texts->command_line;
    return aid_report_write(&run->result, &facts, path, run->pool, err);
}
