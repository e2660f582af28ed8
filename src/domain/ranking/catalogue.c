#include "domain/ranking/catalogue.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int find_in_any_case(const aid_catalogue *catalogue, const char *name)
{
    for (int i = 0; i < catalogue->columns; i++)
        if (!strcasecmp(catalogue->items[i].name, name))
            return i;
    return -1;
}

/* What SExtractor and VizieR call the same thing. */
static int find_elsewhere(const aid_catalogue *catalogue, const char *name)
{
    static const char *const names[][2] = {{"id", "number"},
                                           {"x", "xwin_image"},
                                           {"x", "x_image"},
                                           {"y", "ywin_image"},
                                           {"y", "y_image"},
                                           {"ra", "alphawin_j2000"},
                                           {"ra", "alpha_j2000"},
                                           {"ra", "raj2000"},
                                           {"ra", "ra_icrs"},
                                           {"ra", "_raj2000"},
                                           {"dec", "deltawin_j2000"},
                                           {"dec", "delta_j2000"},
                                           {"dec", "dej2000"},
                                           {"dec", "de_icrs"},
                                           {"dec", "_dej2000"},
                                           {"flux", "flux_auto"},
                                           {"flux_err", "fluxerr_auto"},
                                           {"mag", "mag_auto"},
                                           {"fwhm", "fwhm_image"},
                                           {"npix", "isoarea_image"},
                                           {"peak", "flux_max"}};
    for (size_t i = 0; i < AID_COUNT_OF(names); i++) {
        int column = strcmp(names[i][0], name) ? -1 : find_in_any_case(catalogue, names[i][1]);
        if (column >= 0)
            return column;
    }
    return -1;
}

int aid_catalogue_find(const aid_catalogue *catalogue, const char *name)
{
    for (int i = 0; i < catalogue->columns; i++)
        if (!strcmp(catalogue->items[i].name, name))
            return i;
    int column = find_in_any_case(catalogue, name);
    return column >= 0 ? column : find_elsewhere(catalogue, name);
}

double aid_catalogue_number(const aid_catalogue *catalogue, int column, int64_t row)
{
    if (column < 0)
        return NAN;
    const aid_catalogue_column *item = &catalogue->items[column];
    if (item->doubles)
        return item->doubles[row];
    if (item->integers && item->integers[row] != INT64_MIN)
        return (double)item->integers[row];
    return NAN;
}

const char *aid_catalogue_text(const aid_catalogue *catalogue, int column, int64_t row)
{
    return column < 0 || !catalogue->items[column].texts ? NULL
                                                         : catalogue->items[column].texts[row];
}

void aid_catalogue_names(const aid_catalogue *catalogue, char *ret_text, size_t size)
{
    size_t used = 0;
    ret_text[0] = '\0';
    for (int i = 0; i < catalogue->columns && used < size; i++)
        used += (size_t)snprintf(ret_text + used, size - used, "%s%s", i ? ", " : "",
                                 catalogue->items[i].name);
}

aid_catalogue_order aid_catalogue_order_of(const aid_catalogue *catalogue)
{
    return (aid_catalogue_order){.id = aid_catalogue_find(catalogue, "id"),
                                 .x = aid_catalogue_find(catalogue, "x"),
                                 .y = aid_catalogue_find(catalogue, "y"),
                                 .ra = aid_catalogue_find(catalogue, "ra"),
                                 .dec = aid_catalogue_find(catalogue, "dec")};
}

/* Nulls last. */
static int compare_numbers(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b);
    return (a > b) - (a < b);
}

static int compare_cells(const aid_catalogue *catalogue, int column, int64_t a, int64_t b)
{
    if (column < 0)
        return 0;
    const aid_catalogue_column *item = &catalogue->items[column];
    if (item->integers) /* ids may have more digits than a double */
        return (item->integers[a] > item->integers[b]) - (item->integers[a] < item->integers[b]);
    if (item->texts) {
        const char *s = item->texts[a], *t = item->texts[b];
        return s && t ? strcmp(s, t) : !s - !t;
    }
    return compare_numbers(item->doubles[a], item->doubles[b]);
}

int aid_catalogue_compare(const aid_catalogue *catalogue, const aid_catalogue_order *order,
                          int64_t a, int64_t b)
{
    const int columns[] = {order->id, order->x, order->y, order->ra, order->dec};
    for (size_t i = 0; i < AID_COUNT_OF(columns); i++) {
        int comparison = compare_cells(catalogue, columns[i], a, b);
        if (comparison)
            return comparison;
    }
    return (a > b) - (a < b);
}

int aid_flags_have(const char *flags, const char *name)
{
    size_t length = strlen(name);
    while (flags && *flags) {
        size_t word = strcspn(flags, "|");
        if (word == length && !strncmp(flags, name, length))
            return 1;
        flags += word + (flags[word] == '|');
    }
    return 0;
}
