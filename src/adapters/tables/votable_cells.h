/* The cells of a VOTable, by the datatype that their FIELD declares: from the text of a TD, or from
 * the bytes of a BINARY or BINARY2 stream. */
#ifndef AID_ADAPTERS_TABLES_VOTABLE_CELLS_H
#define AID_ADAPTERS_TABLES_VOTABLE_CELLS_H

#include "adapters/tables/table.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum aid_votable_type {
    AID_VOTABLE_BOOLEAN,
    AID_VOTABLE_BIT,
    AID_VOTABLE_UNSIGNED_BYTE,
    AID_VOTABLE_SHORT,
    AID_VOTABLE_INT,
    AID_VOTABLE_LONG,
    AID_VOTABLE_CHAR,
    AID_VOTABLE_UNICODE,
    AID_VOTABLE_FLOAT,
    AID_VOTABLE_DOUBLE,
    AID_VOTABLE_FLOAT_COMPLEX,
    AID_VOTABLE_DOUBLE_COMPLEX
} aid_votable_type;

typedef struct aid_votable_field {
    aid_votable_type type;
    bool variable;    /* arraysize with a *: the number of elements stands before them */
    bool matrix;      /* arraysize of more than one dimension */
    int64_t elements; /* where it is not variable */
    bool has_null;    /* of whole numbers: VALUES null */
    int64_t null;
    int column; /* of the table; -1: left out */
} aid_votable_field;

/* From the attributes datatype and arraysize (NULL: one). false: no such type, or too large. */
bool aid_votable_field_init(const char *datatype, const char *arraysize,
                            aid_votable_field *ret_field);
/* Whether a column of the table can hold it, and which. */
bool aid_votable_field_kind(const aid_votable_field *field, aid_column_kind *ret_kind);

/* One cell from text. Fails with AID_ERR_INVALID where it is not of the field's type: the message
 * is without file and line. */
AID_MUST_USE aid_status aid_votable_cell(aid_table *table, const aid_votable_field *field,
                                         int64_t row, const char *text, aid_error *err);

/* One row from the bytes at *at, which moves behind it: flags of nulls first where `has_flags`. */
AID_MUST_USE aid_status aid_votable_row(aid_table *table, const aid_votable_field *fields,
                                        int count, bool has_flags, int64_t row,
                                        const unsigned char **at, const unsigned char *end,
                                        aid_error *err);

#endif
