/* What the parts of L.A.Cosmic share. Internal to this folder. */
#ifndef AID_DOMAIN_CALIBRATION_LACOSMIC_INTERNAL_H
#define AID_DOMAIN_CALIBRATION_LACOSMIC_INTERNAL_H

#include "domain/calibration/lacosmic.h"
#include "domain/calibration/medians.h"

#define AID_COSMIC_STAGE "cosmic rays"

/* Of a pixel, during the search. */
enum {
    AID_PIXEL_BLOCKED = 1,
    AID_PIXEL_STRUCK = 2, /* as things stand */
    AID_PIXEL_FOUND = 4,  /* struck by the Laplacian test */
    AID_PIXEL_CORE = 8,   /* and not just by its rule for neighbours */
    AID_PIXEL_SEED = 16,  /* settled to be a hit, whatever is beside it */
    AID_PIXEL_SHARP = 32, /* sharper than a star can be */
    AID_PIXEL_STARLIKE = 64,
    AID_PIXEL_LINE = 128 /* of a bad column or row, no hit */
};

enum { AID_COSMIC_TILE_WIDTH = 256, AID_COSMIC_TILE_HEIGHT = 64, AID_COSMIC_KERNEL = 7 };

typedef struct aid_cosmic_search {
    const char *name;
    const aid_lacosmic_options *options;
    int32_t width, height;
    int64_t tiles_x, tiles;
    float *clean;    /* [height][width], e-: the image, its hits filled so far */
    float *variance; /* the same of the variance, e-^2; NULL: from `clean` */
    uint8_t *state;  /* [height][width] */
    uint8_t *found;  /* in this iteration */
    uint8_t *active; /* [tiles]: has to be searched in this iteration */
    int64_t *fresh;  /* [tiles]: pixels that were struck in this iteration for the first time */
    float clip, neighbour_clip, object_limit, read_variance;
    float kernel[AID_COSMIC_KERNEL * AID_COSMIC_KERNEL];
    int halo;
    aid_median_filter noise, signal, fine, coarse;
    float *scratch; /* [workers][scratch_planes][scratch_plane] */
    int64_t scratch_plane;
    float level, variance_level; /* of the sound pixels: fills what has no sound neighbour */
    double level_variance;       /* e-^2, of a pixel of that level */
    double narrowest_px;         /* Gaussian sigma of the narrowest stars */
} aid_cosmic_search;

enum { AID_COSMIC_PLANES = 7 };

aid_rectangle aid_cosmic_tile(const aid_cosmic_search *search, int64_t tile);
/* `tile` grown by `radius`, within the image. */
aid_rectangle aid_cosmic_grown(const aid_cosmic_search *search, aid_rectangle tile, int radius);

/* The hits of one tile into search->found: AID_PIXEL_ bits. */
void aid_cosmic_search_tile(const aid_cosmic_search *search, int64_t tile, int worker);

typedef struct aid_cosmic_settle_input {
    const aid_cosmic_search *search;
    const aid_image *image; /* as it was, in its own unit */
    bool growing;           /* what is beside a struck pixel is judged, too */
} aid_cosmic_settle_input;

/* The new states of one tile into search->found, from those in search->state. */
void aid_cosmic_settle_tile(const aid_cosmic_settle_input *input, int64_t tile);

/* The Gaussian sigma of the narrowest of the bright peaks that are no hits. */
double aid_cosmic_narrowest_star(const aid_cosmic_search *search, const aid_image *image);

typedef enum aid_cosmic_verdict {
    AID_COSMIC_UNDECIDED,
    AID_COSMIC_LIKE_A_STAR, /* beyond doubt: a hit of that height would be seen to be sharper */
    AID_COSMIC_TOO_SHARP
} aid_cosmic_verdict;
aid_cosmic_verdict aid_cosmic_compare_with_star(const aid_cosmic_search *search,
                                                const aid_image *image, int32_t x, int32_t y);

#endif
