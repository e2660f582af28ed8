/* Text -> a configuration file, and the same text -> a table of comma-separated values. */
#include "apps/common/config_file.h"
#include "adapters/tables/csv_cells.h"

#include <stdlib.h>
#include <string.h>

static char *text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void try_csv(char *take_text)
{
    aid_csv csv;
    aid_error err;
    if (aid_csv_parse("fuzz.csv", take_text, &csv, &err) != AID_OK)
        return;
    size_t bytes = 0;
    for (int row = -1; row < csv.rows; row++)
        for (int column = 0; column < csv.columns; column++)
            bytes += strlen(aid_csv_cell(&csv, row, column));
    must(bytes < SIZE_MAX / 2 && csv.columns >= 1);
    aid_csv_done(&csv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    aid_config config;
    aid_error err;
    if (aid_config_parse("fuzz.conf", text_of(data, size), &config, &err) == AID_OK) {
        must(config.count <= aid_setting_count);
        aid_config_done(&config);
    } else {
        must(err.status == AID_ERR_USAGE && !strchr(err.message, '\n'));
    }
    try_csv(text_of(data, size));
    return 0;
}
