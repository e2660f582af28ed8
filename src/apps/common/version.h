/* Which program this is, for --version and for the provenance of every result. */
#ifndef AID_APPS_COMMON_VERSION_H
#define AID_APPS_COMMON_VERSION_H

#define AID_PROGRAM_NAME "astrid"

const char *aid_version(void);  /* "0.1.0" */
const char *aid_build(void);    /* commit it was built from, "+" when changed since; or "unknown" */
const char *aid_compiler(void); /* "gcc 12.2.0, Release" */

/* The widest vectors that this processor has and the program uses: "avx512f", "avx2" or "plain".
 * Results are the same bytes on the same ones. */
const char *aid_vector_features(void);

#endif
