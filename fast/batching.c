/* Taking many small messages at once: frames that lie end to end in one datagram, or in the merged buffer of several, and
 * above all BATCH frames, each of which holds many messages.
 *
 * Only for the common case, as in taking.c: each frame is from where its publisher sends, with exactly the number that is
 * due. From the first frame on that is anything else, the rest of the datagram is Python's. A message is made here; room
 * for all of a frame is made by Inbox.put_all, once. What decodes to types of somebody's is called by decode_many, once.
 */

#include "noting.h"
#include "taking.h"
#include "wire.h"

#include <netinet/in.h>

#define COUNTS_SIZE 4 /* of a batch's body: how many items, and their size or 0 */
#define LARGE 1024    /* bytes from which on Python's CRC-32 is the faster one, though it has to be called */

/* A BATCH frame, of which nothing is known yet. */
typedef struct {
    const uint8_t *items, *end;
    unsigned count, size; /* of each item; 0 where each is preceded by its own */
    uint64_t source, seq, sent_ns;
    int64_t codec; /* with flags and extra, as in FAST_HEADER */
} Batch;

/* -- what a frame says ------------------------------------------------------------------------------------------- */

/* The length of the frame that bytes begin with, if it is one to be taken here, and is there; else 0. */
static Py_ssize_t
frame_length(const uint8_t *data, Py_ssize_t size)
{
    uint32_t word;
    Py_ssize_t length;

    if (size < OVERHEAD)
        return 0;
    word = get32(data);
    length = word & ~KIND_MASK;
    word &= KIND_MASK;
    return (word == DATA_WORD || word == BATCH_WORD) && length >= HEADER_SIZE && length <= size ? length : 0;
}

/* Read a BATCH frame whose check is still to be looked at; 0 where count and size do not agree with its length. */
static int
read_batch(const uint8_t *data, Py_ssize_t length, Batch *batch)
{
    const uint8_t *body = data + HEADER_SIZE;

    if (length < OVERHEAD + COUNTS_SIZE)
        return 0;
    *batch = (Batch){
        .items = body + COUNTS_SIZE,
        .end = data + length - (OVERHEAD - HEADER_SIZE),
        .count = get32(body) & 0xFFFF,
        .size = get32(body) >> 16,
        .codec = get32(data + 4),
        .source = get64(data + 8),
        .seq = get64(data + 16),
        .sent_ns = get64(data + 24),
    };
    if (batch->count == 0 || batch->seq >= UINT64_MAX - 0xFFFF || batch->sent_ns >= (uint64_t)FAR)
        return 0;
    return batch->size == 0 || (Py_ssize_t)batch->count * batch->size == batch->end - batch->items;
}

/* Whether the bytes of a frame are those that were sent. */
static int
is_intact(const Batching *known, const uint8_t *data, Py_ssize_t length)
{
    PyObject *view, *told;
    unsigned long check = 0;

    if (length < LARGE)
        return crc32_of(0, data, (size_t)length) == CRC_RESIDUE;
    view = PyMemoryView_FromMemory((char *)data, length, PyBUF_READ);
    told = view == NULL ? NULL : PyObject_CallFunctionObjArgs(known->crc32, view, NULL);
    if (told != NULL)
        check = PyLong_AsUnsignedLong(told);
    Py_XDECREF(view);
    Py_XDECREF(told);
    PyErr_Clear(); /* then Python looks */
    return check == CRC_RESIDUE;
}

/* The next item of a batch, and its bytes in ``size``; NULL where it does not end within the frame. */
static const uint8_t *
next_item(const Batch *batch, const uint8_t *at, Py_ssize_t *size)
{
    *size = batch->size;
    if (batch->size == 0) {
        if (batch->end - at < 2)
            return NULL;
        *size = at[0] | at[1] << 8;
        at += 2;
    }
    return batch->end - at < *size ? NULL : at;
}

/* -- values ------------------------------------------------------------------------------------------------------ */

/* Add a reference that is taken over, if there is one, to a list; -1 if there is none, or it cannot be added. */
static int
append_new(PyObject *list, PyObject *item)
{
    int done = item == NULL ? -1 : PyList_Append(list, item);

    Py_XDECREF(item);
    return done;
}

/* The values of all items, one by one, and the bytes of each into ``sizes``; NULL, with an exception or without, where
 * that is not possible. */
