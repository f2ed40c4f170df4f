/* Taking one datagram, for those that receive them. */

#ifndef IPCPY_TAKING_H
#define IPCPY_TAKING_H

#include "state.h"

/* Where a datagram came from: Python's tuple, or NULL and numbers in the order of the network. */
typedef struct {
    PyObject *tuple;
    uint32_t ip;
    uint16_t port;
} Origin;

/* A frame of one message that is as long as its datagram, and of which nothing is known yet. */
typedef struct {
    const uint8_t *body;
    Py_ssize_t size; /* of the body */
    uint64_t source, seq, sent_ns;
    int64_t codec; /* with flags and extra, as in FAST_HEADER */
    PyObject *due; /* seq, as Python has it, once it is known to be due; borrowed */
} Datum;

/* Where a message goes; all of it is kept alive meanwhile, for a decoder may run anything. */
typedef struct {
    InboundFields *inbound;
    IntakeFields *intake;
    InboxFields *inbox;
    FlowFields *flow;
    ReceiverFields *receiver;
} Delivery;

/* Take a datagram as Inbound.take does; the lock is held.
 *
 * 1: the datagram is taken, and its message is in the inbox, or in `straight` if that is given and nothing else is to
 * be done. 0: Python has to take it, nothing was done. -1: there is an exception.
 */
int take(State *state, InboundFields *inbound, const uint8_t *data, Py_ssize_t size, const Origin *origin,
         PyObject **straight);

/* The same for the frames of a datagram that lie end to end, or whose one frame is a batch: those that are common, and
 * Python takes the rest. See batching.c. */
int take_frames(State *state, InboundFields *inbound, const uint8_t *data, Py_ssize_t size, const Origin *origin);

/* The same for one that tells where in shared memory a message lies. See placed.c. */
int take_placed(State *state, InboundFields *inbound, const uint8_t *data, Py_ssize_t size, const Origin *origin,
                PyObject **straight);

/* -- what both ask, of taking.c ---------------------------------------------------------------------------------- */

/* Whether an int of Python's is a number. */
int is_number(PyObject *value, uint64_t number);

/* The flow of a datagram, borrowed; NULL where there is none. An exception is not set. */
FlowFields *flow_of(const Receiving *known, InboundFields *inbound, uint64_t source);

/* Whether all that is asked of the subscriber and of the flow is there, and of a type that C knows. */
int is_usual(const Receiving *known, InboundFields *inbound, FlowFields *flow);

/* Whether data of a flow is taken from where this is from. An exception is not set. */
int comes_from(FlowFields *flow, const Origin *origin);

/* Now, in ns since 1970; -1 where a clock of somebody's tells no such time, maybe with an exception. */
int64_t wall_ns(const Receiving *known, PyObject *clock);

/* Look whether a message was late, and learn from one that was faster than all before; -1 with an exception. */
int note_time(State *state, IntakeFields *intake, FlowFields *flow, int64_t late);

/* Deliver a message that is due, of which the value is given, and taken over; NULL with an exception where there is none.
 *
 * 1 if it is delivered; 0 if the value was refused; -1 with an exception. */
int deliver_value(State *state, const Delivery *to, const Datum *datum, int64_t received_ns, PyObject *value,
                  PyObject **straight);

/* An origin as Python has it; NULL with an exception. */
PyObject *tuple_of(const Origin *origin);

/* The state, to a method of a base; NULL with an exception where C cannot take messages (yet, or any more). */
static inline State *
state_of(PyTypeObject *type)
{
    State *state = PyType_GetModuleState(type);

    if (state != NULL && state->receiving.message == NULL) { /* not yet set, or the interpreter ends */
        PyErr_SetString(PyExc_RuntimeError, "the compiled part does not know of messages");
        return NULL;
    }
    return state;
}

/* The number that an int of Python's is; `otherwise` where it is none, or not one of 64 bits. */
static inline int64_t
signed_or(PyObject *value, int64_t otherwise)
{
    int overflow = 0;
    int64_t number;

    if (value == NULL || !PyLong_CheckExact(value))
        return otherwise;
    number = PyLong_AsLongLongAndOverflow(value, &overflow);
    return overflow ? otherwise : number;
}

static inline int
is_of(PyObject *object, PyTypeObject *type)
{
    return object != NULL && PyObject_TypeCheck(object, type);
}

#define METHOD(function) (PyCFunction)(void (*)(void))(function), METH_METHOD | METH_FASTCALL | METH_KEYWORDS

#endif
