/* Publishes small messages: what ipcpy/publishing/publisher.py does for one of a best-effort topic.

A message is encoded into its frame and given to the system with MSG_DONTWAIT, without letting go of the GIL: who
publishes beside a thread that computes would wait 5 ms to have it again. Whatever is unusual is left to Python: nobody
there, a reliable topic, a size that goes another way, a value that the codec refuses, a socket that is not the
system's own, a send that is refused. */

#include "addressed.h"
#include "encoding.h"
#include "locks.h"
#include "sealing.h"
#include "sockets.h"
#include "state.h"
#include "wire.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

enum {
    AT_HAND = 2048,     /* bytes of a frame that needs no memory of its own */
    KEPT = 8192,        /* bytes of a frame that is sent with the GIL kept: the system copies it in 2 us */
    BURST = 64,         /* messages that are sent so within ... */
    BURST_NS = 2000000, /* ... this time: with more, as in a flood, other threads are to have their turn ... */
    TURN = 4            /* ... once in so many, or at each where one of them may be who receives it */
};

/* Names of attributes, made once and never let go of. */
static PyObject *s_start_beating;

static PyObject *other_clock;         /* what somebody has put in the place of time.time_ns; else NULL */
static PyCFunction socket_send;       /* what `send` of the system's sockets is */
static PyTypeObject *direct_type;     /* of Direct */
static PyObject *publish_in_python;   /* Publisher.publish as it is written in Python */
static PyObject *send_by;             /* of ipcpy/publishing/outlet.py */
static long leases;                   /* subscribers of this process that are open */

static int64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* As time.time_ns, whatever that is; 0, or -1 with an exception. */
static int
read_clock(int64_t *ns)
{
    *ns = now_ns();
    if (other_clock == NULL)
        return 0;
    PyObject *told = PyObject_CallNoArgs(other_clock);
    if (told == NULL)
        return -1;
    *ns = PyLong_AsLongLong(told);
    Py_DECREF(told);
    return *ns == -1 && PyErr_Occurred() ? -1 : 0;
}

/* -- sending ------------------------------------------------------------------------------------------------------ */

/* The descriptor of the socket by which a way sends as it is, or once what `sealing` seals, and where to if it is not
   connected; -1, without an exception, for any other way. */
static int
descriptor_of(PyObject *way, PyObject **sealing, const struct sockaddr_in **to)
{
    PyObject *send, *addressed;

    *to = NULL;
    if (!PyTuple_Check(way) || PyTuple_Size(way) != 2)
        return -1;
    send = PyTuple_GetItem(way, 0);
    *sealing = sending_of(send);
    if (*sealing != NULL)
        send = sending_plain(*sealing);
    addressed = send == NULL ? NULL : addressed_of(send);
    if (addressed != NULL)
        return addressed_by(addressed, to);
    if (send == NULL || !PyCFunction_Check(send) || PyCFunction_GetFunction(send) != socket_send)
        return -1;
    return descriptor_in(PyCFunction_GetSelf(send));
}

/* Whether the GIL is kept while a frame is sent: not in a flood, whichever publishers it is of. */
static int
keeps_gil(size_t size, int64_t sent_ns)
{
    static int64_t begun_ns;
    static int count;

    if (sent_ns - begun_ns > BURST_NS || sent_ns < begun_ns) {
        begun_ns = sent_ns;
        count = 0;
    }
    return size <= KEPT && (++count <= BURST || (leases <= 0 && count % TURN != 0));
}

