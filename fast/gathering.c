/* Fragments of a large message received right into their places in the message, and compared there.
 *
 * Twins: `_fill_merged` and `_receive_beginning` of Gathering in ipcpy/subscribing/inplace.py, which says where the
 * places are, and does what follows. What is received is either exactly the fragments that were due, as many as a call
 * brings, or it is handed on whole. The GIL is released from the first wait to the end of a run of them; nothing of
 * Python's is touched meanwhile but the bytes of buffers that are held.
 */

#include "gathering.h"
#include "sockets.h"
#include "taking.h"

#include <errno.h>
#include <time.h>

#define REST_SIZE 65536 /* RECEIVE_SIZE in ipcpy/transport/kernel.py */

static PyObject *name_count, *name_address, *name_other; /* attributes of a Gathering; kept as long as the process */

/* -- one call ------------------------------------------------------------------------------------------------------- */

/* Say where the next fragments belong, as many as one call brings; return how many. */
static uint32_t
lay_out(Gathering *self)
{
    uint32_t left = self->count - self->done, limit = fragments_per_call(&self->message);
    uint32_t count = left < limit ? left : limit, number = self->first + self->done;

    for (uint32_t n = 0; n < count; n++) {
        self->parts[2 * n] = (struct iovec){(uint8_t *)self->heads.buf + n * FRAGMENT_OVERHEAD, FRAGMENT_OVERHEAD};
        self->parts[2 * n + 1] = (struct iovec){place_of(self, number + n), data_in(&self->message, number + n)};
    }
    self->parts[2 * count] = (struct iovec){self->rest.buf, (size_t)self->rest.len};
    self->laid = (int)(2 * count + 1);
    return count;
}

int
receive_parts(Gathering *self)
{
    struct msghdr header = {
        .msg_name = &self->from,
        .msg_namelen = sizeof self->from,
        .msg_iov = self->parts,
        .msg_iovlen = self->laid,
    };
    memset(&self->from, 0, sizeof self->from);
    self->got = recvmsg(self->fd, &header, 0);
    return self->got < 0 ? errno : 0;
}

/* Count the fragments in what was received, if they are exactly those that were due: so many at most. */
static uint32_t
recognise(const Gathering *self, uint32_t due)
{
    const Message *message = &self->message;
    uint32_t number = self->first + self->done;
    Py_ssize_t length = FRAGMENT_OVERHEAD + data_in(message, number), count = (self->got + length - 1) / length;

    if (count < 1 || count > due ||
        self->got != (count - 1) * length + FRAGMENT_OVERHEAD + data_in(message, number + (uint32_t)count - 1))
        return 0;
    for (uint32_t n = 0; n < count; n++)
        if (!is_head(message, number + n, place_of(self, number + n),
                     (const uint8_t *)self->heads.buf + n * FRAGMENT_OVERHEAD))
            return 0;
    return (uint32_t)count;
}

/* -- a run of calls ------------------------------------------------------------------------------------------------- */

int
is_over(double deadline)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now); /* what time.monotonic reads */
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec >= deadline;
}

int
is_from_the_same(const Gathering *self)
{
    const struct sockaddr_in *one = &self->from, *other = &self->first_from;

    return self->done == 0 || (one->sin_family == other->sin_family && one->sin_port == other->sin_port &&
                               one->sin_addr.s_addr == other->sin_addr.s_addr);
}

/* Receive until all are there, the time is up, something else comes (then ``other`` is set), or a call fails: the errno.
   Needs no GIL, and more than ``once`` a socket that nobody else closes. */
static int
receive_all(Gathering *self, double deadline, int once, int *other)
{
    while (self->done < self->count && !is_over(deadline)) {
        uint32_t due = lay_out(self), found;
        int error = receive_parts(self);

        if (error)
            return error;
        found = is_from_the_same(self) ? recognise(self, due) : 0;
        if (found == 0) {
            *other = 1;
            return 0;
        }
        self->first_from = self->from;
        self->done += found;
        if (once)
            break;
    }
    return 0;
}

/* -- for Python ----------------------------------------------------------------------------------------------------- */

/* ("127.0.0.1", 5001) */
static PyObject *
tuple_of_address(const struct sockaddr_in *address)
{
    Origin origin = {.ip = address->sin_addr.s_addr, .port = address->sin_port};

    return tuple_of(&origin);
}

/* All bytes that the last call brought. */
static PyObject *
joined(const Gathering *self)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, self->got);
    size_t left = (size_t)self->got;
    char *to;

    if (bytes == NULL)
        return NULL;
    to = PyBytes_AsString(bytes);
    for (int n = 0; n < self->laid && left > 0; n++) {
        size_t size = self->parts[n].iov_len < left ? self->parts[n].iov_len : left;
        memcpy(to, self->parts[n].iov_base, size);
        to += size;
        left -= size;
    }
    return bytes;
}

int
write_down(const Gathering *self, PyObject *gathering, PyObject *other)
{
    PyObject *count = PyLong_FromUnsignedLong(self->done), *address = NULL, *pair = NULL;
    int done = count == NULL ? -1 : 0;

    if (done == 0 && self->done > 0) {
        address = tuple_of_address(&self->first_from);
        done = address == NULL ? -1 : PyObject_SetAttr(gathering, name_address, address);
    }
    if (done == 0)
        done = PyObject_SetAttr(gathering, name_count, count);
    if (done == 0 && other != NULL) {
        Py_XDECREF(address);
        address = tuple_of_address(&self->from);
        if (address != NULL)
            pair = PyTuple_Pack(2, other, address);
        done = pair == NULL ? -1 : PyObject_SetAttr(gathering, name_other, pair);
    }
    Py_XDECREF(count);
    Py_XDECREF(address);
    Py_XDECREF(pair);
    return done;
}

