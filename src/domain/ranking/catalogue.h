/* A catalogue as filters and scores see it: named columns of numbers or texts, borrowed from
 * whoever has read them. */
#ifndef AID_DOMAIN_RANKING_CATALOGUE_H
#define AID_DOMAIN_RANKING_CATALOGUE_H

#include "core/base/status.h"

#include <stdint.h>

typedef struct aid_catalogue_column {
    const char *name, *unit; /* unit NULL: not known */
    /* exactly one of these, [rows] */
    const double *doubles;    /* NaN = null */
    const int64_t *integers;  /* INT64_MIN = null */
    const char *const *texts; /* NULL = null */
} aid_catalogue_column;

typedef struct aid_catalogue {
    const char *name; /* of the file, for messages */
    int64_t rows;
    int columns;
    const aid_catalogue_column *items;
} aid_catalogue;

/* The column of that name, else in other letters' cases, else under the name that SExtractor or
 * VizieR have for it (x as X_IMAGE, ra as RAJ2000, ...), or -1. */
int aid_catalogue_find(const aid_catalogue *catalogue, const char *name);
/* NaN where it is null, a text, or `column` is -1. */
double aid_catalogue_number(const aid_catalogue *catalogue, int column, int64_t row);
/* NULL where it is null or no text, or `column` is -1. */
const char *aid_catalogue_text(const aid_catalogue *catalogue, int column, int64_t row);
/* "id, x, y, ..."; cut at `size`. */
void aid_catalogue_names(const aid_catalogue *catalogue, char *ret_text, size_t size);

/* Which of two rows comes first where everything else is equal: by id, then position, then row. So
 * an order does not depend on that of the rows as long as those differ. */
typedef struct aid_catalogue_order {
    int id, x, y, ra, dec; /* columns, -1: none */
} aid_catalogue_order;
aid_catalogue_order aid_catalogue_order_of(const aid_catalogue *catalogue);
int aid_catalogue_compare(const aid_catalogue *catalogue, const aid_catalogue_order *order,
                          int64_t a, int64_t b);

/* Whether `name` is one of the words of `flags`, which are joined by |. */
int aid_flags_have(const char *flags, const char *name);

#endif