static PyObject *
each_value(State *state, PyObject *decode, const Batch *batch, PyObject *sizes)
{
    int plain = Py_TYPE(decode) == state->receiving.decoder;
    const uint8_t *at = batch->items, *item;
    PyObject *values = PyList_New(0), *value, *body;
    Py_ssize_t size;

    for (unsigned n = 0; values != NULL && n < batch->count; n++, at = item + size) {
        item = next_item(batch, at, &size);
        if (item == NULL)
            value = NULL;
        else if (plain)
            value = decode_plainly(state, decode, item, size);
        else {
            body = PyBytes_FromStringAndSize((const char *)item, size);
            value = body == NULL ? NULL : PyObject_CallFunctionObjArgs(decode, body, NULL);
            Py_XDECREF(body);
        }
        if (append_new(values, value) < 0 || append_new(sizes, PyLong_FromSsize_t(size)) < 0) {
            Py_CLEAR(values);
            return NULL;
        }
    }
    if (values != NULL && at != batch->end)
        Py_CLEAR(values);
    return values;
}

/* The values of items of one size, as decode_many has them; NULL, with an exception or without, where it has not. */
static PyObject *
all_values(const Batching *known, FlowFields *flow, const Batch *batch)
{
    PyObject *decode_many = PyObject_GetAttr((PyObject *)flow, known->decode_many), *values = NULL;
    PyObject *data = PyBytes_FromStringAndSize((const char *)batch->items, batch->end - batch->items);
    PyObject *size = PyLong_FromUnsignedLong(batch->size);

    if (decode_many != NULL && data != NULL && size != NULL)
        values = PyObject_CallFunctionObjArgs(decode_many, data, size, NULL);
    if (values != NULL && !(PyList_CheckExact(values) && PyList_Size(values) == (Py_ssize_t)batch->count))
        Py_CLEAR(values);
    Py_XDECREF(decode_many);
    Py_XDECREF(data);
    Py_XDECREF(size);
    return values;
}

/* Twin: decode_batch in ipcpy/subscribing/decoding.py. NULL, with an exception or without, where the items have to be
 * decoded one by one, with a look at each. */
static PyObject *
values_of(State *state, FlowFields *flow, const Batch *batch, PyObject *sizes)
{
    PyObject *decode = Py_XNewRef(flow->decode), *values = NULL, *size;

    if (decode != NULL && (batch->size == 0 || Py_TYPE(decode) == state->receiving.decoder))
        values = each_value(state, decode, batch, sizes);
    Py_XDECREF(decode);
    if (values != NULL || batch->size == 0 || PyErr_Occurred())
        return values;
    size = PyLong_FromUnsignedLong(batch->size);
    if (size == NULL || PyList_SetSlice(sizes, 0, PyList_Size(sizes), NULL) < 0) {
        Py_XDECREF(size);
        return NULL;
    }
    for (unsigned n = 0; n < batch->count && PyList_Append(sizes, size) == 0; n++)
        continue;
    Py_DECREF(size);
    return PyErr_Occurred() ? NULL : all_values(&state->batching, flow, batch);
}

/* Whether Python is to decode the items one by one, after what was raised: 1; 0 where that goes on to whoever calls. */
static int
is_for_python(const Batching *known)
{
    PyObject *type, *error, *trace, *told;

    if (!PyErr_Occurred())
        return 1;
    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return 0;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    told = PyObject_CallFunctionObjArgs(known->raise_alarm, error, NULL);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    Py_XDECREF(told);
    return told != NULL;
}

/* What came of a try that has made no values: 0 if Python is to decode them one by one, or -1 with an exception that
 * means something else; then the time is noted, as Python would have done before. */
static int
give_up(State *state, IntakeFields *intake, FlowFields *flow, int64_t late)
{
    PyObject *type, *error, *trace;

    if (is_for_python(&state->batching))
        return 0;
    PyErr_Fetch(&type, &error, &trace);
    if (note_time(state, intake, flow, late) < 0) {
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(trace);
        return -1;
    }
    PyErr_Restore(type, error, trace);
    return -1;
}

/* -- messages ---------------------------------------------------------------------------------------------------- */

/* Whether no circle of references can lead through a value, now or later: the garbage collector need not look at it. Of
 * tuples it looks at none that hold only such values, once it has seen them; those of decoding.c it never looks at. */
static int
is_at_an_end(PyObject *value)
{
    if (PyTuple_Check(value))
        return !PyObject_GC_IsTracked(value);
    return !(PyType_GetFlags(Py_TYPE(value)) & Py_TPFLAGS_HAVE_GC);
}

