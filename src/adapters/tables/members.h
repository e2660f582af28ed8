/* Tables of structs: each column is a member, described in one row. */
#ifndef AID_ADAPTERS_TABLES_MEMBERS_H
#define AID_ADAPTERS_TABLES_MEMBERS_H

#include "adapters/tables/table.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum aid_member_kind {
    AID_MEMBER_DOUBLE,
    AID_MEMBER_INT64,
    AID_MEMBER_INT,
    AID_MEMBER_BOOL, /* 1 and 0 */
    AID_MEMBER_TEXT  /* by `text` */
} aid_member_kind;

enum { AID_MEMBER_TEXT_SIZE = 512 };
typedef struct aid_member {
    const char *name, *unit, *ucd, *description; /* static */
    aid_member_kind kind;
    size_t offset;
    bool (*there)(const void *item); /* of doubles: null where false; NULL: always there */
    void (*text)(const void *item, char ret_text[AID_MEMBER_TEXT_SIZE]); /* of texts */
    int decimals;
} aid_member;

/* The unit that stands for that of the image's pixels, which the caller knows. */
extern const char aid_member_flux[];

typedef struct aid_member_table {
    const char *name, *description;
    const aid_member *members;
    int count;
    const char *flux_unit; /* for aid_member_flux; NULL: none */
} aid_member_table;

/* `rows` structs of `item_size` bytes. */
AID_MUST_USE aid_status aid_table_of_members(const aid_member_table *layout, const void *items,
                                             size_t item_size, int64_t rows, aid_table *ret_table,
                                             aid_error *err);

#endif