/* Sends a frame by the ways, from the first on, until one is not the system's own or refuses; how many took it. */
static Py_ssize_t
send_frame(PyObject *ways, const uint8_t *frame, size_t size, int keep_gil)
{
    Py_ssize_t count = PyTuple_Size(ways), sent = 0;

    for (; sent < count; sent++) {
        ssize_t taken;
        PyObject *sealing;
        const struct sockaddr_in *to;
        uint8_t sealed[AT_HAND + SEALED_OVERHEAD];
        const uint8_t *datagram = frame;
        size_t length = size;
        int descriptor = descriptor_of(PyTuple_GetItem(ways, sent), &sealing, &to);
        if (descriptor < 0)
            break;
        if (sealing != NULL) {
            Py_ssize_t got = size > AT_HAND ? SEALING_UNUSUAL : sending_seal(sealing, frame, (Py_ssize_t)size, sealed);
            if (got < 0) {
                PyErr_Clear(); /* Python meets the same, and knows what to do */
                break;
            }
            datagram = sealed;
            length = (size_t)got;
        }
        socklen_t to_size = to == NULL ? 0 : sizeof *to;
        if (keep_gil)
            taken = sendto(descriptor, datagram, length, MSG_DONTWAIT, (const struct sockaddr *)to, to_size);
        else {
            Py_BEGIN_ALLOW_THREADS
            taken = sendto(descriptor, datagram, length, MSG_DONTWAIT, (const struct sockaddr *)to, to_size);
            Py_END_ALLOW_THREADS
        }
        if (taken < 0)
            break;
    }
    return sent;
}

PyDoc_STRVAR(send_doc, "send($module, ways, frame, /)\n--\n\n"
                       "Send a frame by ways, from the first on, without waiting; return those that are left.\n\n"
                       "These begin with the first that refuses, or is not a socket's own send.");

static PyObject *
send_by_ways(PyObject *module, PyObject *args)
{
    PyObject *ways;
    Py_buffer frame;

    (void)module;
    if (!PyArg_ParseTuple(args, "O!y*", &PyTuple_Type, &ways, &frame))
        return NULL;
    Py_ssize_t sent = send_frame(ways, frame.buf, (size_t)frame.len, keeps_gil((size_t)frame.len, now_ns()));
    PyBuffer_Release(&frame);
    return PyTuple_GetSlice(ways, sent, PyTuple_Size(ways));
}

/* -- what one publisher needs ------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *outlet, *framing;           /* an OutletFields and a FramingFields */
    PyObject *lock, *later, *catch_up;    /* of the monitor */
    PyObject *one;                        /* Dispatch.one: publishes what is encoded, in Python */
    PyObject *encoders, *encode;          /* by type, and for all others */
    uint64_t number;
    uint32_t codec;
} Direct;

#define PARTS(direct)                                                                                                  \
    {&(direct)->outlet,   &(direct)->framing, &(direct)->lock,     &(direct)->later,                                   \
     &(direct)->catch_up, &(direct)->one,     &(direct)->encoders, &(direct)->encode}
enum { PARTS_COUNT = 8 };

static inline OutletFields *
outlet_of(const Direct *direct)
{
    return (OutletFields *)direct->outlet;
}

static PyObject *
direct_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *outlet, *framing, *monitor, *one, *encoders, *encode;
    State *state = PyType_GetModuleState(type);

    if (kwargs != NULL && PyDict_Size(kwargs) > 0) {
        PyErr_SetString(PyExc_TypeError, "Direct takes no keywords");
        return NULL;
    }
    if (state == NULL || !PyArg_ParseTuple(args, "O!O!OOO!O", state->receiving.outlet, &outlet,
                                           state->receiving.framing, &framing, &monitor, &one, &PyDict_Type,
                                           &encoders, &encode))
        return NULL;
    Direct *direct = (Direct *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (direct == NULL)
        return NULL;
    PyObject *number = PyObject_GetAttrString(framing, "number"), *codec = PyObject_GetAttrString(framing, "codec");
    if (number != NULL && codec != NULL) {
        Py_INCREF(outlet), Py_INCREF(framing), Py_INCREF(one), Py_INCREF(encoders), Py_INCREF(encode);
        direct->outlet = outlet, direct->framing = framing, direct->one = one;
        direct->encoders = encoders, direct->encode = encode;
        direct->number = PyLong_AsUnsignedLongLong(number);
        direct->codec = (uint32_t)PyLong_AsUnsignedLong(codec);
        direct->lock = PyObject_GetAttrString(monitor, "lock");
        direct->later = PyObject_GetAttrString(monitor, "later");
        direct->catch_up = PyObject_GetAttrString(monitor, "catch_up");
    }
    Py_XDECREF(number), Py_XDECREF(codec);
    if (PyErr_Occurred())
        Py_CLEAR(direct);
    return (PyObject *)direct;
}