/* One Message; takes over all but ``rest``, which all of a batch share: topic, sent_ns, received_ns, publisher. */
static PyObject *
message_of(PyTypeObject *type, PyObject *value, PyObject *seq, PyObject *const *rest)
{
    PyObject *message = seq == NULL ? NULL : begin_tuple(type, 6);

    if (message == NULL) {
        Py_DECREF(value);
        Py_XDECREF(seq);
        return NULL;
    }
    PyTuple_SetItem(message, 0, value);
    PyTuple_SetItem(message, 1, Py_NewRef(rest[0]));
    PyTuple_SetItem(message, 2, seq);
    for (int n = 1; n < 4; n++)
        PyTuple_SetItem(message, n + 2, Py_NewRef(rest[n]));
    return finish_tuple(type, message);
}

/* A list of the Messages of values; NULL with an exception. The list of values may be one that a codec keeps. */
static PyObject *
messages_of(const Receiving *known, FlowFields *flow, const Batch *batch, int64_t received_ns, PyObject *values)
{
    PyTypeObject *type = (PyTypeObject *)known->message;
    PyObject *rest[] = {Py_XNewRef(flow->topic), PyLong_FromLongLong((int64_t)batch->sent_ns),
                        PyLong_FromLongLong(received_ns), Py_XNewRef(flow->id)};
    PyObject *messages = PyList_New(batch->count), *value, *message;
    int done = messages && rest[0] && rest[1] && rest[2] && rest[3] ? 0 : -1;
    int ends = done == 0 && is_at_an_end(rest[0]) && is_at_an_end(rest[3]);

    if (done < 0 && !PyErr_Occurred())
        PyErr_SetString(PyExc_AttributeError, "a field of a Flow was deleted");
    for (unsigned n = 0; done == 0 && n < batch->count; n++) {
        value = PyList_GetItem(values, n);
        message = value == NULL ? NULL
                                : message_of(type, Py_NewRef(value), PyLong_FromUnsignedLongLong(batch->seq + n), rest);
        if (message != NULL && ends && is_at_an_end(value)) /* many wait in an inbox: it looks again and again */
            PyObject_GC_UnTrack(message);
        done = message == NULL ? -1 : PyList_SetItem(messages, n, message);
    }
    for (int n = 0; n < 4; n++)
        Py_XDECREF(rest[n]);
    if (done < 0)
        Py_CLEAR(messages);
    return messages;
}

/* Add a number to an attribute that is one; -1 with an exception. */
static int
add_to(PyObject *owner, PyObject *name, PyObject *number)
{
    PyObject *value = PyObject_GetAttr(owner, name), *sum = value == NULL ? NULL : PyNumber_Add(value, number);
    int done = sum == NULL ? -1 : PyObject_SetAttr(owner, name, sum);

    Py_XDECREF(value);
    Py_XDECREF(sum);
    return done;
}

/* Count the messages, and hand them to the inbox, step by step as Flow._put_all: what an exception from outside leaves
 * half done is put in order by Intake.mend, which finds the same books. */
static int
hand_over(const Batching *known, PyObject *intake, PyObject *inbox, FlowFields *flow, ReceiverFields *receiver,
          const Batch *batch, PyObject *messages, PyObject *sizes)
{
    Py_ssize_t items = batch->end - batch->items - (batch->size ? 0 : 2 * (Py_ssize_t)batch->count);
    PyObject *count = PyLong_FromUnsignedLong(batch->count), *bytes = PyLong_FromSsize_t(items), *done = NULL;
    PyObject *next = PyLong_FromUnsignedLongLong(batch->seq + batch->count);
    int handed = -1;

    if (count != NULL && bytes != NULL && next != NULL)
        done = PyObject_CallMethodObjArgs(intake, known->begin, (PyObject *)receiver, NULL);
    if (done != NULL) {
        Py_DECREF(done);
        set_field(&receiver->next, Py_NewRef(next));
        done = PyObject_CallMethodObjArgs(inbox, known->put_all, messages, sizes, NULL);
    }
    if (done != NULL && add_to((PyObject *)flow, known->bytes, bytes) == 0 &&
        add_to(intake, known->handed, count) == 0)
        handed = PyObject_SetAttr(intake, known->delivering, Py_None);
    Py_XDECREF(count);
    Py_XDECREF(bytes);
    Py_XDECREF(next);
    Py_XDECREF(done);
    return handed;
}

/* -- a batch ----------------------------------------------------------------------------------------------------- */