/* Receive with the GIL released, in a run of calls, and write down what came, until handlers of signals raise nothing that
   ends it; -1 with an exception. */
static int
receive_run(Gathering *self, PyObject *gathering, double deadline, void *nothing)
{
    int number = self->fd, own = own_number(number), error, other, done;

    if (own == NOT_OPEN)
        return -1;
    self->fd = own < 0 ? number : own;
    do {
        other = 0;
        Py_BEGIN_ALLOW_THREADS
        error = receive_all(self, deadline, own < 0, &other);
        Py_END_ALLOW_THREADS
        PyObject *data = other ? joined(self) : NULL;
        done = other && data == NULL ? -1 : write_down(self, gathering, data); /* first: a signal handler may raise */
        Py_XDECREF(data);
        if (done == 0 && error == EINTR)
            done = PyErr_CheckSignals();
        else if (done == 0 && error) {
            errno = error;
            PyErr_SetFromErrno(PyExc_OSError);
            done = -1;
        }
    } while (done == 0 && error == EINTR && own >= 0);
    give_back_number(own);
    return done;
}

/* See that so many fragments are of the message, 0 for all, and lie in the buffers with all that is received; 0 with an
   exception. */
static int
has_places(Gathering *self, const Py_buffer *common, unsigned long first, unsigned long count)
{
    uint64_t all, end;

    if (common->len == COMMON_SIZE && read_common(common->buf, &self->message)) {
        all = fragments_of(&self->message);
        count = count ? count : all;
        if (first < all && count <= all - first) {
            self->first = (uint32_t)first;
            self->count = (uint32_t)count;
            end = (first + count - 1) * (uint64_t)self->message.size + data_in(&self->message, self->first + self->count - 1);
            if (end <= (uint64_t)self->buffer.len && self->rest.len >= REST_SIZE &&
                self->heads.len >= MAX_MERGED * FRAGMENT_OVERHEAD)
                return 1;
        }
    }
    PyErr_SetString(PyExc_ValueError, "no places of this message in these buffers");
    return 0;
}

static void
release_buffers(Gathering *self, Py_buffer *common)
{
    PyBuffer_Release(&self->heads);
    PyBuffer_Release(&self->rest);
    PyBuffer_Release(&self->buffer);
    PyBuffer_Release(common);
}

PyObject *
fill_by(Receive receive, void *how, PyObject *args)
{
    Gathering self = {0};
    Py_buffer common;
    PyObject *gathering;
    unsigned long first, count;
    double deadline;
    int done;

    if (!PyArg_ParseTuple(args, "Oiw*w*w*y*kkd", &gathering, &self.fd, &self.heads, &self.rest, &self.buffer, &common,
                          &first, &count, &deadline))
        return NULL;
    done = has_places(&self, &common, first, count) ? receive(&self, gathering, deadline, how) : -1;
    release_buffers(&self, &common);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* fill(gathering, fd, heads, rest, buffer, common, first, count, deadline) */
static PyObject *
fill(PyObject *module, PyObject *args)
{
    return fill_by(receive_run, NULL, args);
}

/* Read from the first head what the message that begins has that an earlier one had not: its number and its time. */
static void
read_number(Gathering *self)
{
    Message *message = &self->message;

    memcpy(message->common + 16, (const uint8_t *)self->heads.buf + 16, 16);
    message->begun = crc32_of(0, message->common, COMMON_SIZE);
}

/* begin(fd, heads, rest, buffer, common) */
static PyObject *
begin(PyObject *module, PyObject *args)
{
    Gathering self = {0};
    Py_buffer common;
    PyObject *address, *data = NULL, *found = NULL;
    uint32_t due, count;
    int error;

    if (!PyArg_ParseTuple(args, "iw*w*w*y*", &self.fd, &self.heads, &self.rest, &self.buffer, &common))
        return NULL;
    if (!has_places(&self, &common, 0, 0))
        goto end;
    due = lay_out(&self);
    Py_BEGIN_ALLOW_THREADS
    error = receive_parts(&self);
    Py_END_ALLOW_THREADS
    if (error == EINTR) { /* a handler may have closed the socket: as if something had come that is a call to wake up */
        if (PyErr_CheckSignals() == 0)
            found = Py_BuildValue("(k(si)y#)", 0UL, "", 0, "", (Py_ssize_t)0);
        goto end;
    }
    if (error) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
        goto end;
    }
    read_number(&self);
    count = recognise(&self, due);
    address = tuple_of_address(&self.from);
    if (address != NULL)
        data = count > 0 ? Py_NewRef(Py_None) : joined(&self);
    if (data != NULL)
        found = Py_BuildValue("(kOO)", (unsigned long)count, address, data);
    Py_XDECREF(address);
    Py_XDECREF(data);
end:
    release_buffers(&self, &common);
    return found;
}

static PyMethodDef functions[] = {
    {"fill", fill, METH_VARARGS,
     "fill(gathering, fd, heads, rest, buffer, common, first, count, deadline)\n--\n\n"
     "Receive fragments of a message into their places, until something else comes or the time is up."},
    {"begin", begin, METH_VARARGS,
     "begin(fd, heads, rest, buffer, common)\n--\n\n"
     "Receive what may be the first fragments of a message like another one into their places; return how many they\n"
     "are, where they came from, and what came if it was anything else."},
    {NULL, NULL, 0, NULL},
};

int
add_gathering(PyObject *module)
{
    if (name_count == NULL) {
        name_count = PyUnicode_InternFromString("_count");
        name_address = PyUnicode_InternFromString("_address");
        name_other = PyUnicode_InternFromString("_other");
    }
    if (name_count == NULL || name_address == NULL || name_other == NULL)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
