#include "adapters/files/files.h"

#include "core/base/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

aid_status aid_write_file(const char *path, const void *bytes, size_t size, aid_error *err)
{
    aid_new_file *file;
    AID_TRY(aid_new_file_open(path, &file, err));
    if (size > 0)
        (void)fwrite(bytes, 1, size, aid_new_file_stream(file)); /* commit tells when it failed */
    return aid_new_file_commit(file, err);
}

/* Reads to the end, whatever size the file seems to have: pipes have none, and logs grow. */
static aid_status read_descriptor(int descriptor, const char *path, size_t max_bytes, char **text,
                                  size_t *size, aid_error *err)
{
    size_t capacity = 0;
    for (;;) {
        if (*size + 1 >= capacity) {
            capacity = capacity ? 2 * capacity : 65536;
            char *larger = realloc(*text, capacity);
            if (!larger)
                AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory for %zu bytes", path, capacity);
            *text = larger;
        }
        ssize_t n = read(descriptor, *text + *size, capacity - *size - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            AID_FAIL(err, AID_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
        *size += (size_t)n;
        (*text)[*size] = '\0';
        if (*size > max_bytes)
            AID_FAIL(err, AID_ERR_INVALID, "%s: longer than %zu bytes", path, max_bytes);
        if (n == 0)
            return AID_OK;
    }
}

aid_status aid_read_file(const char *path, size_t max_bytes, char **ret_text, size_t *ret_size,
                         aid_error *err)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    char *text = NULL;
    size_t size = 0;
    aid_status status = read_descriptor(descriptor, path, max_bytes, &text, &size, err);
    close(descriptor);
    if (status != AID_OK) {
        free(text);
        return status;
    }
    *ret_text = text;
    if (ret_size)
        *ret_size = size;
    return AID_OK;
}

static aid_status make_one_folder(const char *folder, const char *path, int *made, aid_error *err)
{
    if (mkdir(folder, 0777) == 0) {
        (*made)++;
        return AID_OK;
    }
    int failure = errno;
    struct stat existing;
    if (stat(folder, &existing) == 0) {
        if (S_ISDIR(existing.st_mode))
            return AID_OK;
        failure = ENOTDIR;
    }
    AID_FAIL(err, AID_ERR_IO, "%s: cannot create the folder: %s: %s", path, folder,
             strerror(failure));
}

aid_status aid_make_folder(const char *path, aid_error *err)
{
    int made;
    return aid_make_new_folder(path, &made, err);
}

/* The folder above, as a path that ends in no slash; empty where there is none. */
static void go_up(char *path)
{
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/')
        path[--length] = '\0';
    while (length > 0 && path[length - 1] != '/')
        path[--length] = '\0';
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
}

static void unmake(char *path, int made)
{
    for (; made > 0 && *path && rmdir(path) == 0; made--)
        go_up(path);
}

aid_status aid_make_new_folder(const char *path, int *ret_made, aid_error *err)
{
    int made = 0;
    if (!*path)
        AID_FAIL(err, AID_ERR_IO, "cannot create a folder without a name");
    AID_CLEANUP(aid_free_pointer)
    char *copy = strdup(path);
    if (!copy)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory", path);
    aid_status status = AID_OK;
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        status = make_one_folder(copy, path, &made, err);
        if (status != AID_OK)
            break;
        *slash = '/';
    }
    if (status == AID_OK)
        status = make_one_folder(copy, path, &made, err);
    if (status == AID_OK) {
        *ret_made = made;
    } else {
        go_up(copy); /* it is the one that could not be made */
        unmake(copy, made);
    }
    return status;
}

void aid_unmake_folder(const char *path, int made)
{
    AID_CLEANUP(aid_free_pointer)
    char *copy = made > 0 ? strdup(path) : NULL;
    if (copy)
        unmake(copy, made);
}

enum { SHA256_BYTES = 32 };

static void write_hex(const unsigned char digest[SHA256_BYTES], char ret_hex[65])
{
    for (size_t i = 0; i < SHA256_BYTES; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
}

void aid_sha256(const void *bytes, size_t size, char ret_hex[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    int done = EVP_Digest(bytes, size, digest, &length, EVP_sha256(), NULL);
    assert(done == 1 && length == SHA256_BYTES);
    write_hex(digest, ret_hex);
}

static void free_digest(EVP_MD_CTX **digest)
{
    EVP_MD_CTX_free(*digest);
}

aid_status aid_sha256_descriptor(int descriptor, const char *path, char ret_hex[65], aid_error *err)
{
    const size_t step = 1 << 18; /* stays in a core's cache */
    unsigned char digest[EVP_MAX_MD_SIZE];
    AID_CLEANUP(aid_free_pointer)
    unsigned char *bytes = malloc(step);
    AID_CLEANUP(free_digest)
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!bytes || !context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: out of memory", path);
    for (off_t at = 0;;) {
        ssize_t n = pread(descriptor, bytes, step, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            AID_FAIL(err, AID_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
        if (n == 0)
            break;
        (void)EVP_DigestUpdate(context, bytes, (size_t)n); /* the last step tells when it failed */
        at += n;
    }
    if (EVP_DigestFinal_ex(context, digest, NULL) != 1)
        AID_FAIL(err, AID_ERR_NOMEM, "%s: cannot be hashed", path);
    write_hex(digest, ret_hex);
    return AID_OK;
}