/* Whether a publisher is matched, and can have come to a number: 1 or 0; -1 with an exception. */
static int
can_come(const Batching *known, PyObject *intake, FlowFields *flow, uint64_t seq)
{
    PyObject *matched = PyObject_GetAttr((PyObject *)flow, known->matched), *clock = NULL, *now = NULL, *told = NULL;
    PyObject *reach = NULL, *number = NULL;
    int done = matched == NULL ? -1 : 0;

    if (matched == Py_True) {
        clock = PyObject_GetAttr(intake, known->clock);
        now = clock == NULL ? NULL : PyObject_CallFunctionObjArgs(clock, NULL);
        reach = now == NULL ? NULL : PyObject_GetAttr((PyObject *)flow, known->reach);
        number = reach == NULL ? NULL : PyLong_FromUnsignedLongLong(seq);
        told = number == NULL ? NULL : PyObject_CallMethodObjArgs(reach, known->holds, number, now, NULL);
        done = told == NULL ? -1 : told == Py_True;
    }
    Py_XDECREF(matched);
    Py_XDECREF(clock);
    Py_XDECREF(now);
    Py_XDECREF(reach);
    Py_XDECREF(number);
    Py_XDECREF(told);
    return done;
}

/* Take the messages of a batch that is due. Everything that is used is kept alive: a decoder may run anything. */
static int
deliver(State *state, InboundFields *inbound, PyObject *intake, PyObject *inbox, FlowFields *flow,
        ReceiverFields *receiver, const Batch *batch, int64_t fastest_ns)
{
    int64_t received_ns = wall_ns(&state->receiving, inbound->time_ns);
    int64_t late = received_ns - (int64_t)batch->sent_ns - fastest_ns;
    PyObject *sizes, *values, *messages = NULL;
    int done = -1;

    if (received_ns < 0)
        return PyErr_Occurred() ? -1 : 0;
    sizes = PyList_New(0);
    values = sizes == NULL ? NULL : values_of(state, flow, batch, sizes);
    if (values == NULL)
        done = give_up(state, (IntakeFields *)intake, flow, late);
    else if (note_time(state, (IntakeFields *)intake, flow, late) == 0 &&
             (messages = messages_of(&state->receiving, flow, batch, received_ns, values)) != NULL &&
             hand_over(&state->batching, intake, inbox, flow, receiver, batch, messages, sizes) == 0)
        done = 1;
    Py_XDECREF(messages);
    Py_XDECREF(values);
    Py_XDECREF(sizes);
    return done;
}

/* Take a BATCH frame; 1, 0 and -1 as ``take``. Twins: Inbound._take_frame, Flow.take_messages and Flow._put_all. */
static int
take_batch(State *state, InboundFields *inbound, const uint8_t *data, Py_ssize_t length, const Origin *origin)
{
    const Receiving *known = &state->receiving;
    ReceiverFields *receiver;
    FlowFields *flow;
    Batch batch;
    int64_t fastest_ns;
    int done;

    if (!read_batch(data, length, &batch) || (flow = flow_of(known, inbound, batch.source)) == NULL ||
        !is_usual(known, inbound, flow))
        return 0;
    if (!comes_from(flow, origin))
        return 0;
    receiver = (ReceiverFields *)flow->receiver;
    if (receiver->waiting != Py_False || !is_number(receiver->next, batch.seq) ||
        batch.codec != signed_or(flow->codec_number, -1))
        return 0;
    fastest_ns = signed_or(flow->fastest_ns, INT64_MAX);
    if (fastest_ns > FAR || fastest_ns < -FAR)
        return 0;

    PyObject *intake = inbound->intake, *inbox = inbound->inbox;
    PyObject *kept[] = {(PyObject *)flow, (PyObject *)receiver, intake, inbox, inbound->time_ns};
    for (size_t n = 0; n < sizeof kept / sizeof *kept; n++)
        Py_INCREF(kept[n]);
    done = is_intact(&state->batching, data, length) ? can_come(&state->batching, intake, flow, batch.seq) : 0;
    if (done > 0)
        done = deliver(state, inbound, intake, inbox, flow, receiver, &batch, fastest_ns);
    for (size_t n = 0; n < sizeof kept / sizeof *kept; n++)
        Py_DECREF(kept[n]);
    return done;
}

/* -- all frames of a datagram ------------------------------------------------------------------------------------ */

/* Have what is left of a datagram taken by whoever takes datagrams first, which may be asides.py; -1 with an exception, else 1. */
static int
leave_rest(const Receiving *known, InboundFields *inbound, const uint8_t *data, Py_ssize_t size, const Origin *origin)
{
    PyObject *rest = PyBytes_FromStringAndSize((const char *)data, size), *address = tuple_of(origin), *done = NULL;

    if (rest != NULL && address != NULL)
        done = PyObject_CallMethodObjArgs((PyObject *)inbound, known->take, rest, address, NULL);
    Py_XDECREF(rest);
    Py_XDECREF(address);
    Py_XDECREF(done);
    return done == NULL ? -1 : 1;
}