static int
direct_traverse(PyObject *self, visitproc visit, void *arg)
{
    PyObject **parts[PARTS_COUNT] = PARTS((Direct *)self);

    Py_VISIT((PyObject *)Py_TYPE(self));
    for (int n = 0; n < PARTS_COUNT; n++)
        Py_VISIT(*parts[n]);
    return 0;
}

static int
direct_clear(PyObject *self)
{
    PyObject **parts[PARTS_COUNT] = PARTS((Direct *)self);

    for (int n = 0; n < PARTS_COUNT; n++)
        Py_CLEAR(*parts[n]);
    return 0;
}

static void
direct_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    direct_clear(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

/* -- fields ------------------------------------------------------------------------------------------------------- */

/* Whether a field is a whole number of 64 bits, and which. An exception is not set. */
static int
read_u64(PyObject *field, uint64_t *number)
{
    if (field == NULL || !PyLong_CheckExact(field))
        return 0;
    *number = PyLong_AsUnsignedLongLong(field);
    if (*number != UINT64_MAX || !PyErr_Occurred())
        return 1;
    PyErr_Clear();
    return 0;
}

static inline int
is_bool(PyObject *field)
{
    return field == Py_True || field == Py_False;
}

/* -- publish ------------------------------------------------------------------------------------------------------ */

typedef struct { /* a message, encoded, with room for its frame around it */
    uint8_t *frame;
    Py_ssize_t size; /* of the body */
    PyObject *owner; /* the bytes that the frame lies in; NULL where that is `at_hand` */
    uint8_t at_hand[AT_HAND];
} Message;

enum Outcome {
    FAILED = -1, /* with an exception */
    DONE,        /* it was published */
    GOES_ON,     /* it was not yet */
    TO_PYTHON    /* nothing was done yet, and Python is to do it */
};

static int
make_room(Message *message, Py_ssize_t size)
{
    message->size = size;
    message->owner = NULL;
    message->frame = message->at_hand;
    if (size > AT_HAND - OVERHEAD) {
        message->owner = PyBytes_FromStringAndSize(NULL, size + OVERHEAD);
        if (message->owner == NULL)
            return -1;
        message->frame = (uint8_t *)PyBytes_AsString(message->owner);
    }
    return 0;
}

static PyObject *
body_of(const Message *message)
{
    return PyBytes_FromStringAndSize((const char *)message->frame + HEADER_SIZE, message->size);
}

/* Encodes with the plan into a message. */
static enum Outcome
encode_planned(PyObject *encoder, PyObject *data, Message *message)
{
    Plan *plan = plan_behind(encoder);

    if (make_room(message, plan_size(plan)) < 0)
        return FAILED;
    Py_INCREF(encoder); /* Python's code may run where attributes are looked at */
    enum Packed packed = plan_pack(plan, data, message->frame + HEADER_SIZE);
    Py_DECREF(encoder);
    if (packed == PACKED)
        return GOES_ON;
    Py_CLEAR(message->owner);
    return packed == RAISED ? FAILED : TO_PYTHON;
}

/* Lays a body that is no larger than `small` into a message; a larger one is published by Python. */
static enum Outcome
take_body(Direct *direct, PyObject *body, Message *message, PyObject **handed)
{
    uint64_t small;
    Py_ssize_t size = PyObject_Size(body);

    if (size < 0)
        return FAILED;
    if (!read_u64(outlet_of(direct)->small, &small))
        small = 0;
    if (PyList_CheckExact(body) || (uint64_t)size > small) {
        *handed = PyObject_CallFunctionObjArgs(direct->one, body, NULL);
        return *handed == NULL ? FAILED : DONE;
    }
    Py_buffer view;
    if (!PyObject_CheckBuffer(body)) /* Python says what is wrong with it */
        return TO_PYTHON;
    if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0)
        return FAILED;
    enum Outcome outcome = make_room(message, view.len) < 0 ? FAILED : GOES_ON;
    if (outcome == GOES_ON)
        memcpy(message->frame + HEADER_SIZE, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return outcome;
}

/* Encodes into a message; DONE if it was published already, for it goes another way. */
static enum Outcome
encode(Direct *direct, PyObject *data, Message *message, PyObject **handed)
{
    PyObject *encoder = PyDict_GetItemWithError(direct->encoders, (PyObject *)Py_TYPE(data));

    if (encoder != NULL && plan_behind(encoder) != NULL)
        return encode_planned(encoder, data, message);
    if (encoder == NULL && PyErr_Occurred())
        return FAILED;
    PyObject *body = PyObject_CallFunctionObjArgs(direct->encode, data, NULL);
    if (body == NULL)
        return FAILED;
    enum Outcome outcome = take_body(direct, body, message, handed);
    Py_DECREF(body);
    return outcome;
}

/* Lays the header, and the check where one is needed, around the body; the bytes of the frame. */
static size_t
frame_around(const Direct *direct, Message *message, uint64_t seq, int64_t sent_ns, int checked)
{
    uint8_t *frame = message->frame;
    uint32_t size = (uint32_t)message->size + (checked ? OVERHEAD : HEADER_SIZE);

    put32(frame, DATA_WORD | size);
    put32(frame + 4, checked ? direct->codec : direct->codec | UNCHECKED);
    put64(frame + 8, direct->number);
    put64(frame + 16, seq);
    put64(frame + 24, (uint64_t)sent_ns);
    if (checked)
        put32(frame + size - CHECK_SIZE, crc32_of(0, frame, size - CHECK_SIZE));
    return size;
}

/* Calls ipcpy.publishing.outlet.send_by for the ways from one on; how many subscribers do not get it, -1 if it raised. */
static Py_ssize_t
send_in_python(PyObject *ways, Py_ssize_t first, const Message *message, size_t size)
{
    PyObject *left = PyTuple_GetSlice(ways, first, PyTuple_Size(ways)), *missed = NULL;
    PyObject *frame = PyBytes_FromStringAndSize((const char *)message->frame, (Py_ssize_t)size);
    Py_ssize_t count = -1;

    if (left != NULL && frame != NULL)
        missed = PyObject_CallFunctionObjArgs(send_by, left, frame, NULL);
    if (missed != NULL)
        count = PyLong_AsSsize_t(missed);
    Py_XDECREF(left);
    Py_XDECREF(frame);
    Py_XDECREF(missed);
    return count;
}

/* The twin of Outlet.send. */
static PyObject *
send_to_all(Direct *direct, const Message *message, size_t size, int64_t sent_ns)
{
    PyObject *ways = Py_XNewRef(outlet_of(direct)->ways), *routes = outlet_of(direct)->routes;
    Py_ssize_t handed = routes == NULL ? -1 : PyObject_Size(routes), missed = 0;

    if (handed < 0 || ways == NULL || !PyTuple_Check(ways)) { /* somebody's clock took them away */
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_AttributeError, "an Outlet has ways and routes");
        Py_XDECREF(ways);
        return NULL;
    }
    Py_ssize_t sent = send_frame(ways, message->frame, size, keeps_gil(size, sent_ns));
    if (sent < PyTuple_Size(ways))
        missed = send_in_python(ways, sent, message, size);
    Py_DECREF(ways);
    return missed < 0 ? NULL : PyLong_FromSsize_t(handed - missed);
}

