/* Of frames, as in ipcpy/protocol/wire.py and docs/protocol.md. */

#ifndef IPCPY_WIRE_H
#define IPCPY_WIRE_H

#define HEADER_SIZE 32
#define CHECK_SIZE 4
#define OVERHEAD (HEADER_SIZE + CHECK_SIZE)
#define DATA_WORD 0x01010000u /* version 1, kind DATA; the lower half is the length */
#define BATCH_WORD 0x03010000u
#define PLACED_WORD 0x0B010000u
#define KIND_MASK 0xFFFF0000u
#define UNCHECKED 0x400u        /* in the word of the codec: there is no check */
#define CRC_RESIDUE 0x2144DF1Cu /* the CRC-32 of what ends in its own */

#endif
