/* Runs of fragments, sealed and sent as fragments.c sends them: many in a system call, with the GIL released.
 *
 * Twin: ``_send_fragments`` in ipcpy/publishing/route.py to a SealedConnectedSocket. Each call's fragments are sealed right
 * before it, by a context of the run's own, with numbers that are taken then: so those of other threads that send by the
 * same socket meanwhile are not far from them. After a signal, and after so many fragments, the seal is looked at again: a
 * handler may have forked, and the child must not go on with its parent's numbers.
 */

#include "fragments.h"
#include "sealed.h"
#include "sessions.h"
#include "sockets.h"

#include <errno.h>

#define AT_A_TIME 1024 /* fragments that are sealed before the seal is looked at again */

/* A run that is being sent. */
typedef struct {
    Message message;
    int fd;
    uint32_t next, stop; /* fragments */
    const uint8_t *data; /* of the next */
    Numbers *numbers;
    uint64_t last; /* of the numbers that may be used */
    Context *context;
    unsigned char mark[MARK_SIZE], name[NAME_SIZE];
    uint8_t *sealed; /* room for what one call takes */
} Run;

/* How many sealed fragments one system call takes. */
static uint32_t
per_call(const Message *message)
{
    uint32_t fitting = MAX_PAYLOAD / (OVERHEAD + FRAGMENT_OVERHEAD + message->size);
    return fitting < 1 ? 1 : fitting < MAX_MERGED ? fitting : MAX_MERGED;
}

/* Seal as many of the next fragments as one call takes; return their bytes, 0 if it cannot be done. Needs no GIL. */
static size_t
seal_some(Run *run, uint32_t count)
{
    uint8_t *at = run->sealed;
    const uint8_t *data = run->data;
    uint64_t number;

    if (!take_numbers(run->numbers, count, &number) || number > run->last || count - 1 > run->last - number)
        return 0;
    for (uint32_t n = 0; n < count; n++) {
        uint32_t size = data_in(&run->message, run->next + n), body = FRAGMENT_OVERHEAD + size;
        if (run->next + n + 1 < run->stop)
            fetch_to_read(data + size, data_in(&run->message, run->next + n + 1));
        write_head(at, body + OVERHEAD, run->mark, number + n, run->name);
        make_head(&run->message, run->next + n, data, at + HEAD_SIZE);
        memcpy(at + HEAD_SIZE + FRAGMENT_OVERHEAD, data, size);
        if (!seal_in_place(run->context, at, body))
            return 0;
        at += body + OVERHEAD;
        data += size;
    }
    return (size_t)(at - run->sealed);
}

/* Seal and send as many fragments as one call takes; 0, the errno, or SEALING_UNUSUAL. Needs no GIL. */
static int
send_some(Run *run)
{
    uint32_t left = run->stop - run->next, limit = per_call(&run->message), count = left < limit ? left : limit;
    struct iovec part = {run->sealed, seal_some(run, count)};
    union {
        char bytes[SEGMENT_ROOM];
        struct cmsghdr aligned;
    } control;
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    if (part.iov_len == 0)
        return SEALING_UNUSUAL;
    if (count > 1)
        segment(&header, control.bytes, OVERHEAD + FRAGMENT_OVERHEAD + run->message.size);
    if (sendmsg(run->fd, &header, 0) < 0)
        return errno;
    run->next += count;
    run->data += part.iov_len - (size_t)count * (OVERHEAD + FRAGMENT_OVERHEAD);
    return 0;
}

/* Send fragments with the GIL released, as the seal is now; as above. */
static int
send_as_it_is(Run *run, SealFields *seal)
{
    const unsigned char *name;
    Cipher *cipher = cipher_of_sealing(seal->sealing, &name);
    uint32_t left = run->stop - run->next, pause = left < AT_A_TIME ? run->stop : run->next + AT_A_TIME;
    int error = SEALING_UNUSUAL;

    run->context = cipher == NULL ? NULL : cipher_context(cipher, 1);
    if (run->context == NULL)
        return SEALING_UNUSUAL;
    memcpy(run->name, name, NAME_SIZE);
    Py_BEGIN_ALLOW_THREADS
    do
        error = send_some(run);
    while (error == 0 && run->next < pause);
    Py_END_ALLOW_THREADS
    libcrypto_free(run->context);
    return error;
}

/* Send all of a run; 1, 0 if Python has to do the rest, -1 with an exception. */
static int
send_all(Run *run, SealFields *seal)
{
    int own = own_number(run->fd), error = 0;

    if (own < 0)
        return own == NOT_OPEN ? -1 : 0;
    run->fd = own;
    while (run->next < run->stop && (error == 0 || error == EINTR)) {
        error = send_as_it_is(run, seal);
        if (error == EINTR && PyErr_CheckSignals() < 0)
            break;
    }
    give_back_number(own);
    if (error > 0 && error != EINTR) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyErr_Occurred() ? -1 : error == 0;
}

/* send_sealed_run(fd, seal, mark, numbers, last, common, number, data) -> whether all were sent */
static PyObject *
send_sealed_run(PyObject *module, PyObject *args)
{
    Run run;
    PyObject *seal, *mark_object, *numbers;
    Py_buffer common, data;
    unsigned long number;
    unsigned long long last;
    uint32_t count;
    int done = 0;

    if (!PyArg_ParseTuple(args, "iOSOKy*ky*", &run.fd, &seal, &mark_object, &numbers, &last, &common, &number, &data))
        return NULL;
    const unsigned char *mark = bytes_of(mark_object, MARK_SIZE);
    if (mark == NULL || seal_fields(seal) == NULL || common.len != COMMON_SIZE || !read_common(common.buf, &run.message) ||
        !count_fragments(&run.message, number, data.len, &count)) {
        PyErr_SetString(PyExc_ValueError, "no seal, or no fragments of this message");
        done = -1;
    } else if ((run.numbers = numbers_of(numbers)) != NULL && run.message.size <= ROOM - FRAGMENT_OVERHEAD) {
        memcpy(run.mark, mark, MARK_SIZE);
        run.next = (uint32_t)number;
        run.stop = (uint32_t)number + count;
        run.data = data.buf;
        run.last = last;
        run.sealed = PyMem_Malloc(MAX_PAYLOAD);
        done = run.sealed == NULL ? 0 : send_all(&run, seal_fields(seal));
        PyMem_Free(run.sealed);
    }
    PyBuffer_Release(&common);
    PyBuffer_Release(&data);
    return done < 0 ? NULL : PyBool_FromLong(done);
}

static PyMethodDef functions[] = {
    {"send_sealed_run", send_sealed_run, METH_VARARGS,
     "send_sealed_run(fd, seal, mark, numbers, last, common, number, data)\n--\n\n"
     "Seal and send fragments of one message, from a number on, as many in a call as the kernel takes. False if Python\n"
     "has to seal some of them. OSError: the kernel refused."},
    {NULL, NULL, 0, NULL},
};

int
add_sealedruns(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
