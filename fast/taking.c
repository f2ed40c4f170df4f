/* Taking one small message: the books of its publisher, its value, into the inbox.
 *
 * Only for the common case: one whole DATA frame of a publisher that is known, from where it sends, with exactly the
 * number that is due. Everything else is Python's (`take_any`). C calls nothing that runs Python code before it has
 * seen that the case is common, and changes nothing before that.
 */

#include "noting.h"
#include "taking.h"
#include "wire.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#define MAX_FRAME 65535 /* as in ipcpy/protocol/wire.py */

int
is_number(PyObject *value, uint64_t number)
{
    uint64_t found;

    if (value == NULL || !PyLong_CheckExact(value))
        return 0;
    found = PyLong_AsUnsignedLongLong(value);
    if (found == UINT64_MAX && PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    return found == number;
}

/* -- where it came from ------------------------------------------------------------------------------------------ */

/* Know the numbers of an address; those of one that is none are 0, which no datagram comes from. */
static void
know(Numbers *numbers, PyObject *address)
{
    PyObject *host, *port;
    const char *text = NULL;
    struct in_addr ip;

    Py_INCREF(address);
    Py_XDECREF(numbers->of);
    *numbers = (Numbers){.of = address};
    if (!PyTuple_CheckExact(address) || PyTuple_Size(address) != 2)
        return;
    host = PyTuple_GetItem(address, 0);
    port = PyTuple_GetItem(address, 1);
    if (PyUnicode_CheckExact(host))
        text = PyUnicode_AsUTF8AndSize(host, NULL);
    if (text != NULL && inet_pton(AF_INET, text, &ip) == 1) {
        int64_t number = signed_or(port, 0);
        if (number > 0 && number <= UINT16_MAX) {
            numbers->ip = ip.s_addr;
            numbers->port = htons((uint16_t)number);
        }
    }
    PyErr_Clear(); /* of a text that is no UTF-8 */
}

static int
is_from(Numbers *numbers, PyObject *address, const Origin *origin)
{
    if (address == NULL || address == Py_None)
        return 0;
    if (origin->tuple != NULL)
        return PyTuple_CheckExact(address) && PyObject_RichCompareBool(address, origin->tuple, Py_EQ) == 1;
    if (numbers->of != address)
        know(numbers, address);
    return numbers->port != 0 && numbers->port == origin->port && numbers->ip == origin->ip;
}

int
comes_from(FlowFields *flow, const Origin *origin)
{
    int found = is_from(&flow->unicast, flow->address, origin) || is_from(&flow->group, flow->multicast, origin);

    if (!found)
        PyErr_Clear();
    return found;
}

PyObject *
tuple_of(const Origin *origin)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr ip = {.s_addr = origin->ip};

    if (origin->tuple != NULL)
        return Py_NewRef(origin->tuple);
    if (inet_ntop(AF_INET, &ip, text, sizeof text) == NULL)
        return PyErr_SetFromErrno(PyExc_OSError);
    return Py_BuildValue("(si)", text, (int)ntohs(origin->port));
}

/* -- what a datagram says ---------------------------------------------------------------------------------------- */

/* Read a datagram that is one DATA frame; 0 where it is anything else. Its check is still to be looked at. */
static int
read_datum(const uint8_t *data, Py_ssize_t size, Datum *datum)
{
    if (size <= HEADER_SIZE || size > MAX_FRAME || get32(data) != (DATA_WORD | (uint32_t)size))
        return 0;
    *datum = (Datum){
        .body = data + HEADER_SIZE,
        .size = size - HEADER_SIZE,
        .codec = get32(data + 4),
        .source = get64(data + 8),
        .seq = get64(data + 16),
        .sent_ns = get64(data + 24),
    };
    return 1;
}

/* Whether the bytes are those that were sent, as far as one has to look; a check that is there is taken off. */
static int
is_intact(const FlowFields *flow, Datum *datum)
{
    if (datum->codec == signed_or(flow->unchecked, -1))
        return 1;
    if (datum->codec != signed_or(flow->codec_number, -1) || datum->size < CHECK_SIZE ||
        crc32_of(0, datum->body - HEADER_SIZE, (size_t)(HEADER_SIZE + datum->size)) != CRC_RESIDUE)
        return 0;
    datum->size -= CHECK_SIZE;
    return 1;
}

