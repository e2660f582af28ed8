/* The compiler attributes that the project uses, each under a name of its own. */
#ifndef AID_CORE_BASE_MACROS_H
#define AID_CORE_BASE_MACROS_H

#include <stddef.h>

#define AID_MUST_USE __attribute__((warn_unused_result))
#define AID_PRINTF(format_index, first_argument)                                                   \
    __attribute__((format(printf, format_index, first_argument)))

/* Runs `function(&variable)` when the variable leaves its scope. */
#define AID_CLEANUP(function) __attribute__((cleanup(function)))

/* A leaf kernel worth compiling once per vector width; the loader picks. Without contraction or
 * reassociation the widths agree to the bit. Sanitizers cannot stand the resolver, so they go
 * without. */
#if defined(AID_SANITIZED) || defined(__clang__) || !defined(__x86_64__)
#define AID_HOT
#else
#define AID_HOT __attribute__((target_clones("avx512f", "avx2", "default")))
#endif

#define AID_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define AID_MIN(a, b) ((a) < (b) ? (a) : (b))
#define AID_MAX(a, b) ((a) > (b) ? (a) : (b))
#define AID_CLAMP(value, low, high) AID_MIN(AID_MAX(value, low), high)

#endif
