/* Text -> a configuration file. */
#include "apps/common/config_file.h"

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
    return 0;
}
