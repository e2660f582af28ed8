#include "adapters/tables/read_text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool aid_text_number(const char *text, double *ret_value)
{
    static const char *const words[] = {"nan", "inf", "infinity"};
    const char *unsigned_text = text + (*text == '-' || *text == '+');
    bool plain = strspn(text, "+-.0123456789eE") == strlen(text);
    for (size_t i = 0; i < AID_COUNT_OF(words); i++)
        plain = plain || !strcasecmp(unsigned_text, words[i]);
    char *end;
    double value = plain ? strtod(text, &end) : NAN;
    if (!plain || end == text || *end)
        return false;
    *ret_value = value;
    return true;
}

bool aid_text_integer(const char *text, int64_t *ret_value)
{
    const char *digits = text + (*text == '-');
    size_t length = strlen(digits);
    if (length == 0 || strspn(digits, "0123456789") != length || (*digits == '0' && text[1]))
        return false;
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    if (errno || value == AID_NULL_INT64)
        return false;
    *ret_value = value;
    return true;
}

/* Digits alone that are no number one may calculate with: "007", or more of them than fit. */
static bool is_code(const char *text)
{
    int64_t value;
    const char *digits = text + (*text == '-');
    return digits[0] && digits[1] && strspn(digits, "0123456789") == strlen(digits) &&
           !aid_text_integer(text, &value);
}

/* Digits behind the point of a number in plain notation, -1 in any other. */
static int decimals_of(const char *text)
{
    const char *point = strchr(text, '.');
    if (strspn(text, "+-.0123456789") != strlen(text))
        return -1;
    size_t digits = point ? strlen(point + 1) : 0;
    return digits <= 17 ? (int)digits : -1;
}

aid_column_kind aid_text_kind(const aid_text_cells *cells, int64_t rows, int *ret_decimals)
{
    bool whole = true, any = false;
    int decimals = -1;
    *ret_decimals = -1;
    for (int64_t row = 0; row < rows; row++) {
        const char *text = cells->cell(cells->context, row);
        int64_t integer;
        double number;
        if (!text || !*text)
            continue;
        if (!aid_text_number(text, &number) || is_code(text))
            return AID_COLUMN_TEXT;
        if (whole && !aid_text_integer(text, &integer))
            whole = false;
        if (isnan(number))
            continue;
        decimals = !any || decimals == decimals_of(text) ? decimals_of(text) : -2;
        any = true;
    }
    if (any && whole)
        return AID_COLUMN_INT64;
    *ret_decimals = AID_MAX(decimals, -1);
    return AID_COLUMN_DOUBLE;
}

static aid_status fill_cell(aid_table *table, int column, int64_t row, const char *text,
                            aid_error *err)
{
    aid_column *item = &table->items[column];
    bool empty = !text || !*text;
    switch (item->kind) {
    case AID_COLUMN_INT64:
        if (empty || !aid_text_integer(text, &item->values.integers[row]))
            item->values.integers[row] = AID_NULL_INT64;
        return AID_OK;
    case AID_COLUMN_DOUBLE:
        if (empty || !aid_text_number(text, &item->values.doubles[row]))
            item->values.doubles[row] = NAN;
        return AID_OK;
    case AID_COLUMN_TEXT:
        break;
    }
    return empty ? AID_OK : aid_table_set_text(table, column, row, text, err);
}

aid_status aid_text_fill(aid_table *table, int column, const aid_text_cells *cells, aid_error *err)
{
    for (int64_t row = 0; row < table->rows; row++)
        AID_TRY(fill_cell(table, column, row, cells->cell(cells->context, row), err));
    return AID_OK;
}