/* The number of a publisher as Python has it, borrowed; NULL with an exception. Most often it is that of the last one. */
static PyObject *
number_of(InboundFields *inbound, uint64_t source)
{
    if (inbound->number == NULL || inbound->source != source) {
        PyObject *number = PyLong_FromUnsignedLongLong(source);
        if (number == NULL)
            return NULL;
        set_field(&inbound->number, number);
        inbound->source = source;
    }
    return inbound->number;
}

FlowFields *
flow_of(const Receiving *known, InboundFields *inbound, uint64_t source)
{
    PyObject *number, *flow;

    if (inbound->flows == NULL || !PyDict_CheckExact(inbound->flows))
        return NULL;
    number = number_of(inbound, source);
    flow = number == NULL ? NULL : PyDict_GetItemWithError(inbound->flows, number);
    if (flow == NULL)
        PyErr_Clear();
    if (!is_of(flow, known->flow))
        return NULL;
    FlowFields *found = (FlowFields *)flow;
    if (found->number != number && is_number(found->number, source)) /* what is the same is found without a comparison */
        set_field(&inbound->number, Py_NewRef(found->number));
    return found;
}

/* -- the books --------------------------------------------------------------------------------------------------- */

int64_t
wall_ns(const Receiving *known, PyObject *clock)
{
    struct timespec now;
    PyObject *told;
    int64_t ns;

    if (clock == known->time_ns && PyCFunction_Check(clock)) { /* and not one that somebody has put in its place */
        clock_gettime(CLOCK_REALTIME, &now);
        return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    }
    told = PyObject_CallFunctionObjArgs(clock, NULL);
    if (told == NULL)
        return -1;
    ns = signed_or(told, -1);
    Py_DECREF(told);
    return ns < FAR ? ns : -1;
}

int
note_time(State *state, IntakeFields *intake, FlowFields *flow, int64_t late)
{
    int behind = late < 0 ? faster(state, flow, late) : late > BEHIND;

    if (behind < 0)
        return -1;
    if (behind)
        set_field(&intake->behind, Py_NewRef(Py_True));
    return 0;
}

/* A new reference to what is in a field; NULL with an exception where somebody has deleted it meanwhile. */
static PyObject *
held(PyObject *value)
{
    if (value == NULL)
        PyErr_SetString(PyExc_AttributeError, "a field of a Flow was deleted");
    return Py_XNewRef(value);
}

static PyObject *
value_of(State *state, FlowFields *flow, const Datum *datum)
{
    PyObject *decode = held(flow->decode), *body, *value;

    if (decode == NULL)
        return NULL;
    if (Py_TYPE(decode) == state->receiving.decoder)
        value = decode_with(state, decode, datum->body, datum->size);
    else {
        body = PyBytes_FromStringAndSize((const char *)datum->body, datum->size);
        value = body == NULL ? NULL : PyObject_CallFunctionObjArgs(decode, body, NULL);
        Py_XDECREF(body);
    }
    Py_DECREF(decode);
    return value;
}

/* A body that cannot be decoded: Python counts it and says so. What is no Exception goes on. */
static int
refuse(const Receiving *known, InboundFields *inbound, FlowFields *flow, PyObject *seq)
{
    PyObject *type, *error, *trace, *done;

    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return -1;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL)
        PyException_SetTraceback(error, trace);
    done = PyObject_CallMethodObjArgs((PyObject *)inbound, known->refuse, (PyObject *)flow, seq, error, NULL);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* The Message of a value, which is taken over. */