/* With the lock held: number, frame and send; GOES_ON where the body goes another way for its size, or a field is not
   what it should be. */
static enum Outcome
number_and_send(Direct *direct, Message *message, PyObject **handed)
{
    OutletFields *outlet = outlet_of(direct);
    FramingFields *framing = (FramingFields *)direct->framing;
    uint64_t small, seq;
    int64_t sent_ns;

    if (!read_u64(outlet->small, &small) || (uint64_t)message->size > small || !is_bool(outlet->needs_check) ||
        !is_bool(outlet->beating))
        return GOES_ON;
    int checked = outlet->needs_check == Py_True, beating = outlet->beating == Py_True;
    seq = ++framing->seq;
    framing->bytes += (uint64_t)message->size;
    if (read_clock(&sent_ns) < 0)
        return FAILED;
    size_t size = frame_around(direct, message, seq, sent_ns, checked);
    if (!beating) {
        PyObject *started = PyObject_CallMethodObjArgs(direct->outlet, s_start_beating, NULL);
        if (started == NULL)
            return FAILED;
        Py_DECREF(started);
    }
    *handed = send_to_all(direct, message, size, sent_ns);
    return *handed == NULL ? FAILED : DONE;
}

/* Calls what takes no arguments, also where an exception is on its way; -1 with that, or the one that comes of it. */
static int
call_finally(PyObject *function)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyObject *result = PyObject_CallNoArgs(function);
    if (result == NULL) { /* the newer exception, as with Python's `finally` */
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
        return -1;
    }
    Py_DECREF(result);
    if (type != NULL)
        PyErr_Restore(type, value, traceback);
    return type == NULL ? 0 : -1;
}

