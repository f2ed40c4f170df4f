/* Fragments of one message that follow one another: their heads, made and compared. See ipcpy/protocol/data/heads.py. */

#ifndef IPCPY_FRAGMENTS_H
#define IPCPY_FRAGMENTS_H

#include "fast.h"

#include <sys/socket.h>

#define COMMON_SIZE 36        /* of a head: what all whole-sized fragments of a message share */
#define FRAGMENT_OVERHEAD 44  /* as in ipcpy/protocol/wire.py, like those that follow */
#define CHECKED_FRAGMENT 9000
#define FLAG_UNCHECKED 4
#define FRAGMENT_WORD 0x02010000u
#define MAX_PAYLOAD 65507     /* as in ipcpy/transport/kernel.py, like the next */
#define MAX_MERGED 64

/* What the heads of one message's fragments have in common. */
typedef struct {
    uint8_t common[COMMON_SIZE]; /* of a whole-sized fragment */
    uint32_t begun;              /* its CRC-32 */
    uint32_t total, size;        /* bytes of the message, and of a fragment but the last */
    int covers;                  /* whether checks cover the data, where these are not too long */
} Message;

/* Read what is in common, 36 bytes; 0 where no message has such fragments. */
int read_common(const uint8_t *common, Message *message);

/* How many fragments a message has. */
static inline uint32_t
fragments_of(const Message *message)
{
    return (uint32_t)(((uint64_t)message->total + message->size - 1) / message->size);
}

/* Bytes of data in a fragment, whose number is one of the message's. */
static inline uint32_t
data_in(const Message *message, uint32_t number)
{
    uint64_t rest = message->total - (uint64_t)number * message->size;
    return rest < message->size ? (uint32_t)rest : message->size;
}

/* How many fragments one system call takes. */
static inline uint32_t
fragments_per_call(const Message *message)
{
    uint32_t fitting = MAX_PAYLOAD / (FRAGMENT_OVERHEAD + message->size);
    return fitting < 1 ? 1 : fitting < MAX_MERGED ? fitting : MAX_MERGED;
}

/* Whether fragments from a number on have exactly so many bytes of data; how many these are. */
int count_fragments(const Message *message, unsigned long number, Py_ssize_t size, uint32_t *count);

/* Have the kernel cut a buffer into datagrams of a size (udp(7)), by an option that takes SEGMENT_ROOM bytes. */
#define SEGMENT_ROOM CMSG_SPACE(sizeof(uint16_t))
void segment(struct msghdr *header, char *control, uint32_t size);

/* Make the head of a fragment; ``data`` are those of it. Twin: pack_fragment in heads.py. */
void make_head(const Message *message, uint32_t number, const uint8_t *data, uint8_t *head);

/* Whether a head is exactly that. */
int is_head(const Message *message, uint32_t number, const uint8_t *data, const uint8_t *head);

#endif
