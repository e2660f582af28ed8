# Writes OUTPUT with the version and the commit; touches it only when they have changed.
# cmake -DOUTPUT=... -DSOURCE=... -DVERSION=... -DBUILD_TYPE=... -P version.cmake
execute_process(COMMAND git -c safe.directory=* -C ${SOURCE} describe --always --dirty=+ --abbrev=12 --exclude=*
    OUTPUT_VARIABLE commit ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed OR NOT commit)
    set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[
#define AID_VERSION_TEXT "@VERSION@"
#define AID_COMMIT_TEXT "@commit@"
#define AID_BUILD_TYPE_TEXT "@BUILD_TYPE@"
]])
