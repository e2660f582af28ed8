#include "core/imaging/fft.h"

#include "core/base/memory.h"

#include <fftw3.h>
#include <pthread.h>
#include <stdlib.h>

struct aid_fft {
    fftwf_plan forward, inverse;
};

/* FFTW's planner is the one part of it that is not thread-safe. */
static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

int aid_fft_good_size(int n)
{
    for (int size = n + n % 2;; size += 2) {
        int rest = size;
        for (int prime = 2; prime <= 5; prime += prime == 2 ? 1 : 2)
            while (rest % prime == 0)
                rest /= prime;
        if (rest == 1)
            return size;
    }
}

/* PRESERVE_INPUT is the default of the forward transform; the inverse of two dimensions cannot. */
static void make_plans(int width, int height, float *pixels, float complex *spectrum, aid_fft *fft)
{
    pthread_mutex_lock(&planner);
    fft->forward = fftwf_plan_dft_r2c_2d(height, width, pixels, spectrum, FFTW_ESTIMATE);
    fft->inverse = fftwf_plan_dft_c2r_2d(height, width, spectrum, pixels, FFTW_ESTIMATE);
    pthread_mutex_unlock(&planner);
}

aid_status aid_fft_new(int width, int height, aid_fft **ret_fft, aid_error *err)
{
    if (width < 2 || height < 2 || width > AID_MAX_IMAGE_SIDE || height > AID_MAX_IMAGE_SIDE)
        AID_FAIL(err, AID_ERR_INVALID, "FFT of %d x %d: sides go from 2 to %d", width, height,
                 AID_MAX_IMAGE_SIDE);
    size_t pixels = (size_t)width * (size_t)height;
    size_t modes = (size_t)(width / 2 + 1) * (size_t)height;
    AID_CLEANUP(aid_free_pointer)
    float *real = NULL;
    AID_CLEANUP(aid_free_pointer)
    float complex *spectrum = NULL;
    AID_TRY(aid_new_array(pixels, sizeof *real, "FFT", &real, err));
    AID_TRY(aid_new_array(modes, sizeof *spectrum, "FFT", &spectrum, err));
    aid_fft *fft;
    AID_TRY(aid_new_array(1, sizeof *fft, "FFT", &fft, err));
    make_plans(width, height, real, spectrum, fft);
    if (!fft->forward || !fft->inverse) {
        aid_fft_free(fft);
        AID_FAIL(err, AID_ERR_NOMEM, "FFT of %d x %d cannot be planned", width, height);
    }
    *ret_fft = fft;
    return AID_OK;
}

void aid_fft_free(aid_fft *fft)
{
    if (!fft)
        return;
    pthread_mutex_lock(&planner);
    fftwf_destroy_plan(fft->forward);
    fftwf_destroy_plan(fft->inverse);
    pthread_mutex_unlock(&planner);
    free(fft);
}

void aid_fft_forward(const aid_fft *fft, const float *in, float complex *out)
{
    fftwf_execute_dft_r2c(fft->forward, (float *)(uintptr_t)in, out);
}

void aid_fft_inverse(const aid_fft *fft, float complex *in, float *out)
{
    fftwf_execute_dft_c2r(fft->inverse, in, out);
}
