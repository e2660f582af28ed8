#include "core/sky/time.h"

#include <ctype.h>
#include <erfa.h>
#include <erfam.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Two-part Julian date of one time scale; in UTC the quasi-JD of ERFA. */
typedef struct julian_date {
    double day, fraction;
} julian_date;

typedef struct civil_date {
    int year, month, day, hour, minute;
    double second;
    bool has_time;
} civil_date;

static void warn(aid_epoch *epoch, const char *text, const char *value)
{
    size_t used = strlen(epoch->warning);
    snprintf(epoch->warning + used, sizeof epoch->warning - used, "%s%s%.40s", used ? "; " : "",
             text, value);
}

/* ------------------------------------------------------------------------------- reading dates */

/* A number of at most `digits` digits, then `separator` ('\0': none); moves *text behind it. */
static bool take_number(const char **text, size_t digits, char separator, int *ret_value)
{
    size_t length = strspn(*text, "0123456789");
    if (length < 1 || length > digits || (separator && (*text)[length] != separator))
        return false;
    *ret_value = (int)strtol(*text, NULL, 10);
    *text += length + (separator ? 1 : 0);
    return true;
}

/* hh:mm:ss.s, with nothing after it but blanks, a Z or +00:00. */
static bool parse_clock(const char *text, civil_date *date)
{
    int hour, minute;
    char seconds[24];
    text += strspn(text, " ");
    if (!take_number(&text, 2, ':', &hour) || !take_number(&text, 2, ':', &minute))
        return false;
    size_t length = strspn(text, "0123456789.");
    if (!isdigit((unsigned char)*text) || length >= sizeof seconds)
        return false;
    memcpy(seconds, text, length);
    seconds[length] = '\0';
    text += length;
    text += *text == 'Z';
    text += strncmp(text, "+00:00", 6) ? 0 : 6;
    if (text[strspn(text, " ")])
        return false;
    date->hour = hour;
    date->minute = minute;
    date->second = strtod(seconds, NULL);
    date->has_time = true;
    return true;
}

/* YYYY-MM-DD, perhaps with Thh:mm:ss (FITS standard 4.0, section 9.1.1). */
static bool parse_new_date(const char *text, civil_date *ret_date)
{
    civil_date date = {0};
    if (!take_number(&text, 4, '-', &date.year) || !take_number(&text, 2, '-', &date.month) ||
        !take_number(&text, 2, '\0', &date.day))
        return false;
    if ((*text == 'T' || *text == ' ') && text[1 + strspn(text + 1, " ")]) {
        if (!parse_clock(text + 1, &date))
            return false;
    } else if (text[strspn(text, " TZ")]) {
        return false;
    }
    *ret_date = date;
    return true;
}

/* DD/MM/YY of the years 1900 to 1999 (section 4.4.2.1), or with the year in full. */
static bool parse_old_date(const char *text, civil_date *ret_date)
{
    civil_date date = {0};
    if (!take_number(&text, 2, '/', &date.day) || !take_number(&text, 2, '/', &date.month) ||
        !take_number(&text, 4, '\0', &date.year) || text[strspn(text, " ")])
        return false;
    date.year += date.year < 100 ? 1900 : 0;
    *ret_date = date;
    return true;
}

static bool parse_date(const char *text, civil_date *ret_date)
{
    text += strspn(text, " ");
    return parse_new_date(text, ret_date) || parse_old_date(text, ret_date);
}

/* The scale's own Julian date. A calendar that does not know the day (31 February) says no. */
static bool date_to_julian(const char *scale, const civil_date *date, julian_date *ret_julian,
                           aid_epoch *epoch)
{
    int status = eraDtf2d(scale, date->year, date->month, date->day, date->hour, date->minute,
                          date->second, &ret_julian->day, &ret_julian->fraction);
    if (status < 0)
        return false;
    if (status >= 2)
        warn(epoch, "the time lies after the end of its day", "");
    return true;
}

/* -------------------------------------------------------------------------------- time scales */

typedef enum time_scale { SCALE_UTC, SCALE_TAI, SCALE_TT, SCALE_GPS } time_scale;

static time_scale scale_of(const aid_header *header, aid_epoch *epoch)
{
    static const struct {
        const char *name;
        time_scale scale;
    } known[] = {{"", SCALE_UTC},    {"UTC", SCALE_UTC}, {"UT", SCALE_UTC},  {"UT1", SCALE_UTC},
                 {"GMT", SCALE_UTC}, {"TAI", SCALE_TAI}, {"IAT", SCALE_TAI}, {"TT", SCALE_TT},
                 {"TDT", SCALE_TT},  {"ET", SCALE_TT},   {"TDB", SCALE_TT},  {"GPS", SCALE_GPS}};
    const char *given = aid_header_text(header, "TIMESYS");
    char name[24] = "";
    if (given)
        snprintf(name, sizeof name, "%s", given + strspn(given, " "));
    for (size_t n = strlen(name); n > 0 && name[n - 1] == ' '; n--)
        name[n - 1] = '\0';
    for (size_t i = 0; i < AID_COUNT_OF(known); i++)
        if (!strcasecmp(name, known[i].name))
            return known[i].scale;
    warn(epoch, "taken for UTC: TIMESYS = ", name);
    return SCALE_UTC;
}

