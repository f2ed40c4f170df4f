/* Waiting for a small message: one call of the system, then taking.c, and the message goes to who waits.
 *
 * Only for a wait that is prepared already, at the subscriber's own socket alone. Everything else is Python's
 * (`wait_any`), and so is what is left to do afterwards.
 */

#include "locks.h"
#include "sealing.h"
#include "sockets.h"
#include "taking.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define RECEIVE_SIZE 65536 /* as in ipcpy/transport/kernel.py */
#define FOR_EVER 1e6       /* seconds, as in ipcpy/timeouts.py */

/* -- waiting for it ---------------------------------------------------------------------------------------------- */

/* What one wait uses; kept alive meanwhile, for a signal handler may change the reader. */
typedef struct {
    State *state;
    ReaderFields *reader;
    PyObject *turn; /* its lock */
    IntakeFields *intake;
    InboundFields *inbound;
    LeaseFields *lease;
    PyObject *lock, *socket;
    PyObject *opener; /* what opens for a socket that brings sealed datagrams (sealing.h); else NULL */
    PyObject **straight; /* where the message goes for whom one waits; NULL if to the inbox */
} Waiting;

static inline int
same_timeout(PyObject *one, PyObject *other)
{
    if (one == other)
        return 1;
    return one != NULL && other != NULL && PyFloat_CheckExact(one) && PyFloat_CheckExact(other) &&
           PyFloat_AsDouble(one) == PyFloat_AsDouble(other);
}

/* Whether a wait is as usual: prepared for this timeout, at one socket of the system's, with nothing there yet. */
static int
begin(State *state, ReaderFields *reader, PyObject *timeout, PyObject **straight, Waiting *waiting)
{
    const Receiving *known = &state->receiving;
    WaitFields *wait = (WaitFields *)reader->wait;

    if (!is_of(reader->wait, known->wait) || !is_of(reader->turn, known->turn) || !is_of(reader->lease, known->lease) ||
        !is_of(reader->intake, known->intake) || !is_of(reader->inbound, known->inbound) || reader->lock == NULL ||
        reader->messages == NULL || reader->futures == NULL)
        return 0;
    if (!same_timeout(timeout, wait->timeout) || wait->receive == NULL || PyObject_Size(reader->messages) != 0)
        return 0;
    PyObject *opener = receiving_of(wait->receive), *receive = opener ? receiving_plain(opener) : wait->receive;
    if (receive == NULL || !PyCFunction_Check(receive) || PyCFunction_GetFunction(receive) != known->recvfrom)
        return 0;
    TurnFields *turn = (TurnFields *)reader->turn;
    if (turn->lock == NULL)
        return 0;
    *waiting = (Waiting){
        .state = state,
        .reader = reader,
        .turn = turn->lock,
        .intake = (IntakeFields *)reader->intake,
        .inbound = (InboundFields *)reader->inbound,
        .lease = (LeaseFields *)reader->lease,
        .lock = reader->lock,
        .socket = PyCFunction_GetSelf(receive),
        .opener = opener,
        .straight = PyObject_Size(reader->futures) == 0 ? straight : NULL,
    };
    return waiting->socket != NULL;
}