static enum Outcome
send_locked(Direct *direct, Message *message, PyObject **handed)
{
    if (lock_acquire(direct->lock, 1) < 0) /* a signal handler raised while this thread waited for the lock */
        return FAILED;
    enum Outcome outcome = number_and_send(direct, message, handed);
    if (lock_release(direct->lock) < 0)
        outcome = FAILED;
    Py_ssize_t later = PyObject_Size(direct->later);
    if (later > 0 && call_finally(direct->catch_up) < 0)
        outcome = FAILED;
    if (later < 0)
        outcome = FAILED;
    if (outcome == FAILED)
        Py_CLEAR(*handed);
    return outcome;
}

/* Whether it is a best-effort topic that somebody is there for. */
static int
is_usual(const Direct *direct)
{
    const OutletFields *outlet = outlet_of(direct);

    return outlet->ways != NULL && PyTuple_Check(outlet->ways) && PyTuple_Size(outlet->ways) > 0 &&
           outlet->reliable == Py_None;
}

/* Publishes what is encoded by Dispatch.one. */
static PyObject *
publish_body(Direct *direct, const Message *message)
{
    PyObject *body = body_of(message);
    PyObject *handed = body == NULL ? NULL : PyObject_CallFunctionObjArgs(direct->one, body, NULL);

    Py_XDECREF(body);
    return handed;
}

static enum Outcome
publish_directly(Direct *direct, PyObject *data, PyObject **handed)
{
    Message message;

    if (direct->outlet == NULL || !is_usual(direct))
        return TO_PYTHON;
    message.owner = NULL;
    enum Outcome outcome = encode(direct, data, &message, handed);
    if (outcome != GOES_ON)
        return outcome;
    int owned = direct->lock == NULL ? 1 : lock_owned(direct->lock);
    if (owned < 0)
        outcome = FAILED;
    else if (!owned) /* else a signal handler publishes in the midst of a publish */
        outcome = send_locked(direct, &message, handed);
    if (outcome == GOES_ON) {
        *handed = publish_body(direct, &message);
        outcome = *handed == NULL ? FAILED : DONE;
    }
    Py_XDECREF(message.owner);
    return outcome;
}

/* Calls Publisher.publish of Python with the same arguments. */
static PyObject *
call_python(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Py_ssize_t named = names == NULL ? 0 : PyTuple_Size(names);
    PyObject *given = PyTuple_New(count + 1), *by_name = named ? PyDict_New() : NULL, *result = NULL;

    if (given == NULL || (named && by_name == NULL))
        goto end;
    for (Py_ssize_t n = 0; n <= count; n++) {
        PyObject *each = n == 0 ? self : args[n - 1];
        Py_INCREF(each);
        PyTuple_SetItem(given, n, each);
    }
    for (Py_ssize_t n = 0; n < named; n++)
        if (PyDict_SetItem(by_name, PyTuple_GetItem(names, n), args[count + n]) < 0)
            goto end;
    result = PyObject_Call(publish_in_python, given, by_name);
end:
    Py_XDECREF(given);
    Py_XDECREF(by_name);
    return result;
}

/* The twin of ipcpy.publishing.publisher.Publisher.publish. */
static PyObject *
publish(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (count == 1 && (names == NULL || PyTuple_Size(names) == 0)) {
        PyObject *direct = ((PublisherFields *)self)->direct, *handed = NULL; /* NULL in its constructor */
        enum Outcome outcome = TO_PYTHON;
        if (direct != NULL && Py_TYPE(direct) == direct_type) {
            Py_INCREF(direct);
            outcome = publish_directly((Direct *)direct, args[0], &handed);
            Py_DECREF(direct);
        }
        if (outcome != TO_PYTHON)
            return handed;
    }
    return call_python(self, args, count, names);
}

