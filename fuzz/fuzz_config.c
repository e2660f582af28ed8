/* Text -> a configuration file. */
#include "apps/common/config_file.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    aid_config config;
    aid_error err;
    if (aid_config_parse("fuzz.conf", fuzz_text(data, size), &config, &err) == AID_OK) {
        must(config.count <= aid_setting_count);
        aid_config_done(&config);
    } else {
        must(err.status == AID_ERR_USAGE && !strchr(err.message, '\n'));
    }
    return 0;
}
