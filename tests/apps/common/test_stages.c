#include "apps/common/stages.h"

#include "adapters/log/log.h"
#include "apps/common/stop.h"
#include "core/base/memory.h"
#include "tests/check.h"

#include <signal.h>
#include <unistd.h>

static aid_error err;

static const aid_stage *stage_named(const aid_stage_meter *meter, const char *name)
{
    for (int i = 0; i < meter->count; i++)
        if (!strcmp(meter->items[i].name, name))
            return &meter->items[i];
    check_fail(__FILE__, __LINE__, "no stage %s", name);
}

static void fill_megabytes(size_t megabytes)
{
    AID_CLEANUP(aid_free_pointer)
    unsigned char *bytes = NULL;
    CHECK_OK(aid_new_buffer(megabytes << 20, 1, "test", &bytes, &err));
    memset(bytes, 1, megabytes << 20);
    CHECK(bytes[12345] == 1);
}

TEST(stages_are_listed_in_order_and_a_name_again_adds_up)
{
    aid_stage_meter meter;
    aid_stage_meter_init(&meter, NULL, 0);
    aid_stage_observer observer = aid_stage_meter_observer(&meter);
    static const char *const names[] = {"read", "subtract", "detect", "subtract"};
    for (size_t i = 0; i < AID_COUNT_OF(names); i++) {
        CHECK_OK(observer.begin(observer.context, names[i], &err));
        observer.end(observer.context, names[i]);
    }
    CHECK_EQUAL(meter.count, 3);
    CHECK_TEXT(meter.items[0].name, "read");
    CHECK_TEXT(meter.items[2].name, "detect");
}

/* CPU seconds cannot exceed wall seconds times threads, and here there is one. */
TEST(cpu_time_is_counted_where_it_is_spent)
{
    aid_stage_meter meter;
    aid_stage_meter_init(&meter, NULL, 0);
    CHECK_OK(aid_stage_begin(&meter, "work", &err));
    volatile double sum = 0.0;
    for (int i = 0; i < 20000000; i++)
        sum = sum + 1.0 / (i + 1);
    aid_stage_end(&meter, "work");
    CHECK_OK(aid_stage_begin(&meter, "rest", &err));
    aid_stage_end(&meter, "rest");
    const aid_stage *work = stage_named(&meter, "work"), *rest = stage_named(&meter, "rest");
    CHECK(work->cpu_s > 0.001);
    CHECK(work->wall_s >= 0.9 * work->cpu_s);
    CHECK(rest->cpu_s < work->cpu_s);
    CHECK(aid_stage_meter_wall_s(&meter) >= work->wall_s);
}

TEST(the_peak_of_one_stage_is_not_that_of_the_next)
{
    aid_stage_meter meter;
    aid_stage_meter_init(&meter, NULL, 0);
    CHECK_OK(aid_stage_begin(&meter, "small", &err));
    aid_stage_end(&meter, "small");
    CHECK_OK(aid_stage_begin(&meter, "large", &err));
    fill_megabytes(200);
    aid_stage_end(&meter, "large");
    CHECK_OK(aid_stage_begin(&meter, "after", &err));
    aid_stage_end(&meter, "after");
    const aid_stage *small = stage_named(&meter, "small"), *large = stage_named(&meter, "large");
    CHECK(small->peak_mb > 0.5);
    CHECK(large->peak_mb >= small->peak_mb + 195.0);
#if !defined(AID_SANITIZED) /* a sanitizer keeps what was freed */
    if (!meter.peaks_are_of_the_run)
        CHECK(stage_named(&meter, "after")->peak_mb < large->peak_mb - 150.0);
#endif
}

TEST(an_outer_stage_has_the_peak_of_what_ran_within_it)
{
    aid_stage_meter meter;
    aid_stage_meter_init(&meter, NULL, 0);
    CHECK_OK(aid_stage_begin(&meter, "outer", &err));
    CHECK_OK(aid_stage_begin(&meter, "inner", &err));
    fill_megabytes(100);
    aid_stage_end(&meter, "inner");
    aid_stage_end(&meter, "outer");
    CHECK(stage_named(&meter, "outer")->peak_mb >= stage_named(&meter, "inner")->peak_mb);
    CHECK(stage_named(&meter, "inner")->peak_mb >= 100.0);
}

TEST(more_stages_than_there_is_room_for_are_left_out_and_nothing_breaks)
{
    aid_stage_meter meter;
    aid_stage_meter_init(&meter, NULL, 0);
    for (int i = 0; i < 2 * AID_MAX_STAGES; i++) {
        char name[80];
        snprintf(name, sizeof name, "%d a name that is longer than the room that there is for it",
                 i);
        CHECK_OK(aid_stage_begin(&meter, name, &err));
        aid_stage_end(&meter, name);
    }
    CHECK_EQUAL(meter.count, AID_MAX_STAGES);
}

TEST(nothing_is_drawn_where_there_is_no_terminal)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = tmpfile();
    CHECK(stream != NULL);
    aid_stage_meter meter;
    aid_stage_meter_init(&meter, stream, 3);
    CHECK_OK(aid_stage_begin(&meter, "read", &err));
    aid_stage_end(&meter, "read");
    aid_stage_meter_clear(&meter);
    CHECK_EQUAL(ftell(stream), 0);
    fclose(stream);
    /* With the stream declared to be one, the bar names the stage. */
    stream = open_memstream(&text, &size);
    meter.terminal = stream;
    CHECK_OK(aid_stage_begin(&meter, "subtract", &err));
    fclose(stream);
    CHECK(strstr(text, "2/3 subtract"));
    free(text);
}

/* The last test of the program: the request cannot be taken back. */
TEST(the_first_signal_lets_no_further_stage_begin)
{
    aid_stage_meter meter;
    aid_stage_meter_init(&meter, NULL, 0);
    aid_stop_on_signals();
    CHECK_OK(aid_stage_begin(&meter, "read", &err));
    aid_stage_end(&meter, "read");
    CHECK(!aid_stop_requested());
    raise(SIGTERM);
    CHECK(aid_stop_requested());
    CHECK_REFUSED(aid_stage_begin(&meter, "subtract", &err), AID_ERR_CANCELLED, "subtract");
    CHECK_EQUAL(meter.count, 1);
}

TEST_MAIN()
