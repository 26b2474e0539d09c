/* index/mapping.h - where a file lies in this process's memory.
 *
 * LMDB does not tell where it maps its file; the kernel does (/proc/self/maps).  With that, a value
 * that LMDB points at can be held against the bytes that are really there. */
#pragma once

/* First byte of the mapping of the open file `fd` from its start on; NULL if it is not mapped or
 * the kernel does not say. */
const char *mapping_of_file(int fd);
