#include "adapters/tables/whole_file.h"

#include "adapters/files/files.h"

aid_status aid_table_write_whole(const aid_table *table, const char *path,
                                 void (*write)(const aid_table *table, FILE *stream),
                                 aid_error *err)
{
    aid_new_file *file;
    AID_TRY(aid_new_file_open(path, &file, err));
    write(table, aid_new_file_stream(file));
    return aid_new_file_commit(file, err);
}
