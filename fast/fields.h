/* The fields of Python classes that C reads too. Each struct is the base of the class of that name in ipcpy, which finds
 * its fields there as it would find them in __slots__: Python and C read and write the same ones. Any that is an object may
 * be NULL (not set yet) or of a type that nobody expects: then C leaves the work to Python.
 */

#ifndef IPCPY_FIELDS_H
#define IPCPY_FIELDS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

/* An address of Python's, ("127.0.0.1", 5001), as numbers: of which tuple, and in the order of the network. */
typedef struct {
    PyObject *of;
    uint32_t ip;
    uint16_t port;
} Numbers;

typedef struct { /* ipcpy.subscribing.flow.Flow */
    PyObject_HEAD
    PyObject *address, *multicast, *receiver, *unchecked, *codec_number, *fastest_ns, *decode, *topic, *id, *bytes;
    PyObject *least_ns, *noted, *enough, *asked_ns, *told, *number, *matched, *local, *undecodable; /* of counting.c */
    PyObject *memory, *shared;                                                                   /* of placed.c */
    Numbers unicast, group; /* of address and multicast, as far as they were asked for */
} FlowFields;

typedef struct { /* ipcpy.protocol.data.receiver.Receiver */
    PyObject_HEAD
    PyObject *next, *waiting, *first, *lost;
} ReceiverFields;

typedef struct { /* ipcpy.subscribing.inbound.Inbound */
    PyObject_HEAD
    PyObject *flows, *intake, *inbox, *time_ns;
    PyObject *number; /* of the publisher that the last datagram was of, as Python has it; */
    uint64_t source;  /* and as a datagram has it */
} InboundFields;

typedef struct { /* ipcpy.subscribing.inbox.Inbox */
    PyObject_HEAD
    PyObject *messages, *sizes, *small, *depth;
} InboxFields;

typedef struct { /* ipcpy.subscribing.intake.Intake */
    PyObject_HEAD
    PyObject *behind, *filling, *timer;
} IntakeFields;

typedef struct { /* ipcpy.locks.Turn */
    PyObject_HEAD
    PyObject *lock, *owned;
} TurnFields;

typedef struct { /* ipcpy.subscribing.wait.Wait */
    PyObject_HEAD
    PyObject *timeout, *receive;
} WaitFields;

typedef struct { /* ipcpy.subscribing.lease.Lease */
    PyObject_HEAD
    PyObject *deadline;
    uint64_t reads;
} LeaseFields;

typedef struct { /* ipcpy.subscribing.reader.Reader */
    PyObject_HEAD
    PyObject *turn, *wait, *lease, *intake, *inbound, *lock, *messages, *futures, *closed;
    uint8_t *buffer; /* for a datagram, while nobody receives into it */
} ReaderFields;

typedef struct { /* ipcpy.subscribing.subscriber.Subscriber */
    PyObject_HEAD
    PyObject *messages, *wait;
} SubscriberFields;

typedef struct { /* ipcpy.publishing.outlet.Outlet */
    PyObject_HEAD
    PyObject *ways, *routes, *reliable, *small, *needs_check, *beating, *groups;
} OutletFields;

typedef struct { /* ipcpy.publishing.framing.Framing */
    PyObject_HEAD
    PyObject *number, *codec;
    uint64_t seq, bytes;
} FramingFields;

typedef struct { /* ipcpy.publishing.publisher.Publisher */
    PyObject_HEAD
    PyObject *direct;
} PublisherFields;

typedef struct { /* ipcpy.subscribing.accounts.Account */
    PyObject_HEAD
    PyObject *lock, *own, *number, *flows, *messages, *dropped, *discarded, *late, *nobodys;
} AccountFields;

typedef struct { /* ipcpy.publishing.accounts.Account */
    PyObject_HEAD
    PyObject *lock, *own, *framing, *outlet, *by_number;
} PublishingAccountFields;

typedef struct { /* ipcpy.publishing.route.Route */
    PyObject_HEAD
    PyObject *match, *sender, *sharing, *books, *local;
} RouteFields;

typedef struct { /* ipcpy.protocol.data.matching.Match */
    PyObject_HEAD
    PyObject *subscriber, *state;
} MatchFields;

typedef struct { /* ipcpy.protocol.data.sender.Sender */
    PyObject_HEAD
    PyObject *retransmitted, *idle;
} SenderFields;

typedef struct { /* ipcpy.publishing.sharing.Sharing */
    PyObject_HEAD
    PyObject *tie, *retransmitted;
} SharingFields;

typedef struct { /* ipcpy.publishing.books.Books */
    PyObject_HEAD
    PyObject *refused, *retransmitted, *from, *bytes_from, *past_handed, *past_again, *past_bytes;
} BooksFields;

/* Put a new reference into a field. */
static inline void
set_field(PyObject **field, PyObject *value)
{
    PyObject *old = *field;
    *field = value;
    Py_XDECREF(old);
}

extern PyMethodDef inbound_methods[];                      /* taking.c */
extern PyMethodDef reader_methods[], subscriber_methods[]; /* receiving.c */

#endif
