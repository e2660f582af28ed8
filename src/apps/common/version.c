#include "apps/common/version.h"

#include "generated/version_text.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

const char *aid_version(void)
{
    return AID_VERSION_TEXT;
}

const char *aid_build(void)
{
    return AID_COMMIT_TEXT;
}

const char *aid_compiler(void)
{
    return COMPILER ", " AID_BUILD_TYPE_TEXT;
}

const char *aid_vector_features(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return "avx512f";
    if (__builtin_cpu_supports("avx2"))
        return "avx2";
#endif
    return "plain";
}
