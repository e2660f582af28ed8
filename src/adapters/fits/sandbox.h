/* What the decoder may do before it looks at a byte: compute, and get memory. */
#ifndef AID_ADAPTERS_FITS_SANDBOX_H
#define AID_ADAPTERS_FITS_SANDBOX_H

#include "core/base/status.h"

#include <stdint.h>

/* Limits of this process: CPU time, memory (the machine's, and `mapped_bytes` that are mapped
 * already), no core file, no new descriptors, written files up to the largest reply. Then a filter
 * of system calls that ends the process at any that decoding does not need: no opening, no sockets,
 * no programs, no threads, no reading of descriptors. There is no way back. */
AID_MUST_USE aid_status aid_fits_sandbox_enter(uint64_t mapped_bytes, aid_error *err);

#endif
