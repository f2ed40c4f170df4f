/* The state of the module: what C needs of Python, made once in each interpreter. */

#ifndef IPCPY_STATE_H
#define IPCPY_STATE_H

#include "fast.h"
#include "fields.h"

/* Of fields.c, decoding.c, taking.c and receiving.c. */
typedef struct {
    PyTypeObject *flow, *receiver, *inbound, *inbox, *intake; /* the bases of fields.h */
    PyTypeObject *turn, *wait, *lease, *reader, *subscriber, *unpacking, *decoder, *outlet, *framing, *publisher;
    PyObject *message;      /* ipcpy.message.Message */
    PyObject *faster;       /* ipcpy.subscribing.latencies.faster */
    PyObject *malformed;    /* ipcpy.protocol.wire.Malformed */
    PyObject *deque;        /* collections.deque */
    PyObject *monotonic;    /* time.monotonic */
    PyObject *never;        /* ipcpy.timeouts.NEVER, inf */
    PyObject *time_ns;      /* time.time_ns: whoever has this as a clock is spared the call */
    PyCFunction recvfrom;   /* what socket.recvfrom does: whoever has this as a function is spared the call */
    PyObject *append, *make_room, *take, *take_any, *refuse, *shared; /* names */
    PyObject *wait_any, *gather, *go_on, *mend, *waiters, *wake, *popleft, *recv_any, *recv_by;
} Receiving;

/* Of noting.c and counting.c. */
typedef struct {
    PyTypeObject *account;                           /* the base of fields.h */
    PyObject *received, *latency, *dropped;          /* the rows of ipcpy.protocol.link.rows */
    PyObject *losses, *step, *took;                  /* functions of Python's, for what is not usual */
    PyObject *nothing;                               /* what is told of losses where there are none */
    PyObject *array;                                 /* array.array */
    PyObject *not_yet;                               /* ipcpy.subscribing.latencies.NOT_YET */
    PyObject *now_ns, *hidden, *queued;              /* names */
} Counting;

/* Of sent.c. */
typedef struct {
    PyTypeObject *account, *route, *match, *sender, *sharing, *books; /* bases of fields.h */
    PyObject *published, *row;   /* the rows of ipcpy.protocol.link.rows */
    PyObject *matched;           /* State.MATCHED of ipcpy.protocol.data.matching */
    PyObject *reached, *unusual; /* functions of Python's, for what is not usual */
} Sending;

/* Of batching.c. */
typedef struct {
    PyObject *crc32;       /* ipcpy.checksum.crc32 */
    PyObject *raise_alarm; /* ipcpy.alarms.raise_alarm */
    PyObject *begin, *bytes, *clock, *decode_many, *delivering, *handed, *holds, *matched, *put_all, *reach; /* names */
    PyObject *next_timer, *by;
} Batching;

typedef struct {
    Receiving receiving;
    Counting counting;
    Sending sending;
    Batching batching;
} State;

int state_traverse(PyObject *module, visitproc visit, void *arg);
int state_clear(PyObject *module);
void state_free(void *module);

/* The value of a body, NULL with an exception where there is none; ``decode`` is a Decoder. See decoding.c. */
PyObject *decode_with(State *state, PyObject *decode, const uint8_t *body, Py_ssize_t size);

/* The same where nothing of Python's has to be called for it; NULL, maybe without an exception, where it has. */
PyObject *decode_plainly(State *state, PyObject *decode, const uint8_t *body, Py_ssize_t size);

#endif
