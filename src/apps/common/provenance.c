#include "apps/common/provenance.h"

#include "apps/common/version.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PARAMETERS = 96, MAX_KEYWORD = 64 };

static aid_status put_parameter_cards(const aid_invocation *invocation, aid_header *cards,
                                      aid_error *err)
{
    aid_parameter items[MAX_PARAMETERS];
    int count = aid_command_parameters(invocation, items, MAX_PARAMETERS);
    for (int i = 0; i < count; i++) {
        const aid_setting *setting = items[i].setting;
        char keyword[MAX_KEYWORD], text[AID_MAX_CARD_VALUE];
        aid_setting_variable(setting, keyword, sizeof keyword);
        keyword[strlen("ASTRID")] = ' ';
        aid_setting_text(setting, items[i].field, text, sizeof text);
        bool number = setting->kind == AID_SETTING_NUMBER || setting->kind == AID_SETTING_INTEGER;
        AID_TRY(aid_header_append(cards, keyword, number ? AID_CARD_NUMBER : AID_CARD_STRING, text,
                                  "", err));
    }
    return AID_OK;
}

aid_status aid_program_cards(aid_header *cards, aid_error *err)
{
    char program[128];
    snprintf(program, sizeof program, "%s %s", AID_PROGRAM_NAME, aid_version());
    AID_TRY(aid_header_put_text(cards, "CREATOR", program, "program that made this file", err));
    AID_TRY(aid_header_put_text(cards, "AIDBUILD", aid_build(), "commit it was built from", err));
    AID_TRY(
        aid_header_put_text(cards, "AIDCOMP", aid_compiler(), "compiler and kind of build", err));
    return aid_header_put_text(cards, "AIDCPU", aid_vector_features(), "vector instructions in use",
                               err);
}

aid_status aid_provenance_cards(const aid_invocation *invocation, aid_header *cards, aid_error *err)
{
    AID_TRY(aid_program_cards(cards, err));
    return put_parameter_cards(invocation, cards, err);
}

static void put_parameter(aid_json_writer *json, const aid_parameter *parameter)
{
    const aid_setting *setting = parameter->setting;
    char text[AID_MAX_CARD_VALUE];
    aid_json_key(json, setting->key);
    switch (setting->kind) {
    case AID_SETTING_FLAG:
        aid_json_bool(json, *(const bool *)parameter->field);
        break;
    case AID_SETTING_INTEGER:
        aid_json_integer(json, *(const int64_t *)parameter->field);
        break;
    case AID_SETTING_NUMBER:
        aid_json_number(json, *(const double *)parameter->field);
        break;
    case AID_SETTING_TEXT:
    case AID_SETTING_CHOICE:
        aid_setting_text(setting, parameter->field, text, sizeof text);
        aid_json_text(json, text);
        break;
    }
}

void aid_provenance_json(aid_json_writer *json, const aid_invocation *invocation)
{
    aid_parameter items[MAX_PARAMETERS];
    int count = aid_command_parameters(invocation, items, MAX_PARAMETERS);
    aid_json_put_object(json, "program");
    aid_json_put_text(json, "name", AID_PROGRAM_NAME);
    aid_json_put_text(json, "version", aid_version());
    aid_json_put_text(json, "build", aid_build());
    aid_json_put_text(json, "compiler", aid_compiler());
    aid_json_put_text(json, "vectors", aid_vector_features());
    aid_json_end_object(json);
    aid_json_put_text(json, "command", invocation->command->name);
    aid_json_put_object(json, "parameters");
    for (int i = 0; i < count; i++)
        put_parameter(json, &items[i]);
    aid_json_end_object(json);
}

void aid_notes_json(aid_json_writer *json, const aid_notes *notes)
{
    aid_json_put_array(json, "notes");
    for (int i = 0; i < notes->count; i++) {
        aid_json_begin_object(json);
        aid_json_put_text(json, "stage", notes->items[i].stage);
        aid_json_put_text(json, "text", notes->items[i].text);
        aid_json_end_object(json);
    }
    aid_json_end_array(json);
}

void aid_stages_json(aid_json_writer *json, const aid_stage_meter *meter)
{
    aid_json_put_object(json, "stages");
    for (int i = 0; i < meter->count; i++) {
        const aid_stage *stage = &meter->items[i];
        aid_json_put_object(json, stage->name);
        aid_json_put_rounded(json, "wall_s", stage->wall_s, 4);
        aid_json_put_rounded(json, "cpu_s", stage->cpu_s, 4);
        aid_json_put_rounded(json, "peak_mb", stage->peak_mb, 1);
        aid_json_end_object(json);
    }
    aid_json_end_object(json);
}
