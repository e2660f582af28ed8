/* The parent's side of a table: every column described and measured before anything is made of it.
 */
#include "adapters/fits/reply.h"
#include "adapters/tables/table.h"
#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct table_reading {
    int descriptor;
    const char *name;
    aid_fits_reply reply;
    aid_fits_reply_column *columns;
} table_reading;

static aid_status check_column(const table_reading *reading, const aid_fits_reply_column *column,
                               aid_error *err)
{
    bool texts = aid_fits_reply_is_text(column->name, sizeof column->name) && column->name[0] &&
                 aid_fits_reply_is_text(column->unit, sizeof column->unit) &&
                 aid_fits_reply_is_text(column->ucd, sizeof column->ucd) &&
                 aid_fits_reply_is_text(column->description, sizeof column->description);
    if (!texts)
        return aid_fits_reply_refuse(reading->name, "the name of a column", err);
    bool number = column->kind == AID_COLUMN_INT64 || column->kind == AID_COLUMN_DOUBLE;
    bool width = number ? column->width == 8
                        : column->kind == AID_COLUMN_TEXT && column->width >= 1 &&
                              column->width <= AID_MAX_TABLE_CELL;
    if (!width || column->decimals < -1 || column->decimals > 17)
        return aid_fits_reply_refuse(reading->name, "the form of a column", err);
    return AID_OK;
}

static aid_status check_extent(const table_reading *reading, uint64_t size, aid_error *err)
{
    const aid_fits_reply *reply = &reading->reply;
    uint64_t row_bytes = 0;
    for (int i = 0; i < reply->columns; i++) {
        AID_TRY(check_column(reading, &reading->columns[i], err));
        row_bytes += reading->columns[i].width;
    }
    uint64_t total = sizeof *reply + (uint64_t)reply->columns * sizeof *reading->columns +
                     row_bytes * (uint64_t)reply->rows;
    return total == size ? AID_OK : aid_fits_reply_refuse(reading->name, "its size", err);
}

static aid_status read_columns(table_reading *reading, uint64_t size, aid_error *err)
{
    const aid_fits_reply *reply = &reading->reply;
    if (reply->columns < 1 || reply->columns > AID_MAX_TABLE_COLUMNS || reply->rows < 0 ||
        reply->rows > AID_MAX_TABLE_ROWS || reply->has_image || reply->has_variance ||
        reply->has_mask || reply->card_count || reply->cards_size || reply->width || reply->height)
        return aid_fits_reply_refuse(reading->name, "its shape", err);
    if (!aid_fits_reply_is_text(reply->hdu_name, sizeof reply->hdu_name) ||
        !aid_fits_reply_is_text(reply->message, sizeof reply->message))
        return aid_fits_reply_refuse(reading->name, "its name", err);
    size_t count = (size_t)reply->columns;
    AID_TRY(aid_new_array(count, sizeof *reading->columns, reading->name, &reading->columns, err));
    AID_TRY(aid_fits_reply_read(reading->descriptor, reading->name, sizeof *reply, reading->columns,
                                count * sizeof *reading->columns, err));
    return check_extent(reading, size, err);
}

/* ------------------------------------------------------------------------------------------ cells
 */

/* Blanks and what follows a NUL mean nothing; what cannot be printed must not travel on. */
static void clean_text(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == ' ')
        text[--length] = '\0';
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            *text = '?';
}

enum { STEP_BYTES = 1 << 20 }; /* of texts that are read at once */

static aid_status take_texts(const table_reading *reading, int index, uint64_t at, aid_table *table,
                             aid_error *err)
{
    size_t width = (size_t)reading->columns[index].width;
    int64_t step = AID_MAX((int64_t)(STEP_BYTES / width), 1);
    AID_CLEANUP(aid_free_pointer)
    char *bytes = NULL;
    AID_CLEANUP(aid_free_pointer)
    char *text = NULL;
    AID_TRY(aid_new_buffer((size_t)step, width, reading->name, &bytes, err));
    AID_TRY(aid_new_buffer(width + 1, 1, reading->name, &text, err));
    for (int64_t row = 0; row < table->rows; row++) {
        if (row % step == 0)
            AID_TRY(aid_fits_reply_read(reading->descriptor, reading->name,
                                        at + (uint64_t)row * width, bytes,
                                        (size_t)AID_MIN(step, table->rows - row) * width, err));
        memcpy(text, bytes + (size_t)(row % step) * width, width);
        text[width] = '\0';
        clean_text(text);
        if (*text)
            AID_TRY(aid_table_set_text(table, index, row, text, err));
    }
    return AID_OK;
}

static aid_status take_columns(const table_reading *reading, aid_table *table, aid_error *err)
{
    uint64_t at =
        sizeof reading->reply + (uint64_t)reading->reply.columns * sizeof *reading->columns;
    AID_TRY(aid_table_own_names(table, err));
    for (int i = 0; i < table->columns; i++) {
        uint64_t size = (uint64_t)table->rows * reading->columns[i].width;
        if (table->items[i].kind == AID_COLUMN_TEXT)
            AID_TRY(take_texts(reading, i, at, table, err));
        else
            AID_TRY(aid_fits_reply_read(reading->descriptor, reading->name, at,
                                        table->items[i].values.integers, (size_t)size, err));
        at += size;
    }
    return AID_OK;
}

static aid_status make_table(const table_reading *reading, aid_table *ret_table, aid_error *err)
{
    AID_CLEANUP(aid_free_pointer)
    aid_column *columns = NULL;
    const aid_fits_reply *reply = &reading->reply;
    AID_TRY(aid_new_array((size_t)reply->columns, sizeof *columns, reading->name, &columns, err));
    for (int i = 0; i < reply->columns; i++) {
        const aid_fits_reply_column *from = &reading->columns[i];
        columns[i] = (aid_column){.name = from->name,
                                  .unit = from->unit[0] ? from->unit : NULL,
                                  .ucd = from->ucd[0] ? from->ucd : NULL,
                                  .description = from->description[0] ? from->description : NULL,
                                  .kind = (aid_column_kind)from->kind,
                                  .decimals = from->decimals};
    }
    aid_table table;
    AID_TRY(aid_table_init(reply->hdu_name[0] ? reply->hdu_name : NULL, NULL, columns,
                           reply->columns, reply->rows, &table, err));
    aid_status status = take_columns(reading, &table, err);
    if (status == AID_OK)
        *ret_table = table;
    else
        aid_table_done(&table);
    return status;
}

aid_status aid_fits_reply_take_table(int descriptor, const char *name, aid_notes *notes,
                                     struct aid_table *ret_table, aid_error *err)
{
    table_reading reading = {.descriptor = descriptor, .name = name};
    uint64_t size;
    AID_TRY(aid_fits_reply_header(descriptor, name, &reading.reply, &size, err));
    aid_status status = read_columns(&reading, size, err);
    if (status == AID_OK)
        status = make_table(&reading, ret_table, err);
    free(reading.columns);
    if (status == AID_OK && reading.reply.message[0])
        aid_note_add(notes, "table", "%s: columns left out: %s", name, reading.reply.message);
    return status;
}
