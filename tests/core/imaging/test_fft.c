#include "core/base/memory.h"
#include "core/imaging/fft.h"
#include "tests/check.h"

static aid_error err;

static float pixel(int i)
{
    return (float)((i * 7919 + 13) % 101) / 101.0f - 0.3f;
}

/* The definition, summed in double: sum f(x,y) exp(-2 pi i (kx x/w + ky y/h)). */
static double complex naive_mode(const float *f, int w, int h, int kx, int ky)
{
    double complex sum = 0;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            double angle =
                -2.0 * 3.14159265358979323846 * ((double)kx * x / w + (double)ky * y / h);
            sum += (double)f[y * w + x] * (cos(angle) + I * sin(angle));
        }
    return sum;
}

TEST(forward_equals_the_definition_and_inverse_returns_the_pixels)
{
    enum { W = 20, H = 18 };
    aid_fft *fft;
    float *in, *back;
    float complex *modes;
    CHECK_OK(aid_fft_new(W, H, &fft, &err));
    CHECK_OK(aid_new_array(W * H, sizeof *in, "in", &in, &err));
    CHECK_OK(aid_new_array(W * H, sizeof *back, "back", &back, &err));
    CHECK_OK(aid_new_array((W / 2 + 1) * H, sizeof *modes, "modes", &modes, &err));
    for (int i = 0; i < W * H; i++)
        in[i] = pixel(i);
    aid_fft_forward(fft, in, modes);
    /* 360 float32 terms below 1: rounding stays below 360 * 6e-8. */
    for (int ky = 0; ky < H; ky++)
        for (int kx = 0; kx <= W / 2; kx++) {
            double complex expected = naive_mode(in, W, H, kx, ky);
            CHECK_NEAR(cabs((double complex)modes[ky * (W / 2 + 1) + kx] - expected), 0.0, 2e-5);
        }
    CHECK_EQUAL((int)(in[17] == pixel(17)), 1); /* the input is left alone */
    aid_fft_inverse(fft, modes, back);
    for (int i = 0; i < W * H; i++)
        CHECK_NEAR(back[i] / (W * H), pixel(i), 1e-6);
    free(in);
    free(back);
    free(modes);
    aid_fft_free(fft);
}

TEST(good_sizes_are_even_and_hold_only_the_primes_2_3_and_5)
{
    CHECK_EQUAL(aid_fft_good_size(1), 2);
    CHECK_EQUAL(aid_fft_good_size(14), 16);
    CHECK_EQUAL(aid_fft_good_size(61), 64);
    CHECK_EQUAL(aid_fft_good_size(319), 320);
    CHECK_EQUAL(aid_fft_good_size(1104), 1152);
}

TEST(an_impossible_size_is_refused)
{
    aid_fft *fft = NULL;
    CHECK_REFUSED(aid_fft_new(1, 64, &fft, &err), AID_ERR_INVALID, "1 x 64");
    CHECK(fft == NULL);
}

TEST_MAIN()
