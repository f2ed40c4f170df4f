/* Taking one message that lies in shared memory: where it lies is looked at here, what lies there is Python's to hold
 * (`Shared.take`), and the message goes to the inbox, or to who waits.
 *
 * Only for the common case, as taking.c: one whole PLACED frame of a publisher of this host, with exactly the number that
 * is due. Everything else is Python's (`take_any`), and so is all that is wrong with the frame or the place.
 */

#include "noting.h"
#include "taking.h"
#include "wire.h"

/* As in ipcpy/protocol/data/places.py and fragments.py. */
#define SPOT_SIZE 32
#define PLACED_SIZE (HEADER_SIZE + SPOT_SIZE + CHECK_SIZE)
#define TABLE_SIZE 8192
#define ENTRIES 1024
#define MAX_SEGMENTS 16
#define MAX_MAPPED (UINT64_C(1) << 30)
#define MAX_MESSAGE (UINT64_C(64) << 20)
#define MAX_GENERATION ((UINT64_C(1) << 62) - 1)

typedef struct {
    uint32_t segment, entry;
    uint64_t generation, offset, size;
} Spot;

/* Read where a message lies; 0 if nothing can lie there. Twin: unpack_spot. */
static int
read_spot(const uint8_t *body, Spot *spot)
{
    *spot = (Spot){
        .segment = get32(body),
        .entry = get32(body + 4),
        .generation = get64(body + 8),
        .offset = get64(body + 16),
        .size = get64(body + 24),
    };
    return spot->segment < MAX_SEGMENTS && spot->entry < ENTRIES && spot->generation > 0 &&
           spot->generation <= MAX_GENERATION && spot->size > 0 && spot->size <= MAX_MESSAGE &&
           spot->offset >= (spot->segment ? 0 : TABLE_SIZE) && spot->offset <= MAX_MAPPED - spot->size;
}

/* Whether nobody wants it noted how long messages take. */
static int
notes_nothing(const State *state, const FlowFields *flow)
{
    if (flow->noted == NULL || (PyObject *)Py_TYPE(flow->noted) != state->counting.array)
        return 0;
    return PyObject_Size(flow->noted) >= signed_or(flow->enough, INT64_MAX);
}

/* What lies at a spot, None if nothing does any more; NULL without an exception where Python is to say what is wrong: it
 * tries again, for nothing was done then. */
static PyObject *
take_from(const Receiving *known, PyObject *shared, const Spot *spot)
{
    PyObject *where = Py_BuildValue("(IIKKK)", (unsigned int)spot->segment, (unsigned int)spot->entry,
                                    (unsigned long long)spot->generation, (unsigned long long)spot->offset,
                                    (unsigned long long)spot->size);
    PyObject *body = where == NULL ? NULL : PyObject_CallMethodObjArgs(shared, known->take, where, NULL);

    Py_XDECREF(where);
    if (body == NULL && PyErr_ExceptionMatches(known->malformed))
        PyErr_Clear();
    return body;
}

/* Take what lies at a spot, and deliver it. All that is given is kept alive by the caller. */
static int
deliver_from(State *state, const Delivery *to, PyObject *shared, const Spot *spot, const Datum *datum, int64_t received_ns,
             PyObject **straight)
{
    FlowFields *flow = to->flow;
    int64_t before = signed_or(flow->shared, -1); /* a clock may have changed it */
    PyObject *decode, *value = NULL, *count, *body;
    int done = 1;

    if (before < 0 || before >= FAR)
        return 0;
    count = PyLong_FromLongLong(before + 1);
    body = count == NULL ? NULL : take_from(&state->receiving, shared, spot);
    if (body == NULL)
        done = PyErr_Occurred() ? -1 : 0;
    else if (body != Py_None) {
        decode = Py_XNewRef(flow->decode);
        if (decode == NULL)
            PyErr_SetString(PyExc_AttributeError, "a field of a Flow was deleted");
        else
            value = PyObject_CallFunctionObjArgs(decode, body, NULL);
        Py_XDECREF(decode);
        done = deliver_value(state, to, datum, received_ns, value, straight);
        if (done > 0)
            set_field(&flow->shared, Py_NewRef(count));
        done = done < 0 ? -1 : 1;
    }
    Py_XDECREF(body);
    Py_XDECREF(count);
    return done;
}

/* The same, with a look whether there is shared memory, and at the clock; 0 where Python is to look. */
static int
deliver_kept(State *state, const Delivery *to, PyObject *memory, PyObject *clock, const Spot *spot, const Datum *datum,
             PyObject **straight)
{
    const Receiving *known = &state->receiving;
    PyObject *shared = PyObject_GetAttr(memory, known->shared);
    int64_t received_ns;
    int done = 0;

    if (shared == NULL)
        PyErr_Clear();
    else if (shared != Py_None) {
        received_ns = wall_ns(known, clock);
        if (received_ns >= 0)
            done = deliver_from(state, to, shared, spot, datum, received_ns, straight);
        else
            done = PyErr_Occurred() ? -1 : 0;
    }
    Py_XDECREF(shared);
    return done;
}

/* Whether a frame of a flow is one that is due, and is what was sent. */
static int
is_due(const FlowFields *flow, const ReceiverFields *receiver, const uint8_t *data, const Datum *datum)
{
    return receiver->waiting == Py_False && datum->seq != UINT64_MAX && is_number(receiver->next, datum->seq) &&
           datum->codec == signed_or(flow->codec_number, -1) && datum->sent_ns < (uint64_t)FAR &&
           crc32_of(0, data, PLACED_SIZE) == CRC_RESIDUE;
}

/* See taking.h. Twin: Inbound._take_placed in ipcpy/subscribing/inbound.py. */
int
take_placed(State *state, InboundFields *inbound, const uint8_t *data, Py_ssize_t size, const Origin *origin,
            PyObject **straight)
{
    const Receiving *known = &state->receiving;
    Spot spot;

    if (size != PLACED_SIZE || get32(data) != (PLACED_WORD | PLACED_SIZE) || known->malformed == NULL ||
        !read_spot(data + HEADER_SIZE, &spot))
        return 0;
    Datum datum = {
        .size = (Py_ssize_t)spot.size,
        .codec = get32(data + 4),
        .source = get64(data + 8),
        .seq = get64(data + 16),
        .sent_ns = get64(data + 24),
    };
    FlowFields *flow = flow_of(known, inbound, datum.source);
    if (flow == NULL || flow->local != Py_True || flow->memory == NULL || !is_usual(known, inbound, flow) ||
        !comes_from(flow, origin))
        return 0;
    ReceiverFields *receiver = (ReceiverFields *)flow->receiver;
    if (!is_due(flow, receiver, data, &datum) || !notes_nothing(state, flow))
        return 0;

    Delivery to = {
        .inbound = inbound,
        .intake = (IntakeFields *)inbound->intake,
        .inbox = (InboxFields *)inbound->inbox,
        .flow = flow,
        .receiver = receiver,
    };
    PyObject *memory = flow->memory, *clock = inbound->time_ns;
    PyObject *kept[] = {(PyObject *)flow, (PyObject *)receiver, inbound->intake, inbound->inbox, clock,
                        memory,           receiver->next}; /* whoever is asked from here on may run anything */
    for (size_t n = 0; n < sizeof kept / sizeof *kept; n++)
        Py_INCREF(kept[n]);
    datum.due = receiver->next;
    int done = deliver_kept(state, &to, memory, clock, &spot, &datum, straight);
    for (size_t n = 0; n < sizeof kept / sizeof *kept; n++)
        Py_DECREF(kept[n]);
    return done;
}
