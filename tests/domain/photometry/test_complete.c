#include "tests/domain/photometry/frames.h"

#include <stddef.h>

enum { SIDE = 8, COUNT = SIDE * SIDE };

/* Stars, and every fourth one a galaxy; their list as extraction would leave it. */
static void list_of_sources(test_frame *f, aid_sources *sources)
{
    const int step = 60;
    test_frame_init(f, SIDE * step, SIDE * step, 5.0);
    CHECK_OK(aid_sources_init(COUNT, sources, &err));
    for (int k = 0; k < COUNT; k++) {
        aid_source *s = &sources->items[k];
        bool galaxy = k % 4 == 0;
        *s = aid_source_blank();
        s->id = k + 1;
        s->x = s->x_win = k % SIDE * step + 30.2;
        s->y = s->y_win = k / SIDE * step + 29.7;
        s->a = s->b = galaxy ? 3.0 : 1.5;
        s->theta_deg = 0.0;
        s->flux_auto = 12000.0;
        s->flux_auto_err = k == 5 ? 5000.0 : 100.0;
        add_gaussian(&f->image, s->x, s->y, 12000.0, s->a);
    }
    add_noise(f, 5.0, 1.5, 77);
    test_frame_psf(f, 1.5);
}

TEST(what_extraction_leaves_open_is_filled)
{
    test_frame f;
    aid_sources sources;
    list_of_sources(&f, &sources);
    aid_complete_options options = AID_COMPLETE_DEFAULTS;
    CHECK_OK(aid_complete_sources(&f.frame, &options, NULL, NULL, &sources, &err));
    int right = 0;
    for (int k = 0; k < COUNT; k++) {
        const aid_source *s = &sources.items[k];
        bool galaxy = k % 4 == 0;
        right += s->kind == (galaxy ? AID_CLASS_EXTENDED : AID_CLASS_POINT);
        CHECK(s->p_point >= 0.0 && s->p_point <= 1.0);
        if (!galaxy)
            CHECK_NEAR(s->flux_psf, 12000.0, 5.0 * s->flux_psf_err);
        CHECK_NEAR(s->x_psf, s->x, 0.3);
        CHECK(isfinite(s->gini) == (k != 5)); /* that one is called faint */
        CHECK(k == 5 || (s->concentration > 1.5 && s->concentration < 3.0));
    }
    CHECK(right >= COUNT - 2);
    aid_sources_done(&sources);
    test_frame_done(&f);
}

TEST(the_list_is_the_same_at_one_and_three_threads)
{
    test_frame f, g;
    aid_sources one, three;
    list_of_sources(&f, &one);
    list_of_sources(&g, &three);
    aid_pool *pool;
    CHECK_OK(aid_pool_new(3, &pool, &err));
    aid_complete_options options = AID_COMPLETE_DEFAULTS;
    CHECK_OK(aid_complete_sources(&f.frame, &options, NULL, NULL, &one, &err));
    CHECK_OK(aid_complete_sources(&g.frame, &options, pool, NULL, &three, &err));
    size_t from = offsetof(aid_source, flux_psf); /* nothing but doubles from there on */
    for (int k = 0; k < COUNT; k++)
        CHECK(memcmp((char *)&one.items[k] + from, (char *)&three.items[k] + from,
                     sizeof(aid_source) - from) == 0);
    aid_pool_free(pool);
    aid_sources_done(&one);
    aid_sources_done(&three);
    test_frame_done(&f);
    test_frame_done(&g);
}

TEST(without_a_psf_there_are_shapes_alone_and_a_note)
{
    test_frame f;
    aid_sources sources;
    list_of_sources(&f, &sources);
    f.frame.psf_stamp = NULL;
    aid_complete_options options = AID_COMPLETE_DEFAULTS;
    aid_notes notes = {0};
    CHECK_OK(aid_complete_sources(&f.frame, &options, NULL, &notes, &sources, &err));
    CHECK_EQUAL(notes.count, 1);
    CHECK(isnan(sources.items[1].flux_psf) && isnan(sources.items[1].p_point));
    CHECK_EQUAL(sources.items[1].kind, AID_CLASS_UNKNOWN);
    CHECK(isfinite(sources.items[1].gini));
    aid_sources none = {0};
    CHECK_OK(aid_complete_sources(&f.frame, &options, NULL, &notes, &none, &err));
    aid_sources_done(&sources);
    test_frame_done(&f);
}

TEST_MAIN()