/* -- what Python sees --------------------------------------------------------------------------------------------- */

static PyMethodDef publish_method = {"publish", (PyCFunction)(void (*)(void))publish, METH_FASTCALL | METH_KEYWORDS,
                                     NULL};

PyDoc_STRVAR(take_over_doc, "take_over($module, publisher, send_by, doc, /)\n--\n\n"
                            "Have publish of a class done here, and by what it was until now where it is unusual.");

static PyObject *
take_over(PyObject *module, PyObject *args)
{
    PyObject *type, *written, *method, *by;
    const char *doc;
    static char *kept_doc;

    if (!PyArg_ParseTuple(args, "O!Os", &PyType_Type, &type, &by, &doc))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)type, ((State *)PyModule_GetState(module))->receiving.publisher)) {
        PyErr_SetString(PyExc_TypeError, "a Publisher has PublisherFields");
        return NULL;
    }
    written = PyObject_GetAttrString(type, "publish");
    if (written == NULL)
        return NULL;
    char *copy = PyMem_Malloc(strlen(doc) + 1);
    if (copy == NULL) {
        Py_DECREF(written);
        return PyErr_NoMemory();
    }
    strcpy(copy, doc);
    PyMem_Free(kept_doc);
    publish_method.ml_doc = kept_doc = copy;
    method = PyDescr_NewMethod((PyTypeObject *)type, &publish_method);
    if (method == NULL || PyObject_SetAttrString(type, "publish", method) < 0) {
        Py_XDECREF(method);
        Py_DECREF(written);
        return NULL;
    }
    Py_DECREF(method);
    Py_XDECREF(publish_in_python);
    publish_in_python = written;
    Py_INCREF(by);
    Py_XDECREF(send_by);
    send_by = by;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(count_lease_doc, "count_lease($module, by, /)\n--\n\n"
                              "A subscriber of this process was opened, or closed (-1); return how many are open.");

static PyObject *
count_lease(PyObject *module, PyObject *by)
{
    long more = PyLong_AsLong(by);

    (void)module;
    if (more == -1 && PyErr_Occurred())
        return NULL;
    return PyLong_FromLong(leases += more);
}

static PyMethodDef functions[] = {
    {"send", send_by_ways, METH_VARARGS, send_doc},
    {"count_lease", count_lease, METH_O, count_lease_doc},
    {"take_over", take_over, METH_VARARGS, take_over_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(direct_doc, "Direct(outlet, framing, monitor, one, encoders, encode)\n--\n\n"
                         "What publish needs of one publisher.");

static PyType_Slot direct_slots[] = {
    {Py_tp_doc, (void *)direct_doc}, {Py_tp_new, direct_new},         {Py_tp_traverse, direct_traverse},
    {Py_tp_clear, direct_clear},     {Py_tp_dealloc, direct_dealloc}, {0, NULL},
};

static PyType_Spec direct_spec = {
    .name = "_ipcpy_fast.Direct",
    .basicsize = sizeof(Direct),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = direct_slots,
};

/* Learn whether time.time_ns is the system's clock. */
static int
find_clock(void)
{
    PyObject *module = PyImport_ImportModule("time");
    PyObject *clock = module == NULL ? NULL : PyObject_GetAttrString(module, "time_ns");

    Py_XDECREF(module);
    if (clock == NULL)
        return -1;
    Py_XDECREF(other_clock);
    other_clock = PyCFunction_Check(clock) ? NULL : Py_NewRef(clock);
    Py_DECREF(clock);
    return 0;
}

static int
make_names(void)
{
    struct {
        PyObject **at;
        const char *name;
    } names[] = {
        {&s_start_beating, "start_beating"},
    };

    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++)
        if (*names[n].at == NULL && (*names[n].at = PyUnicode_InternFromString(names[n].name)) == NULL)
            return -1;
    return 0;
}

int
add_publishing(PyObject *module)
{
    if (make_names() < 0 || socket_method("send", &socket_send) < 0 || find_clock() < 0 ||
        PyModule_AddFunctions(module, functions) < 0)
        return -1;
    direct_type = add_type(module, &direct_spec);
    return direct_type == NULL ? -1 : 0;
}
