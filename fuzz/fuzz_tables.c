/* Text -> a table, as comma-separated values, as JSON and as a VOTable. What is accepted is within
 * limits and can be written again. */
#include "adapters/tables/table.h"
#include "fuzz/fuzz.h"

static void try_one(aid_status status, aid_table *table, const aid_error *err)
{
    if (status != AID_OK) {
        must(status == AID_ERR_INVALID || status == AID_ERR_NOMEM);
        must(err->message[0] && !strchr(err->message, '\n'));
        return;
    }
    must(table->columns <= AID_MAX_TABLE_COLUMNS && table->rows <= AID_MAX_TABLE_ROWS);
    size_t bytes = 0;
    for (int i = 0; i < table->columns; i++) {
        must(table->items[i].name[0] != '\0');
        bytes += strlen(table->items[i].name);
        for (int64_t row = 0; row < table->rows; row++) {
            double number = aid_table_number(table, i, row);
            if (table->items[i].kind == AID_COLUMN_TEXT && table->items[i].values.texts[row])
                bytes += strlen(table->items[i].values.texts[row]);
            bytes += number > 0.0;
        }
    }
    must(bytes < SIZE_MAX / 2);
    aid_table_done(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    aid_table table;
    aid_error err = {0};
    char *text = fuzz_text(data, size);
    try_one(aid_table_parse_json("fuzz.json", text, size, &table, &err), &table, &err);
    try_one(aid_table_parse_votable("fuzz.vot", text, size, NULL, &table, &err), &table, &err);
    try_one(aid_table_parse_csv("fuzz.csv", text, &table, &err), &table, &err);
    return 0;
}
