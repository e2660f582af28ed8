/* Private to this folder: libsep 1.2.1, whose own header has neither a guard nor its <stddef.h>. */
#ifndef AID_CORE_IMAGING_SEP_LIBRARY_H
#define AID_CORE_IMAGING_SEP_LIBRARY_H

#include <stddef.h>

#include <sep.h>

/* sep_extract loses two arrays of four bytes for every source that it finds (it allocates cflux and
 * flux twice). Nothing can be done about it from outside, so the leak checker looks away meanwhile.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AID_SEP_LEAKS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define AID_SEP_LEAKS 1
#endif
#ifdef AID_SEP_LEAKS
#include <sanitizer/lsan_interface.h>
#define AID_SEP_LEAK_BEGIN() __lsan_disable()
#define AID_SEP_LEAK_END() __lsan_enable()
#else
#define AID_SEP_LEAK_BEGIN() ((void)0)
#define AID_SEP_LEAK_END() ((void)0)
#endif

#endif