/* To TAI, in which seconds can be added across a leap second. TDB is taken for TT: they differ by
 * less than 2 ms. */
static julian_date to_tai(time_scale scale, julian_date given)
{
    julian_date tai = given;
    switch (scale) {
    case SCALE_UTC:
        eraUtctai(given.day, given.fraction, &tai.day, &tai.fraction);
        break;
    case SCALE_TT:
        eraTttai(given.day, given.fraction, &tai.day, &tai.fraction);
        break;
    case SCALE_GPS:
        tai.fraction += 19.0 / ERFA_DAYSEC;
        break;
    case SCALE_TAI:
        break;
    }
    return tai;
}

static double mjd_utc_after(julian_date tai, double seconds)
{
    double day, fraction;
    if (eraTaiutc(tai.day, tai.fraction + seconds / ERFA_DAYSEC, &day, &fraction) < 0)
        return NAN;
    return (day - ERFA_DJM0) + fraction;
}

/* -------------------------------------------------------------------------------------- header */

static double exposure_of(const aid_header *header, aid_epoch *epoch)
{
    static const char *const keywords[] = {"EXPTIME", "EXPOSURE", NULL};
    double seconds;
    const char *keyword;
    if (aid_header_first_number(header, keywords, &seconds, &keyword)) {
        if (seconds >= 0.0 && seconds <= 1e7)
            return seconds;
        warn(epoch, "exposure time out of range: ", aid_header_text(header, keyword));
        return NAN;
    }
    for (size_t i = 0; keywords[i]; i++)
        if (aid_header_text(header, keywords[i])) {
            warn(epoch, "exposure time is not a number: ", aid_header_text(header, keywords[i]));
            return NAN;
        }
    warn(epoch, "no exposure time: the start stands for the middle", "");
    return NAN;
}

/* A time of day that has a card of its own, for dates that come without one. */
static void add_separate_time(const aid_header *header, civil_date *date)
{
    static const char *const keywords[] = {"TIME-OBS", "UTSTART", "UT", "UTC-OBS"};
    for (size_t i = 0; i < AID_COUNT_OF(keywords) && !date->has_time; i++) {
        const char *text = aid_header_text(header, keywords[i]);
        if (text)
            (void)parse_clock(text, date);
    }
}

static bool start_from_date(const aid_header *header, time_scale scale, bool need_time,
                            julian_date *ret_start, aid_epoch *epoch)
{
    static const char *const keywords[] = {"DATE-OBS", "DATE-BEG", "DATE_OBS"};
    for (size_t i = 0; i < AID_COUNT_OF(keywords); i++) {
        const char *text = aid_header_text(header, keywords[i]);
        civil_date date;
        if (!text || !text[strspn(text, " ")])
            continue;
        if (!parse_date(text, &date)) {
            if (!need_time)
                warn(epoch, "not a date: ", text);
            continue;
        }
        add_separate_time(header, &date);
        if (need_time && !date.has_time)
            continue;
        if (!date_to_julian(scale == SCALE_UTC ? "UTC" : "TAI", &date, ret_start, epoch)) {
            warn(epoch, "not in the calendar: ", text);
            continue;
        }
        if (!date.has_time)
            warn(epoch, "no time of day, midnight assumed: ", text);
        return true;
    }
    return false;
}

static bool start_from_mjd(const aid_header *header, julian_date *ret_start)
{
    static const char *const keywords[] = {"MJD-OBS", "MJD-BEG", "MJD_OBS", NULL};
    double mjd;
    if (!aid_header_first_number(header, keywords, &mjd, NULL) || !(mjd > -1e5 && mjd < 1e6))
        return false;
    *ret_start = (julian_date){ERFA_DJM0, mjd};
    return true;
}

/* A date with a time of day is best, then MJD, then a date alone. */
static bool start_of(const aid_header *header, time_scale scale, julian_date *ret_start,
                     aid_epoch *epoch)
{
    return start_from_date(header, scale, true, ret_start, epoch) ||
           start_from_mjd(header, ret_start) ||
           start_from_date(header, scale, false, ret_start, epoch);
}

aid_epoch aid_epoch_from_header(const aid_header *header)
{
    aid_epoch epoch = {.mid_mjd_utc = NAN, .start_mjd_utc = NAN, .exposure_s = NAN};
    julian_date start;
    time_scale scale = scale_of(header, &epoch);
    if (!start_of(header, scale, &start, &epoch)) {
        epoch.exposure_s = exposure_of(header, &epoch);
        warn(&epoch, "the header has no date of observation", "");
        return epoch;
    }
    epoch.exposure_s = exposure_of(header, &epoch);
    julian_date tai = to_tai(scale, start);
    double half = isnan(epoch.exposure_s) ? 0.0 : 0.5 * epoch.exposure_s;
    epoch.start_mjd_utc = mjd_utc_after(tai, 0.0);
    epoch.mid_mjd_utc = mjd_utc_after(tai, half);
    epoch.known = isfinite(epoch.start_mjd_utc) && isfinite(epoch.mid_mjd_utc);
    return epoch;
}