/* Have the timer of a publisher be looked at in time, as Flow.take_messages does; -1 with an exception, else 1. */
static int
set_timer(const Batching *known, PyObject *intake, PyObject *receiver)
{
    PyObject *when = PyObject_CallMethodObjArgs(receiver, known->next_timer, NULL), *done = NULL;

    if (when != NULL)
        done = PyObject_CallMethodObjArgs(intake, known->by, when, NULL);
    Py_XDECREF(when);
    Py_XDECREF(done);
    return done == NULL ? -1 : 1;
}

/* Whether something came over loopback, which changes no byte. */
static int
is_from_here(const Origin *origin)
{
    PyObject *host;

    if (origin->tuple == NULL)
        return origin->ip == htonl(INADDR_LOOPBACK);
    host = PyTuple_Size(origin->tuple) > 0 ? PyTuple_GetItem(origin->tuple, 0) : NULL;
    return host != NULL && PyUnicode_Check(host) && PyUnicode_CompareWithASCIIString(host, "127.0.0.1") == 0;
}

/* Take one DATA frame among others, of a publisher that is matched; one without a check only from this host. */
static int
take_among(State *state, InboundFields *inbound, const uint8_t *data, Py_ssize_t length, const Origin *origin)
{
    FlowFields *flow = flow_of(&state->receiving, inbound, get64(data + 8));
    PyObject *intake = inbound->intake, *receiver;
    int done;

    if (flow == NULL || !is_usual(&state->receiving, inbound, flow) ||
        ((get32(data + 4) & UNCHECKED) && !is_from_here(origin)))
        return 0;
    receiver = flow->receiver;
    Py_INCREF((PyObject *)flow);
    Py_INCREF(intake);
    Py_INCREF(receiver);
    done = can_come(&state->batching, intake, flow, get64(data + 16));
    if (done > 0)
        done = take(state, inbound, data, length, origin, NULL);
    if (done > 0)
        done = set_timer(&state->batching, intake, receiver);
    Py_DECREF((PyObject *)flow);
    Py_DECREF(intake);
    Py_DECREF(receiver);
    return done;
}

/* See taking.h. Twin: Inbound._take_frames in ipcpy/subscribing/inbound.py. */
int
take_frames(State *state, InboundFields *inbound, const uint8_t *data, Py_ssize_t size, const Origin *origin)
{
    Py_ssize_t at = 0, length;
    int done = 0;

    if (state->batching.crc32 == NULL)
        return 0;
    while ((length = frame_length(data + at, size - at)) > 0) {
        if ((get32(data + at) & KIND_MASK) == BATCH_WORD)
            done = take_batch(state, inbound, data + at, length, origin);
        else if (length < size)
            done = take_among(state, inbound, data + at, length, origin);
        else
            done = 0;
        if (done <= 0)
            break;
        at += length;
    }
    if (done < 0 || at == 0)
        return done;
    return at < size ? leave_rest(&state->receiving, inbound, data + at, size - at, origin) : 1;
}

/* -- what Python sees -------------------------------------------------------------------------------------------- */

/* batches(crc32, raise_alarm): from now on frames that lie end to end are taken in C. */
static PyObject *
batches(PyObject *module, PyObject *args)
{
    Batching *to = &((State *)PyModule_GetState(module))->batching;
    PyObject *crc32, *raise_alarm;

    if (!PyArg_ParseTuple(args, "OO", &crc32, &raise_alarm))
        return NULL;
    set_field(&to->crc32, Py_NewRef(crc32));
    set_field(&to->raise_alarm, Py_NewRef(raise_alarm));
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"batches", batches, METH_VARARGS, "batches(crc32, raise_alarm): have many messages be taken at once."},
    {NULL, NULL, 0, NULL},
};

int
add_batching(PyObject *module)
{
    Batching *to = &((State *)PyModule_GetState(module))->batching;
    struct {
        PyObject **name;
        const char *text;
    } names[] = {
        {&to->begin, "begin"},     {&to->bytes, "bytes"},           {&to->clock, "clock"},
        {&to->handed, "handed"},   {&to->decode_many, "decode_many"}, {&to->delivering, "delivering"},
        {&to->holds, "holds"},     {&to->matched, "matched"},       {&to->put_all, "put_all"},
        {&to->reach, "reach"},     {&to->next_timer, "next_timer"},   {&to->by, "by"},
    };

    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        if ((*names[n].name = PyUnicode_InternFromString(names[n].text)) == NULL)
            return -1;
    return PyModule_AddFunctions(module, functions);
}
