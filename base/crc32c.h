/* base/crc32c.h - CRC-32C (Castagnoli), as in iSCSI and in Loki's chunks.  Uses SSE 4.2 if there.
 */
#pragma once
#include "base/str.h"

/* CRC of `s` continued from `crc`; start with 0. */
uint32_t crc32c(uint32_t crc, str s);
