#include "apps/common/table_file.h"

#include "adapters/fits/fits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef enum table_form { FORM_NONE, FORM_FITS, FORM_VOTABLE, FORM_JSON, FORM_CSV } table_form;

static table_form form_of_name(const char *path)
{
    static const struct {
        const char *ending;
        table_form form;
    } endings[] = {{".fits", FORM_FITS},   {".fit", FORM_FITS},  {".vot", FORM_VOTABLE},
                   {".xml", FORM_VOTABLE}, {".json", FORM_JSON}, {".csv", FORM_CSV}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < AID_COUNT_OF(endings); i++)
        if (!strcasecmp(dot, endings[i].ending))
            return endings[i].form;
    return FORM_NONE;
}

/* By the first bytes that are no blanks: a gzip can only be FITS here. */
static table_form form_of_bytes(const char *bytes, size_t size)
{
    if (size >= 6 && !memcmp(bytes, "SIMPLE", 6))
        return FORM_FITS;
    if (size >= 2 && !memcmp(bytes, "\x1f\x8b", 2))
        return FORM_FITS;
    size_t at = size >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (at < size && memchr(" \t\r\n", bytes[at], 4))
        at++;
    if (at < size && bytes[at] == '<')
        return FORM_VOTABLE;
    if (at < size && (bytes[at] == '{' || bytes[at] == '['))
        return FORM_JSON;
    return FORM_CSV;
}

static aid_status find_form(const char *path, table_form *ret_form, aid_error *err)
{
    char bytes[256];
    struct stat kind;
    /* What can be read once only cannot be looked at first. */
    if (stat(path, &kind) == 0 && !S_ISREG(kind.st_mode))
        AID_FAIL(err, AID_ERR_INVALID, "%s: %s", path,
                 S_ISDIR(kind.st_mode) ? "a folder, not a file" : "not a regular file");
    FILE *file = fopen(path, "rb");
    if (!file)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    size_t size = fread(bytes, 1, sizeof bytes, file);
    bool failed = ferror(file) != 0;
    int failure = errno;
    fclose(file);
    if (failed)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot read: %s", path, strerror(failure));
    if (size == 0)
        AID_FAIL(err, AID_ERR_INVALID, "%s: empty file", path);
    *ret_form = form_of_bytes(bytes, size);
    return AID_OK;
}

aid_status aid_table_read(const char *path, const aid_table_read_options *options,
                          aid_table *ret_table, aid_error *err)
{
    const aid_table_read_options defaults = {0};
    table_form form;
    if (!options)
        options = &defaults;
    AID_TRY(find_form(path, &form, err));
    switch (form) {
    case FORM_FITS:
        return aid_fits_read_table(path, options->hdu, options->notes, ret_table, err);
    case FORM_VOTABLE:
        return aid_table_read_votable(path, options->notes, ret_table, err);
    case FORM_JSON:
        return aid_table_read_json(path, ret_table, err);
    case FORM_CSV:
    case FORM_NONE:
        break;
    }
    return aid_table_read_csv(path, ret_table, err);
}

aid_status aid_table_check_path(const char *path, aid_error *err)
{
    if (form_of_name(path) == FORM_NONE)
        AID_FAIL(err, AID_ERR_USAGE, "%s: the name of a table ends with .fits, .vot, .json or .csv",
                 path);
    return AID_OK;
}

static aid_status write_fits(const aid_table *table, const char *path, const aid_header *cards,
                             aid_error *err)
{
    aid_fits_writer *writer;
    AID_TRY(aid_fits_create(path, &writer, err));
    aid_status status = cards ? aid_fits_put_header(writer, cards, err) : AID_OK;
    if (status == AID_OK)
        status = aid_fits_put_table(writer, table->name, table, NULL, err);
    if (status == AID_OK)
        return aid_fits_commit(writer, err);
    aid_fits_abandon(writer);
    return status;
}

aid_status aid_table_write(const aid_table *table, const char *path, const aid_header *cards,
                           aid_error *err)
{
    AID_TRY(aid_table_check_path(path, err));
    switch (form_of_name(path)) {
    case FORM_FITS:
        return write_fits(table, path, cards, err);
    case FORM_VOTABLE:
        return aid_table_write_votable(table, path, err);
    case FORM_JSON:
        return aid_table_write_json(table, path, err);
    case FORM_CSV:
    case FORM_NONE:
        break;
    }
    return aid_table_write_csv(table, path, err);
}

aid_status aid_table_need(const aid_table *table, const char *path, const char *name,
                          int *ret_column, aid_error *err)
{
    int column = aid_table_find(table, name);
    if (column < 0) {
        char names[512];
        aid_table_names(table, names, sizeof names);
        AID_FAIL(err, AID_ERR_INVALID, "%s: no column `%s`; it has %s", path, name, names);
    }
    *ret_column = column;
    return AID_OK;
}
