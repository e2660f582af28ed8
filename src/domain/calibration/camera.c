#include "domain/calibration/camera.h"

#include "core/base/macros.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>

static const aid_camera cameras[] = {
    {.name = "Nickel Direct",
     .gain_card_is_wrong = true,
     .gain = 1.80, /* photon transfer on its flats and biases */
     .read_noise = 9.4,
     .saturation = NAN,
     .overscan_skip = 8, /* the first is 100 ADU low; a bright image trails into the next few */
     .remark = "GAIN is an index there"},
    {.name = "ZWO",
     .gain_card_is_wrong = true,
     .gain = NAN,
     .read_noise = NAN,
     .saturation = NAN,
     .remark = "GAIN is a camera setting in steps of 0.1 dB"},
    {.name = "QHY",
     .gain_card_is_wrong = true,
     .gain = NAN,
     .read_noise = NAN,
     .saturation = NAN,
     .remark = "GAIN is a camera setting"},
    {.name = "Apogee",
     .gain_card_is_wrong = false,
     .gain = NAN,
     .read_noise = NAN,
     .saturation = 65535.0, /* 16-bit converters */
     .remark = ""},
};

static bool contains(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

const aid_camera *aid_camera_of(const aid_header *header)
{
    static const char *const keywords[] = {"INSTRUME", "CAMERA", "DETECTOR"};
    for (size_t k = 0; k < AID_COUNT_OF(keywords); k++) {
        const char *text = aid_header_text(header, keywords[k]);
        for (size_t i = 0; text && i < AID_COUNT_OF(cameras); i++)
            if (contains(text, cameras[i].name))
                return &cameras[i];
    }
    return NULL;
}
