#define _GNU_SOURCE /* memfd_create */
#include "adapters/files/files.h"
#include "adapters/fits/child.h"
#include "adapters/fits/fits.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names in messages: long ones lose their beginning. */
enum { NAME_BYTES = 256 };

typedef struct input_file {
    char name[NAME_BYTES];
    int file, reply; /* descriptors, -1: none */
    struct stat before;
} input_file;

static void input_done(input_file *input)
{
    if (input->file >= 0)
        close(input->file);
    if (input->reply >= 0)
        close(input->reply);
}

static void shorten(const char *path, char *ret_name)
{
    size_t length = strlen(path);
    if (length < NAME_BYTES)
        memcpy(ret_name, path, length + 1);
    else
        snprintf(ret_name, NAME_BYTES, "...%s", path + length - (NAME_BYTES - 4));
}

/* ---------------------------------------------------------------------------------------- opening
 */

/* Moves a descriptor out of the way of those that the child gets. */
static int move_up(int descriptor)
{
    if (descriptor < 0 || descriptor >= AID_FITS_CHILD_DESCRIPTORS)
        return descriptor;
    int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, AID_FITS_CHILD_DESCRIPTORS);
    int failure = errno;
    close(descriptor);
    errno = failure;
    return moved;
}

static aid_status check_file(const input_file *input, aid_error *err)
{
    const struct stat *file = &input->before;
    if (S_ISDIR(file->st_mode))
        AID_FAIL(err, AID_ERR_INVALID, "%s: a folder, not a file", input->name);
    if (!S_ISREG(file->st_mode))
        AID_FAIL(err, AID_ERR_INVALID, "%s: not a regular file", input->name);
    if (file->st_size == 0)
        AID_FAIL(err, AID_ERR_INVALID, "%s: empty file", input->name);
    if (file->st_size > AID_MAX_FILE_BYTES)
        AID_FAIL(err, AID_ERR_INVALID, "%s: %lld bytes, and files go to %lld", input->name,
                 (long long)file->st_size, AID_MAX_FILE_BYTES);
    return AID_OK;
}

/* O_NONBLOCK: opening a pipe that nobody writes to must not wait for ever. */
static aid_status open_input(const char *path, input_file *input, aid_error *err)
{
    *input = (input_file){.file = -1, .reply = -1};
    shorten(path, input->name);
    input->file = move_up(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (input->file < 0)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot open: %s", input->name, strerror(errno));
    if (fstat(input->file, &input->before) != 0)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot read: %s", input->name, strerror(errno));
    AID_TRY(check_file(input, err));
    input->reply = move_up(memfd_create("fits", MFD_CLOEXEC));
    if (input->reply < 0)
        AID_FAIL(err, AID_ERR_IO, "%s: no memory file for the decoder: %s", input->name,
                 strerror(errno));
    return AID_OK;
}

/* -------------------------------------------------------------------------------------- decoding
 */

/* Hash and pixels must be of the same bytes. */
static aid_status check_unchanged(const input_file *input, aid_error *err)
{
    struct stat now;
    const struct stat *before = &input->before;
    if (fstat(input->file, &now) != 0)
        AID_FAIL(err, AID_ERR_IO, "%s: cannot read: %s", input->name, strerror(errno));
    if (now.st_size != before->st_size || now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != before->st_mtim.tv_nsec)
        AID_FAIL(err, AID_ERR_IO, "%s: changed while it was read", input->name);
    return AID_OK;
}

/* The child decodes while the file is hashed here. */
static aid_status decode(input_file *input, const aid_fits_request *request, char ret_sha256[65],
                         aid_error *err)
{
    pid_t child;
    AID_TRY(aid_fits_child_start(input->file, input->reply, request, input->name, &child, err));
    aid_error hash_error, child_error;
    aid_status hashed = aid_sha256_descriptor(input->file, input->name, ret_sha256, &hash_error);
    if (hashed != AID_OK)
        kill(child, SIGKILL);
    aid_status ended = aid_fits_child_wait(child, input->name, &child_error);
    AID_TRY(check_unchanged(input, err));
    aid_status status = hashed != AID_OK ? hashed : ended;
    if (status != AID_OK && err)
        *err = hashed != AID_OK ? hash_error : child_error;
    return status;
}

static aid_status read_file(const char *path, const aid_fits_request *request,
                            aid_fits_image *ret_image, aid_error *err)
{
    AID_CLEANUP(input_done)
    input_file input;
    aid_fits_image image;
    char sha256[65];
    aid_fits_parts parts = request->mask_alone     ? AID_FITS_PARTS_MASK
                           : request->header_alone ? AID_FITS_PARTS_HEADER
                           : request->keep_whole   ? AID_FITS_PARTS_WHOLE
                                                   : AID_FITS_PARTS_IMAGE;
    AID_TRY(open_input(path, &input, err));
    AID_TRY(decode(&input, request, sha256, err));
    AID_TRY(aid_fits_reply_take(input.reply, input.name, parts, &image, err));
    memcpy(image.sha256, sha256, sizeof image.sha256);
    *ret_image = image;
    return AID_OK;
}

aid_status aid_fits_read(const char *path, const aid_fits_read_options *options,
                         aid_fits_image *ret_image, aid_error *err)
{
    aid_fits_request request = {0};
    if (options) {
        request.hdu = options->hdu;
        request.skip_companions = options->skip_companions;
        request.header_alone = options->headers_only;
        request.keep_whole = options->keep_whole && options->skip_companions;
    }
    return read_file(path, &request, ret_image, err);
}

aid_status aid_fits_read_table(const char *path, const char *hdu, aid_notes *notes,
                               struct aid_table *ret_table, aid_error *err)
{
    AID_CLEANUP(input_done)
    input_file input;
    char sha256[65];
    aid_fits_request request = {.hdu = hdu, .table = true};
    AID_TRY(open_input(path, &input, err));
    AID_TRY(decode(&input, &request, sha256, err));
    return aid_fits_reply_take_table(input.reply, input.name, notes, ret_table, err);
}

aid_status aid_fits_read_mask(const char *path, int32_t width, int32_t height, aid_mask *ret_mask,
                              char ret_sha256[65], aid_error *err)
{
    aid_fits_request request = {.mask_alone = true};
    aid_fits_image image;
    AID_TRY(read_file(path, &request, &image, err));
    aid_mask mask = image.mask;
    if (mask.width != width || mask.height != height) {
        aid_fits_image_done(&image);
        AID_FAIL(err, AID_ERR_INVALID,
                 "%s: HDU %d: a mask of %d x %d pixels for an image of %d x %d", path, image.hdu,
                 mask.width, mask.height, width, height);
    }
    image.mask = (aid_mask){0};
    if (ret_sha256)
        memcpy(ret_sha256, image.sha256, 65);
    aid_fits_image_done(&image);
    *ret_mask = mask;
    return AID_OK;
}
