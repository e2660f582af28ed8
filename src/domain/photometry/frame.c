/* What is measured on, and the words for what went wrong. */
#include "domain/photometry/photometry.h"

#include <stdio.h>

aid_photometry_frame aid_photometry_frame_of(const aid_exposure *exposure)
{
    return (aid_photometry_frame){.image = &exposure->image,
                                  .mask = &exposure->mask,
                                  .noise = &exposure->noise,
                                  .correlation = &exposure->correlation,
                                  .gain = exposure->gain,
                                  .psf = &exposure->psf};
}

void aid_photometry_flag_names(unsigned flags, char *text, size_t size)
{
    static const char *const names[] = {"off-image", "edge",          "masked",
                                        "saturated", "corrected",     "no-background",
                                        "blended",   "not-converged", "no-flux"};
    size_t length = 0;
    if (size > 0)
        text[0] = '\0';
    for (size_t i = 0; i < AID_COUNT_OF(names) && length < size; i++)
        if (flags & (1U << i))
            length +=
                (size_t)snprintf(text + length, size - length, "%s%s", length ? "|" : "", names[i]);
}
