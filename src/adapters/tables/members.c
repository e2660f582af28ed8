#include "adapters/tables/members.h"

#include "core/base/memory.h"

#include <math.h>

const char aid_member_flux[] = "flux";

static aid_column describe(const aid_member_table *layout, const aid_member *member)
{
    static const aid_column_kind kinds[] = {[AID_MEMBER_DOUBLE] = AID_COLUMN_DOUBLE,
                                            [AID_MEMBER_INT64] = AID_COLUMN_INT64,
                                            [AID_MEMBER_INT] = AID_COLUMN_INT64,
                                            [AID_MEMBER_BOOL] = AID_COLUMN_INT64,
                                            [AID_MEMBER_TEXT] = AID_COLUMN_TEXT};
    return (aid_column){.name = member->name,
                        .unit = member->unit == aid_member_flux ? layout->flux_unit : member->unit,
                        .ucd = member->ucd,
                        .description = member->description,
                        .kind = kinds[member->kind],
                        .decimals = member->decimals};
}

static aid_status fill_cell(aid_table *table, int column, int64_t row, const aid_member *member,
                            const char *item, aid_error *err)
{
    const void *value = item + member->offset;
    aid_column *to = &table->items[column];
    char text[AID_MEMBER_TEXT_SIZE] = "";
    switch (member->kind) {
    case AID_MEMBER_DOUBLE:
        to->values.doubles[row] =
            member->there && !member->there(item) ? (double)NAN : *(const double *)value;
        return AID_OK;
    case AID_MEMBER_INT64:
        to->values.integers[row] = *(const int64_t *)value;
        return AID_OK;
    case AID_MEMBER_INT:
        to->values.integers[row] = *(const int *)value;
        return AID_OK;
    case AID_MEMBER_BOOL:
        to->values.integers[row] = *(const bool *)value ? 1 : 0;
        return AID_OK;
    case AID_MEMBER_TEXT:
        break;
    }
    member->text(item, text);
    return aid_table_set_text(table, column, row, text, err);
}

static aid_status fill(aid_table *table, const aid_member *members, const char *items,
                       size_t item_size, aid_error *err)
{
    for (int64_t row = 0; row < table->rows; row++)
        for (int column = 0; column < table->columns; column++)
            AID_TRY(fill_cell(table, column, row, &members[column], items + (size_t)row * item_size,
                              err));
    return AID_OK;
}

aid_status aid_table_of_members(const aid_member_table *layout, const void *items, size_t item_size,
                                int64_t rows, aid_table *ret_table, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_column *columns = NULL;
    AID_TRY(aid_new_array((size_t)layout->count, sizeof *columns, layout->name, &columns, err));
    for (int i = 0; i < layout->count; i++)
        columns[i] = describe(layout, &layout->members[i]);
    aid_table table;
    AID_TRY(aid_table_init(layout->name, layout->description, columns, layout->count, rows, &table,
                           err));
    aid_status status = fill(&table, layout->members, items, item_size, err);
    if (status == AID_OK)
        *ret_table = table;
    else
        aid_table_done(&table);
    return status;
}
