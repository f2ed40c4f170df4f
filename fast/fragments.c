/* Runs of fragments: sent with their heads and checks, and compared with those that they have to have.
 *
 * Knows one message's fragments that follow one another and lie end to end; nothing of which are wanted or missing. The
 * GIL is released while they are sent, with the checks of all; to compare what one call received takes a few
 * microseconds, and to have the GIL again may take milliseconds, so it is kept for that.
 */

#include "fragments.h"
#include "sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/uio.h>

#define UDP_SEGMENT 103 /* udp(7), Linux */
#define SIZE_AT 6       /* in a head: where its fields stand */
#define FLAGS_AT 5
#define TOTAL_AT 32
#define OFFSET_AT 36
#define CHECK_AT 40

/* -- heads ---------------------------------------------------------------------------------------------------------- */

int
read_common(const uint8_t *common, Message *message)
{
    uint16_t size;

    memcpy(message->common, common, COMMON_SIZE);
    memcpy(&size, common + SIZE_AT, sizeof size);
    message->size = size;
    message->total = get32(common + TOTAL_AT);
    message->covers = !(common[FLAGS_AT] & FLAG_UNCHECKED);
    if (message->size == 0 || message->total == 0)
        return 0;
    put32(message->common, FRAGMENT_WORD | ((FRAGMENT_OVERHEAD + message->size) & UINT16_MAX)); /* none is longer */
    message->begun = crc32_of(0, message->common, COMMON_SIZE);
    return 1;
}

void
make_head(const Message *message, uint32_t number, const uint8_t *data, uint8_t *head)
{
    uint32_t size = data_in(message, number), sum = message->begun;

    memcpy(head, message->common, COMMON_SIZE);
    if (size != message->size) {
        put32(head, FRAGMENT_WORD | (FRAGMENT_OVERHEAD + size));
        sum = crc32_of(0, head, COMMON_SIZE);
    }
    put32(head + OFFSET_AT, number * message->size);
    sum = crc32_of(sum, head + OFFSET_AT, 4);
    if (message->covers && size <= CHECKED_FRAGMENT)
        sum = crc32_of(sum, data, size);
    put32(head + CHECK_AT, sum);
}

int
is_head(const Message *message, uint32_t number, const uint8_t *data, const uint8_t *head)
{
    uint8_t wanted[FRAGMENT_OVERHEAD];

    make_head(message, number, data, wanted);
    return memcmp(wanted, head, FRAGMENT_OVERHEAD) == 0;
}

/* -- sending -------------------------------------------------------------------------------------------------------- */

/* A run that is being sent. */
typedef struct {
    Message message;
    int fd;
    uint32_t next, stop;   /* fragments */
    const uint8_t *data;   /* of the next */
} Sending;

void
segment(struct msghdr *header, char *control, uint32_t size)
{
    uint16_t each = (uint16_t)size;
    struct cmsghdr *option;

    memset(control, 0, SEGMENT_ROOM);
    header->msg_control = control;
    header->msg_controllen = SEGMENT_ROOM;
    option = CMSG_FIRSTHDR(header);
    option->cmsg_level = IPPROTO_UDP;
    option->cmsg_type = UDP_SEGMENT;
    option->cmsg_len = CMSG_LEN(sizeof each);
    memcpy(CMSG_DATA(option), &each, sizeof each);
}

/* Send as many fragments as one call takes; 0, or the errno. Needs no GIL. */
static int
send_once(Sending *sending)
{
    const Message *message = &sending->message;
    uint32_t left = sending->stop - sending->next, limit = fragments_per_call(message);
    uint32_t count = left < limit ? left : limit;
    uint8_t heads[MAX_MERGED * FRAGMENT_OVERHEAD];
    struct iovec parts[2 * MAX_MERGED];
    union {
        char bytes[SEGMENT_ROOM];
        struct cmsghdr aligned;
    } control;
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2 * count};
    const uint8_t *data = sending->data;

    for (uint32_t n = 0; n < count; n++) {
        uint8_t *head = heads + n * FRAGMENT_OVERHEAD;
        uint32_t size = data_in(message, sending->next + n);
        make_head(message, sending->next + n, data, head);
        parts[2 * n] = (struct iovec){head, FRAGMENT_OVERHEAD};
        parts[2 * n + 1] = (struct iovec){(void *)(uintptr_t)data, size};
        data += size;
    }
    if (count > 1)
        segment(&header, control.bytes, FRAGMENT_OVERHEAD + message->size);
    if (sendmsg(sending->fd, &header, 0) < 0)
        return errno;
    sending->next += count;
    sending->data = data;
    return 0;
}

