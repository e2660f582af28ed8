/* The commands of the program; main.c lists them. */
#ifndef AID_APPS_CLI_COMMANDS_H
#define AID_APPS_CLI_COMMANDS_H

#include "apps/common/command.h"

extern const aid_command aid_command_run;
extern const aid_command aid_command_align;
extern const aid_command aid_command_stack;
extern const aid_command aid_command_simulate;
extern const aid_command aid_command_preprocess;
extern const aid_command aid_command_compare;
extern const aid_command aid_command_calibrate;
extern const aid_command aid_command_photometry;
extern const aid_command aid_command_filter;
extern const aid_command aid_command_master;
extern const aid_command aid_command_quality;
extern const aid_command aid_command_extract;
extern const aid_command aid_command_rank;

#endif
