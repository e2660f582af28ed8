/* Two-dimensional real FFTs of fixed sizes, float32. The one door to the FFT library. */
#ifndef AID_CORE_IMAGING_FFT_H
#define AID_CORE_IMAGING_FFT_H

#include "core/base/status.h"

#include <complex.h>
#include <stdint.h>

#ifndef CMPLXF /* glibc defines it for gcc alone */
#define CMPLXF(real, imaginary) __builtin_complex((float)(real), (float)(imaginary))
#endif

typedef struct aid_fft aid_fft;

/* A plan for [height][width] reals <-> [height][width/2+1] complex. Made under a lock; executing is
 * thread-safe. Planned by estimate, never by timing: the same bytes in every run. Caller owns. */
AID_MUST_USE aid_status aid_fft_new(int width, int height, aid_fft **ret_fft, aid_error *err);
void aid_fft_free(aid_fft *fft);

/* Smallest even 2^a 3^b 5^c not below n. */
int aid_fft_good_size(int n);

/* Buffers must be 64-byte aligned (aid_new_buffer gives such). Forward leaves `in` alone; inverse
 * destroys `in` and is not normalised: the caller divides by width*height. */
void aid_fft_forward(const aid_fft *fft, const float *in, float complex *out);
void aid_fft_inverse(const aid_fft *fft, float complex *in, float *out);

#endif
