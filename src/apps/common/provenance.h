/* What made a result: the program, and every setting that could have changed it. */
#ifndef AID_APPS_COMMON_PROVENANCE_H
#define AID_APPS_COMMON_PROVENANCE_H

#include "adapters/files/json.h"
#include "apps/common/command.h"
#include "apps/common/stages.h"
#include "core/base/header.h"
#include "core/base/notes.h"

/* Cards CREATOR, AIDBUILD, AIDCOMP and AIDCPU. */
AID_MUST_USE aid_status aid_program_cards(aid_header *cards, aid_error *err);
/* And each parameter under its own name, by the HIERARCH convention: ASTRID THRESHOLD = 5. */
AID_MUST_USE aid_status aid_provenance_cards(const aid_invocation *invocation, aid_header *cards,
                                             aid_error *err);

/* Members "program" and "parameters" of the object that is being written. */
void aid_provenance_json(aid_json_writer *json, const aid_invocation *invocation);
/* Members "notes" and "stages". */
void aid_notes_json(aid_json_writer *json, const aid_notes *notes);
void aid_stages_json(aid_json_writer *json, const aid_stage_meter *meter);

#endif