static PyObject *
message_of(const Receiving *known, FlowFields *flow, const Datum *datum, int64_t received_ns, PyObject *value)
{
    PyTypeObject *type = (PyTypeObject *)known->message;
    PyObject *message = begin_tuple(type, 6);
    PyObject *fields[6];

    if (message == NULL) {
        Py_DECREF(value);
        return NULL;
    }
    fields[0] = value;
    fields[1] = held(flow->topic);
    fields[2] = Py_NewRef(datum->due);
    fields[3] = PyLong_FromLongLong((int64_t)datum->sent_ns);
    fields[4] = PyLong_FromLongLong(received_ns);
    fields[5] = held(flow->id);
    for (int n = 0; n < 6; n++)
        PyTuple_SetItem(message, n, fields[n]);
    if (PyErr_Occurred()) /* such as no memory for one of the numbers */
        Py_CLEAR(message);
    return finish_tuple(type, message);
}

/* Make room in the inbox for a message of so many bytes; -1 with an exception. */
static int
make_room(const Receiving *known, InboxFields *inbox, Py_ssize_t size)
{
    PyObject *number = PyLong_FromSsize_t(size), *done = NULL;
    Py_ssize_t there = PyObject_Size(inbox->sizes);
    int small = size <= signed_or(inbox->small, -1) && there < signed_or(inbox->depth, 0);

    if (there < 0)
        Py_CLEAR(number);
    if (number != NULL && small)
        done = PyObject_CallMethodObjArgs(inbox->sizes, known->append, number, NULL);
    else if (number != NULL)
        done = PyObject_CallMethodObjArgs((PyObject *)inbox, known->make_room, number, NULL);
    Py_XDECREF(number);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* The number of bytes that a flow has, and more; NULL with an exception. */
static PyObject *
more_bytes(const FlowFields *flow, Py_ssize_t more)
{
    int64_t bytes = signed_or(flow->bytes, -1);
    PyObject *number, *old, *sum;

    if (bytes >= 0 && bytes < FAR)
        return PyLong_FromLongLong(bytes + more);
    number = PyLong_FromSsize_t(more);
    old = number == NULL ? NULL : held(flow->bytes);
    sum = old == NULL ? NULL : PyNumber_InPlaceAdd(old, number);
    Py_XDECREF(old);
    Py_XDECREF(number);
    return sum;
}

/* Count a message and hand it to the inbox, or straight to who waits; all or nothing, nothing of Python's runs. */
static int
hand_over(const Receiving *known, InboxFields *inbox, FlowFields *flow, ReceiverFields *receiver, const Datum *datum,
          PyObject *message, PyObject **straight)
{
    PyObject *next = PyLong_FromUnsignedLongLong(datum->seq + 1), *done = NULL;
    PyObject *bytes = next == NULL ? NULL : more_bytes(flow, datum->size);

    if (bytes != NULL && straight != NULL)
        done = *straight = Py_NewRef(message);
    else if (bytes != NULL) {
        done = PyObject_CallMethodObjArgs(inbox->messages, known->append, message, NULL);
        Py_XDECREF(done);
    }
    if (done == NULL) {
        Py_XDECREF(next);
        Py_XDECREF(bytes);
        return -1;
    }
    set_field(&flow->bytes, bytes);
    set_field(&receiver->next, next);
    return 0;
}

/* Whether a message is all there is for who waits: none before it, and nothing that Python has to do after it. Its size
 * does not matter: what is taken at once takes no room in the inbox.
 */
static int
nothing_else(const IntakeFields *intake, const InboxFields *inbox)
{
    PyObject *timer = intake->timer;

    return intake->filling == Py_None && intake->behind == Py_False && timer != NULL && PyFloat_CheckExact(timer) &&
           PyFloat_AsDouble(timer) == INFINITY && PyObject_Size(inbox->messages) == 0;
}

int
is_usual(const Receiving *known, InboundFields *inbound, FlowFields *flow)
{
    InboxFields *inbox = (InboxFields *)inbound->inbox;

    return is_of(inbound->intake, known->intake) && is_of(inbound->inbox, known->inbox) && inbound->time_ns != NULL &&
           inbox->messages != NULL && inbox->sizes != NULL && flow->decode != NULL && flow->topic != NULL &&
           flow->id != NULL && flow->bytes != NULL && is_of(flow->receiver, known->receiver);
}

int
deliver_value(State *state, const Delivery *to, const Datum *datum, int64_t received_ns, PyObject *value,
              PyObject **straight)
{
    const Receiving *known = &state->receiving;
    PyObject *message;
    int done;

    if (value == NULL)
        return refuse(known, to->inbound, to->flow, datum->due);
    message = message_of(known, to->flow, datum, received_ns, value);
    if (message == NULL)
        return -1;
    if (straight != NULL && !nothing_else(to->intake, to->inbox))
        straight = NULL;
    done = straight == NULL ? make_room(known, to->inbox, datum->size) : 0;
    if (done == 0)
        done = hand_over(known, to->inbox, to->flow, to->receiver, datum, message, straight);
    Py_DECREF(message);
    return done < 0 ? -1 : 1;
}

/* See taking.h. Twin: the common case of Inbound.take_any in ipcpy/subscribing/inbound.py. */
int
take(State *state, InboundFields *inbound, const uint8_t *data, Py_ssize_t size, const Origin *origin,
     PyObject **straight)
{
    const Receiving *known = &state->receiving;
    ReceiverFields *receiver;
    FlowFields *flow;
    Datum datum;
    int64_t fastest_ns, received_ns;
    int done;

    if (!read_datum(data, size, &datum)) {
        done = take_placed(state, inbound, data, size, origin, straight);
        return done != 0 ? done : take_frames(state, inbound, data, size, origin);
    }
    if ((flow = flow_of(known, inbound, datum.source)) == NULL || !is_usual(known, inbound, flow))
        return 0;
    if (!comes_from(flow, origin))
        return 0;
    receiver = (ReceiverFields *)flow->receiver;
    if (receiver->waiting != Py_False || datum.seq == UINT64_MAX || !is_number(receiver->next, datum.seq) ||
        !is_intact(flow, &datum))
        return 0;
    fastest_ns = signed_or(flow->fastest_ns, INT64_MAX);
    if (datum.sent_ns >= (uint64_t)FAR || fastest_ns > FAR || fastest_ns < -FAR)
        return 0;

    Delivery to = {
        .inbound = inbound,
        .intake = (IntakeFields *)inbound->intake, /* a clock may run anything, and exchange both */
        .inbox = (InboxFields *)inbound->inbox,
        .flow = flow,
        .receiver = receiver,
    };
    PyObject *kept[] = {(PyObject *)flow,  (PyObject *)receiver, inbound->intake,
                        inbound->inbox, inbound->time_ns,     receiver->next};
    for (size_t n = 0; n < sizeof kept / sizeof *kept; n++)
        Py_INCREF(kept[n]);
    datum.due = receiver->next;
    received_ns = wall_ns(known, inbound->time_ns);
    if (received_ns < 0)
        done = PyErr_Occurred() ? -1 : 0;
    else if (note_time(state, to.intake, flow, received_ns - (int64_t)datum.sent_ns - fastest_ns) < 0)
        done = -1;
    else
        done = deliver_value(state, &to, &datum, received_ns, value_of(state, flow, &datum), straight) < 0 ? -1 : 1;
    for (size_t n = 0; n < sizeof kept / sizeof *kept; n++)
        Py_DECREF(kept[n]);
    return done;
}

/* Inbound.take(data, address) */
static PyObject *
inbound_take(PyObject *self, PyTypeObject *base, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    State *state = state_of(base);
    int done = 0;

    if (state == NULL)
        return NULL;
    if (count != 2 || names != NULL) {
        PyErr_SetString(PyExc_TypeError, "take(data, address)");
        return NULL;
    }
    if (PyBytes_CheckExact(args[0]) && PyTuple_CheckExact(args[1])) {
        Origin origin = {.tuple = args[1]};
        done = take(state, (InboundFields *)self, (const uint8_t *)PyBytes_AsString(args[0]), PyBytes_Size(args[0]),
                    &origin, NULL);
    }
    if (done < 0)
        return NULL;
    if (done > 0)
        Py_RETURN_NONE;
    return PyObject_CallMethodObjArgs(self, state->receiving.take_any, args[0], args[1], NULL);
}

PyMethodDef inbound_methods[] = {
    {"take", METHOD(inbound_take), "Take one datagram, or the merged buffer of several from one sender."},
    {NULL, NULL, 0, NULL},
};