/* Call a method that returns nothing of interest; -1 with an exception. */
static int
call(PyObject *object, PyObject *method)
{
    PyObject *done = PyObject_CallMethodObjArgs(object, method, NULL);

    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Take the right to read, if it is to be had: 1; 0 if not; -1 with an exception. */
static int
take_turn(PyObject *lock)
{
    int owned = lock_owned(lock);

    return owned == 0 ? lock_acquire(lock, 0) : owned < 0 ? -1 : 0;
}

/* Receive a datagram as socket.recvfrom does: its size, or -1 with an exception; -2 if the time is up. */
static Py_ssize_t
receive(const Waiting *waiting, uint8_t *buffer, Origin *origin)
{
    struct sockaddr_in from;
    socklen_t length;
    Py_ssize_t size;
    int number, error;

    for (;;) {
        number = descriptor_in(waiting->socket); /* -1 if another thread has closed it */
        length = sizeof from;
        memset(&from, 0, sizeof from);
        Py_BEGIN_ALLOW_THREADS
        size = recvfrom(number, buffer, RECEIVE_SIZE, 0, (struct sockaddr *)&from, &length);
        error = errno;
        Py_END_ALLOW_THREADS
        if (size >= 0) {
            *origin = (Origin){.ip = from.sin_addr.s_addr, .port = from.sin_port};
            return size;
        }
        if (error == EAGAIN || error == EWOULDBLOCK)
            return -2;
        if (error != EINTR) {
            errno = error;
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        if (PyErr_CheckSignals() < 0)
            return -1;
    }
}

/* Open a sealed datagram to where there is room for RECEIVE_SIZE bytes; how many it has, 0 if it was refused, or -1 with
 * an exception. */
static Py_ssize_t
open_sealed(PyObject *opener, const uint8_t *data, Py_ssize_t size, uint8_t *plain)
{
    PyObject *bytes, *opened;
    Py_ssize_t got = receiving_open(opener, data, size, plain);

    if (got != SEALING_UNUSUAL)
        return got < 0 ? -1 : got;
    bytes = PyBytes_FromStringAndSize((const char *)data, size);
    opened = bytes == NULL ? NULL : receiving_open_slowly(opener, bytes);
    Py_XDECREF(bytes);
    if (opened == NULL)
        return -1;
    got = PyBytes_CheckExact(opened) && PyBytes_Size(opened) <= RECEIVE_SIZE ? PyBytes_Size(opened) : 0;
    memcpy(plain, got ? PyBytes_AsString(opened) : "", (size_t)got);
    Py_DECREF(opened);
    return got;
}

/* Take a datagram with the lock held: by C in the common case, else by Python. -1 with an exception. */
static int
take_locked(const Waiting *waiting, const uint8_t *data, Py_ssize_t size, const Origin *origin)
{
    const Receiving *known = &waiting->state->receiving;
    PyObject *bytes, *address, *taken = NULL;
    int done;

    if (lock_acquire(waiting->lock, 1) < 0)
        return -1;
    done = take(waiting->state, waiting->inbound, data, size, origin, waiting->straight);
    if (done == 0 && size > 0) { /* nothing is a call to wake up */
        bytes = PyBytes_FromStringAndSize((const char *)data, size);
        address = tuple_of(origin);
        if (bytes != NULL && address != NULL)
            taken = PyObject_CallMethodObjArgs((PyObject *)waiting->inbound, known->take, bytes, address, NULL);
        Py_XDECREF(bytes);
        Py_XDECREF(address);
        Py_XDECREF(taken);
        done = taken == NULL ? -1 : 0;
    }
    if (lock_release(waiting->lock) < 0)
        return -1;
    return done < 0 ? -1 : 0;
}

/* What is left to do after a datagram: a large message goes on, messages were late, a timer is set. */
static int
go_on(const Waiting *waiting, PyObject *timeout, PyObject *deadline)
{
    const Receiving *known = &waiting->state->receiving;
    PyObject *reader = (PyObject *)waiting->reader, *timer, *done;

    if (waiting->intake->filling != Py_None) {
        done = PyObject_CallMethodObjArgs(reader, known->gather, timeout, deadline, NULL);
        Py_XDECREF(done);
        if (done == NULL)
            return -1;
    }
    timer = waiting->intake->timer;
    if (waiting->intake->behind == Py_False && timer != NULL && PyFloat_CheckExact(timer) &&
        PyFloat_AsDouble(timer) == INFINITY)
        return 0;
    return call(reader, known->go_on);
}

/* What wait_any does with the right to read: receive, take, and what is left to do. -1 with an exception. */
static int
read_once(const Waiting *waiting, PyObject *timeout, PyObject *deadline)
{
    ReaderFields *reader = waiting->reader;
    uint8_t *buffer = reader->buffer, *data; /* what comes, and behind it what was sealed in that */
    Origin origin = {.tuple = NULL};
    Py_ssize_t size;
    int taken = -1;

    set_field(&waiting->lease->deadline, Py_NewRef(deadline));
    reader->buffer = NULL;
    if (buffer == NULL && (buffer = PyMem_Malloc(2 * RECEIVE_SIZE)) == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    data = buffer;
    size = receive(waiting, buffer, &origin);
    if (size >= 0 && waiting->opener != NULL) {
        data = buffer + RECEIVE_SIZE;
        size = open_sealed(waiting->opener, buffer, size, data);
    }
    if (size >= 0)
        taken = take_locked(waiting, data, size, &origin);
    if (reader->buffer == NULL)
        reader->buffer = buffer;
    else
        PyMem_Free(buffer);
    if (size == -2)
        return 0;
    if (taken < 0)
        return -1;
    waiting->lease->reads++;
    return waiting->straight != NULL && *waiting->straight != NULL ? 0 : go_on(waiting, timeout, deadline);
}

/* What came from outside: Python puts in order what is half done. -1 if it is to be raised: not where a signal handler
 * has closed the reader in the midst of this.
 */
static int
mend(const Receiving *known, ReaderFields *reader)
{
    PyObject *type, *error, *trace;
    int mended;

    if (PyErr_ExceptionMatches(PyExc_BlockingIOError)) { /* the time is up */
        PyErr_Clear();
        return 0;
    }
    PyErr_Fetch(&type, &error, &trace);
    mended = call((PyObject *)reader, known->mend);
    if (mended == 0 && (reader->closed != Py_True || !PyErr_GivenExceptionMatches(type, PyExc_OSError))) {
        PyErr_Restore(type, error, trace);
        return -1;
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return mended;
}

/* Give the right to read back, and wake who may take more than this thread does; an exception that is set stays. */
static int
end_turn(const Receiving *known, ReaderFields *reader, PyObject *lock)
{
    PyObject *type, *error, *trace, *waiters;
    int done = 0;

    PyErr_Fetch(&type, &error, &trace);
    if (lock_release(lock) < 0)
        done = -1;
    else if (reader->futures != NULL && PyObject_IsTrue(reader->futures) == 1 && PyObject_Size(reader->messages) > 0) {
        waiters = PyObject_GetAttr((PyObject *)reader, known->waiters);
        done = waiters == NULL ? -1 : call(waiters, known->wake);
        Py_XDECREF(waiters);
    }
    if (done < 0) {
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(trace);
        return -1;
    }
    PyErr_Restore(type, error, trace);
    return 0;
}

/* Twin: Reader.wait_any in ipcpy/subscribing/reader.py. -1 with an exception. */
static int
wait_for(State *state, PyObject *self, PyObject *timeout, PyObject *deadline, PyObject **straight)
{
    const Receiving *known = &state->receiving;
    ReaderFields *reader = (ReaderFields *)self;
    PyObject *waited;
    Waiting waiting;
    int done = 0, turn = 0;

    if (!begin(state, reader, timeout, straight, &waiting))
        goto otherwise;

    PyObject *kept[] = {waiting.turn, waiting.lock, waiting.socket, waiting.opener, (PyObject *)waiting.intake,
                        (PyObject *)waiting.inbound, (PyObject *)waiting.lease};
    for (size_t n = 0; n < sizeof kept / sizeof *kept; n++)
        Py_XINCREF(kept[n]);
    turn = take_turn(waiting.turn);
    if (turn > 0) {
        done = read_once(&waiting, timeout, deadline);
        if (done < 0)
            done = mend(known, reader);
        if (end_turn(known, reader, waiting.turn) < 0)
            done = -1;
    }
    for (size_t n = 0; n < sizeof kept / sizeof *kept; n++)
        Py_XDECREF(kept[n]);
    if (turn != 0)
        return turn < 0 || done < 0 ? -1 : 0;
otherwise:
    waited = PyObject_CallMethodObjArgs(self, known->wait_any, timeout, deadline, NULL);
    Py_XDECREF(waited);
    return waited == NULL ? -1 : 0;
}

/* Reader.wait(timeout, deadline) */
static PyObject *
reader_wait(PyObject *self, PyTypeObject *base, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    State *state = state_of(base);

    if (state == NULL)
        return NULL;
    if (count != 2 || names != NULL) {
        PyErr_SetString(PyExc_TypeError, "wait(timeout, deadline)");
        return NULL;
    }
    if (wait_for(state, self, args[0], args[1], NULL) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* -- one message for the user --------------------------------------------------------------------------------------- */

/* When a wait ends, by time.monotonic. */
static PyObject *
deadline_of(const Receiving *known, PyObject *timeout)
{
    PyObject *now, *deadline;

    if (timeout == Py_None)
        return Py_NewRef(known->never);
    now = PyObject_CallFunctionObjArgs(known->monotonic, NULL);
    deadline = now == NULL ? NULL : PyNumber_Add(now, timeout);
    Py_XDECREF(now);
    return deadline;
}

/* The timeout of a call of recv, borrowed: None or a float from 0 that select.poll takes; NULL where Python looks. */
static PyObject *
timeout_of(PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *timeout;
    double seconds;

    if (names != NULL) {
        if (count != 0 || PyTuple_Size(names) != 1 ||
            PyUnicode_CompareWithASCIIString(PyTuple_GetItem(names, 0), "timeout") != 0)
            return NULL;
        timeout = args[0];
    } else if (count > 1)
        return NULL;
    else
        timeout = count ? args[0] : Py_None;
    if (timeout == Py_None)
        return timeout;
    if (!PyFloat_CheckExact(timeout))
        return NULL;
    seconds = PyFloat_AsDouble(timeout);
    return seconds >= 0 && seconds <= FOR_EVER ? timeout : NULL;
}

/* The reader that a bound method `wait` belongs to, if it is that of C, which no other objects have; borrowed, NULL where
 * it is another. */
static PyObject *
reader_behind(PyObject *wait)
{
    if (wait == NULL || !PyCFunction_Check(wait) ||
        PyCFunction_GetFunction(wait) != (PyCFunction)(void (*)(void))reader_wait)
        return NULL;
    return PyCFunction_GetSelf(wait);
}

/* Call the twin as this was called. */
static PyObject *
recv_any(const Receiving *known, PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    PyObject *method = PyObject_GetAttr(self, known->recv_any), *given = PyTuple_New(count), *named = NULL;
    PyObject *message = NULL;

    if (method == NULL || given == NULL)
        goto end;
    for (Py_ssize_t n = 0; n < count; n++)
        PyTuple_SetItem(given, n, Py_NewRef(args[n]));
    if (names != NULL) {
        if ((named = PyDict_New()) == NULL)
            goto end;
        for (Py_ssize_t n = 0; n < PyTuple_Size(names); n++)
            if (PyDict_SetItem(named, PyTuple_GetItem(names, n), args[count + n]) < 0)
                goto end;
    }
    message = PyObject_Call(method, given, named);
end:
    Py_XDECREF(method);
    Py_XDECREF(given);
    Py_XDECREF(named);
    return message;
}

/* Twin: Subscriber.recv in ipcpy/subscribing/subscriber.py, where unread messages are a deque. */
static PyObject *
subscriber_recv(PyObject *self, PyTypeObject *base, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    State *state = state_of(base);
    PyObject *messages, *reader, *timeout, *deadline, *message = NULL;
    SubscriberFields *subscriber = (SubscriberFields *)self;

    if (state == NULL)
        return NULL;
    const Receiving *known = &state->receiving;
    timeout = timeout_of(args, count, names);
    messages = subscriber->messages;
    reader = reader_behind(subscriber->wait);
    if (timeout == NULL || reader == NULL || messages == NULL || (PyObject *)Py_TYPE(messages) != known->deque)
        return recv_any(known, self, args, count, names);
    if (PyObject_Size(messages) > 0)
        return PyObject_CallMethodObjArgs(messages, known->popleft, NULL);

    Py_INCREF(messages);
    Py_INCREF(reader);
    deadline = deadline_of(known, timeout);
    if (deadline == NULL || wait_for(state, reader, timeout, deadline, &message) < 0)
        Py_CLEAR(message); /* the clock raised, or not even a lock could be given back: there is no memory any more */
    else if (message == NULL) {
        if (PyObject_Size(messages) > 0)
            message = PyObject_CallMethodObjArgs(messages, known->popleft, NULL);
        else /* the time is up, only control frames came, another thread was faster, or it is closed */
            message = PyObject_CallMethodObjArgs(self, known->recv_by, deadline, timeout, NULL);
    }
    Py_DECREF(messages);
    Py_DECREF(reader);
    Py_XDECREF(deadline);
    return message;
}

/* -- what Python sees --------------------------------------------------------------------------------------------- */

static const char recv_doc[] =
    "recv($self, timeout=None)\n--\n\n"
    "Return the next message.\n\n"
    "Args:\n"
    "    timeout: seconds; None waits for ever, 0 only looks.\n\n"
    "Raises:\n"
    "    TimeoutError: if none came in time; its text says why, as ``why`` does.\n"
    "    ClosedError: (an OSError) if it is closed, also while waiting.";

PyMethodDef subscriber_methods[] = {
    {"recv", METHOD(subscriber_recv), recv_doc},
    {NULL, NULL, 0, NULL},
};

PyMethodDef reader_methods[] = {
    {"wait", METHOD(reader_wait), "Wait until something came, somebody called ``wake``, or the time is up."},
    {NULL, NULL, 0, NULL},
};

/* receives(Message, faster, Malformed): what messages are, who learns of one that was faster than all before, and what is
   raised where nothing can lie. */
static PyObject *
receives(PyObject *module, PyObject *args)
{
    Receiving *to = &((State *)PyModule_GetState(module))->receiving;
    PyObject *message, *faster, *malformed;

    if (!PyArg_ParseTuple(args, "O!OO!", &PyType_Type, &message, &faster, &PyType_Type, &malformed))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)message, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "a Message is a named tuple");
        return NULL;
    }
    set_field(&to->message, Py_NewRef(message));
    set_field(&to->faster, Py_NewRef(faster));
    set_field(&to->malformed, Py_NewRef(malformed));
    Py_RETURN_NONE;
}

/* take_over_recv(Subscriber): its recv is the one here from now on, and Python's is `_recv_any`. */
static PyObject *
take_over_recv(PyObject *module, PyObject *type)
{
    const Receiving *known = &((State *)PyModule_GetState(module))->receiving;
    PyObject *twin = PyObject_GetAttrString(type, "recv");
    PyObject *recv = PyObject_GetAttrString((PyObject *)known->subscriber, "recv");
    int done = -1;

    if (twin != NULL && recv != NULL && PyObject_SetAttr(type, known->recv_any, twin) == 0)
        done = PyObject_SetAttrString(type, "recv", recv);
    Py_XDECREF(twin);
    Py_XDECREF(recv);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"take_over_recv", take_over_recv, METH_O, "take_over_recv(Subscriber): have its recv be the compiled one."},
    {"receives", receives, METH_VARARGS,
     "receives(Message, faster, Malformed): have messages made, and the fastest noted."},
    {NULL, NULL, 0, NULL},
};

/* Learn which function of C socket.recvfrom is; a socket that is not open yet shows it. */
static int
know_recvfrom(Receiving *to)
{
    PyObject *module = PyImport_ImportModule("_socket"), *type = NULL, *socket = NULL, *method = NULL;

    if (module != NULL)
        type = PyObject_GetAttrString(module, "socket");
    if (type != NULL)
        socket = PyObject_CallMethod(type, "__new__", "O", type);
    if (socket != NULL)
        method = PyObject_GetAttrString(socket, "recvfrom");
    if (method != NULL && PyCFunction_Check(method))
        to->recvfrom = PyCFunction_GetFunction(method);
    else if (method != NULL)
        PyErr_SetString(PyExc_ImportError, "socket.recvfrom is not the system's");
    Py_XDECREF(module);
    Py_XDECREF(type);
    Py_XDECREF(socket);
    Py_XDECREF(method);
    return to->recvfrom == NULL ? -1 : 0;
}

int
add_receiving(PyObject *module)
{
    Receiving *to = &((State *)PyModule_GetState(module))->receiving;
    struct {
        PyObject **name;
        const char *text;
    } names[] = {
        {&to->append, "append"},     {&to->make_room, "make_room"}, {&to->take, "take"},
        {&to->take_any, "take_any"}, {&to->refuse, "_refuse"},      {&to->wait_any, "wait_any"},
        {&to->shared, "shared"},     {&to->gather, "_gather"},      {&to->go_on, "_go_on"},
        {&to->mend, "_mend"},        {&to->waiters, "_waiters"},    {&to->wake, "wake"},
        {&to->popleft, "popleft"},   {&to->recv_any, "_recv_any"},  {&to->recv_by, "_recv_by"},
    };
    PyObject *time = PyImport_ImportModule("time"), *collections = PyImport_ImportModule("collections");

    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        if ((*names[n].name = PyUnicode_InternFromString(names[n].text)) == NULL)
            break;
    if (time != NULL && (to->time_ns = PyObject_GetAttrString(time, "time_ns")) != NULL)
        to->monotonic = PyObject_GetAttrString(time, "monotonic");
    if (collections != NULL)
        to->deque = PyObject_GetAttrString(collections, "deque");
    to->never = PyFloat_FromDouble(INFINITY);
    Py_XDECREF(time);
    Py_XDECREF(collections);
    if (PyErr_Occurred() || know_recvfrom(to) < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