int
count_fragments(const Message *message, unsigned long number, Py_ssize_t size, uint32_t *count)
{
    uint64_t begin = (uint64_t)number * message->size, end = begin + (uint64_t)size;

    if (size <= 0 || number >= fragments_of(message) || end > message->total ||
        (end % message->size != 0 && end != message->total))
        return 0;
    *count = (uint32_t)(((uint64_t)size + message->size - 1) / message->size);
    return 1;
}

/* send_run(fd, common, number, data) -> whether they were sent: not while no number of our own for the socket is left.
 * Where the call is interrupted, signal handlers run, and it goes on.
 */
static PyObject *
send_run(PyObject *module, PyObject *args)
{
    Sending sending;
    Py_buffer common, data;
    unsigned long number;
    uint32_t count;
    int error = 0, own = -1;

    if (!PyArg_ParseTuple(args, "iy*ky*", &sending.fd, &common, &number, &data))
        return NULL;
    if (common.len != COMMON_SIZE || !read_common(common.buf, &sending.message) ||
        !count_fragments(&sending.message, number, data.len, &count)) {
        PyErr_SetString(PyExc_ValueError, "no fragments of this message");
        goto end;
    }
    sending.next = (uint32_t)number;
    sending.stop = (uint32_t)number + count;
    sending.data = data.buf;
    own = own_number(sending.fd);
    if (own < 0)
        goto end;
    sending.fd = own;
    while (sending.next < sending.stop) {
        Py_BEGIN_ALLOW_THREADS
        do
            error = send_once(&sending);
        while (error == 0 && sending.next < sending.stop);
        Py_END_ALLOW_THREADS
        if (error == 0 || (error == EINTR && PyErr_CheckSignals() == 0))
            continue;
        errno = error;
        if (error != EINTR)
            PyErr_SetFromErrno(PyExc_OSError);
        break;
    }
    give_back_number(own);
end:
    PyBuffer_Release(&common);
    PyBuffer_Release(&data);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(own >= 0);
}

/* -- comparing ------------------------------------------------------------------------------------------------------ */

/* Whether bytes are whole fragments of one message, one after the other. Needs no GIL. Twin: read_run in heads.py. */
static int
is_run(const uint8_t *data, size_t size, int unchecked)
{
    Message message;
    uint64_t offset, last;
    uint32_t length, number, count;
    uint8_t flags;

    if (size <= FRAGMENT_OVERHEAD || !read_common(data, &message))
        return 0;
    length = get32(data) & 0xFFFF;
    flags = data[FLAGS_AT];
    offset = get32(data + OFFSET_AT);
    if (offset % message.size || !(flags == 0 || (unchecked && flags == FLAG_UNCHECKED)) ||
        length <= FRAGMENT_OVERHEAD)
        return 0;
    count = (uint32_t)((size + length - 1) / length);
    number = (uint32_t)(offset / message.size);
    last = offset + (uint64_t)(count - 1) * message.size;
    if ((count > 1 && length != FRAGMENT_OVERHEAD + message.size) || last >= message.total ||
        size - (size_t)(count - 1) * length != FRAGMENT_OVERHEAD + data_in(&message, number + count - 1))
        return 0;
    for (uint32_t n = 0; n < count; n++) {
        const uint8_t *head = data + (size_t)n * length;
        if (!is_head(&message, number + n, head + FRAGMENT_OVERHEAD, head))
            return 0;
    }
    return 1;
}

/* check_run(datagram, unchecked) */
static PyObject *
check_run(PyObject *module, PyObject *args)
{
    Py_buffer data;
    int unchecked, found;

    if (!PyArg_ParseTuple(args, "y*p", &data, &unchecked))
        return NULL;
    found = is_run(data.buf, (size_t)data.len, unchecked);
    PyBuffer_Release(&data);
    return PyBool_FromLong(found);
}

static PyMethodDef functions[] = {
    {"send_run", send_run, METH_VARARGS,
     "send_run(fd, common, number, data)\n--\n\n"
     "Send fragments of one message, from a number on, as many in a call as the kernel takes. OSError: it refused."},
    {"check_run", check_run, METH_VARARGS,
     "check_run(datagram, unchecked)\n--\n\nTell whether bytes are fragments of one message that follow one another."},
    {NULL, NULL, 0, NULL},
};

int
add_fragments(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
