#include "apps/cli/catalogue_table.h"

#include "apps/common/provenance.h"
#include "apps/common/table_file.h"

#include "core/base/memory.h"

#include <stdlib.h>

aid_status catalogue_of_table(const aid_table *table, const char *name,
                              aid_catalogue *ret_catalogue, aid_error *err)
{
    aid_catalogue_column *columns;
    AID_TRY(aid_new_array((size_t)table->columns, sizeof *columns, name, &columns, err));
    for (int i = 0; i < table->columns; i++) {
        const aid_column *column = &table->items[i];
        columns[i] = (aid_catalogue_column){.name = column->name, .unit = column->unit};
        if (column->kind == AID_COLUMN_DOUBLE)
            columns[i].doubles = column->values.doubles;
        else if (column->kind == AID_COLUMN_INT64)
            columns[i].integers = column->values.integers;
        else
            columns[i].texts = (const char *const *)column->values.texts;
    }
    *ret_catalogue = (aid_catalogue){
        .name = name, .rows = table->rows, .columns = table->columns, .items = columns};
    return AID_OK;
}

void catalogue_done(aid_catalogue *catalogue)
{
    free((void *)catalogue->items);
    *catalogue = (aid_catalogue){0};
}

void print_notes(const aid_notes *notes)
{
    for (int i = 0; i < notes->count; i++)
        fprintf(stderr, "note: %s\n", notes->items[i].text);
}

aid_status catalogue_write(const aid_invocation *invocation, const aid_table *table,
                           const char *path, aid_error *err)
{
    AID_CLEANUP(aid_header_done)
    aid_header cards = {0};
    AID_TRY(aid_provenance_cards(invocation, &cards, err));
    AID_TRY(aid_header_put_text(&cards, "CATFILE", invocation->arguments[0],
                                "catalogue that these rows are from", err));
    return aid_table_write(table, path, &cards, err);
}
