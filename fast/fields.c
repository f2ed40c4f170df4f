/* The bases that hold the fields of fields.h. Knows garbage collection; nothing of what the fields mean. */

#include "state.h"

#include <structmember.h>

/* What a base has: its fields stand first in its struct, one after the other. */
#define FIRST offsetof(FlowFields, address)
#define FIELD(index) (FIRST + (index) * sizeof(PyObject *))
_Static_assert(FIRST == sizeof(PyObject), "the fields follow the head");

static inline PyObject **
fields_of(PyObject *self)
{
    return (PyObject **)((char *)self + FIRST);
}

static int
visit_fields(PyObject *self, int count, visitproc visit, void *arg)
{
    Py_VISIT((PyObject *)Py_TYPE(self));
    for (int i = 0; i < count; i++)
        Py_VISIT(fields_of(self)[i]);
    return 0;
}

static void
clear_fields(PyObject *self, int count)
{
    for (int i = 0; i < count; i++)
        Py_CLEAR(fields_of(self)[i]);
}

static void
free_object(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

/* Nothing besides the fields. */
#define NOTHING(self)

/* Of addresses as numbers there is a tuple each. It holds a str and an int: no cycle leads through it. */
#define RELEASE_NUMBERS(self)                          \
    Py_CLEAR(((FlowFields *)(self))->unicast.of);      \
    Py_CLEAR(((FlowFields *)(self))->group.of)

#define RELEASE_NUMBER(self) Py_CLEAR(((InboundFields *)(self))->number)

#define RELEASE_BUFFER(self) PyMem_Free(((ReaderFields *)(self))->buffer)

#define MEMBER(index, name) {name, T_OBJECT_EX, FIELD(index), 0, NULL}
#define COUNT(Type, field) {#field, T_ULONGLONG, offsetof(Type, field), 0, NULL}

/* A base: the name of its struct, how many fields that are objects it has, its methods, what is released besides, and its members. */
#define BASE(Type, count, methods, release_rest, ...)                                            \
    static PyMemberDef Type##_members[] = {__VA_ARGS__, {NULL, 0, 0, 0, NULL}};                  \
    _Static_assert(sizeof(Type##_members) / sizeof(PyMemberDef) >= (count) + 1, "each is named"); \
    static int Type##_traverse(PyObject *self, visitproc visit, void *arg)                       \
    {                                                                                            \
        return visit_fields(self, count, visit, arg);                                            \
    }                                                                                            \
    static int Type##_clear(PyObject *self)                                                      \
    {                                                                                            \
        clear_fields(self, count);                                                               \
        return 0;                                                                                \
    }                                                                                            \
    static void Type##_dealloc(PyObject *self)                                                   \
    {                                                                                            \
        PyObject_GC_UnTrack(self);                                                               \
        clear_fields(self, count);                                                               \
        release_rest(self);                                                                      \
        free_object(self);                                                                       \
    }                                                                                            \
    static PyType_Slot Type##_slots[] = {                                                        \
        {Py_tp_members, Type##_members}, {Py_tp_methods, methods},                               \
        {Py_tp_traverse, Type##_traverse}, {Py_tp_clear, Type##_clear},                          \
        {Py_tp_dealloc, Type##_dealloc}, {0, NULL},                                              \
    };                                                                                           \
    static PyType_Spec Type##_spec = {                                                           \
        "_ipcpy_fast." #Type, sizeof(Type), 0,                                                   \
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, Type##_slots,             \
    };

static PyMethodDef none[] = {{NULL, NULL, 0, NULL}};

BASE(FlowFields, 21, none, RELEASE_NUMBERS, MEMBER(0, "address"), MEMBER(1, "multicast"), MEMBER(2, "receiver"),
     MEMBER(3, "unchecked"), MEMBER(4, "codec_number"), MEMBER(5, "fastest_ns"), MEMBER(6, "decode"),
     MEMBER(7, "topic"), MEMBER(8, "id"), MEMBER(9, "bytes"), MEMBER(10, "least_ns"), MEMBER(11, "noted"),
     MEMBER(12, "enough"), MEMBER(13, "asked_ns"), MEMBER(14, "told"), MEMBER(15, "number"), MEMBER(16, "matched"),
     MEMBER(17, "local"), MEMBER(18, "undecodable"), MEMBER(19, "memory"), MEMBER(20, "shared"))
BASE(ReceiverFields, 4, none, NOTHING, MEMBER(0, "next"), MEMBER(1, "waiting"), MEMBER(2, "first"), MEMBER(3, "lost"))
BASE(InboundFields, 4, inbound_methods, RELEASE_NUMBER, MEMBER(0, "flows"), MEMBER(1, "intake"), MEMBER(2, "_inbox"),
     MEMBER(3, "_time_ns"))
BASE(InboxFields, 4, none, NOTHING, MEMBER(0, "messages"), MEMBER(1, "sizes"), MEMBER(2, "small"), MEMBER(3, "depth"))
BASE(IntakeFields, 3, none, NOTHING, MEMBER(0, "behind"), MEMBER(1, "filling"), MEMBER(2, "timer"))
BASE(TurnFields, 2, none, NOTHING, MEMBER(0, "lock"), MEMBER(1, "owned"))
BASE(WaitFields, 2, none, NOTHING, MEMBER(0, "timeout"), MEMBER(1, "receive"))
BASE(LeaseFields, 1, none, NOTHING, MEMBER(0, "deadline"), COUNT(LeaseFields, reads))
BASE(ReaderFields, 9, reader_methods, RELEASE_BUFFER, MEMBER(0, "_turn"), MEMBER(1, "_wait"), MEMBER(2, "_lease"),
     MEMBER(3, "_intake"), MEMBER(4, "_inbound"), MEMBER(5, "_lock"), MEMBER(6, "_messages"), MEMBER(7, "_futures"),
     MEMBER(8, "_closed"))
BASE(OutletFields, 7, none, NOTHING, MEMBER(0, "ways"), MEMBER(1, "routes"), MEMBER(2, "reliable"),
     MEMBER(3, "small"), MEMBER(4, "needs_check"), MEMBER(5, "beating"), MEMBER(6, "groups"))
BASE(FramingFields, 2, none, NOTHING, MEMBER(0, "number"), MEMBER(1, "codec"), COUNT(FramingFields, seq),
     COUNT(FramingFields, bytes))
BASE(PublisherFields, 1, none, NOTHING, MEMBER(0, "_direct"))
BASE(SubscriberFields, 2, subscriber_methods, NOTHING, MEMBER(0, "_messages"), MEMBER(1, "_wait"))
BASE(AccountFields, 9, none, NOTHING, MEMBER(0, "_lock"), MEMBER(1, "_own"), MEMBER(2, "_number"),
     MEMBER(3, "_flows"), MEMBER(4, "_messages"), MEMBER(5, "_dropped"), MEMBER(6, "_discarded"), MEMBER(7, "_late"),
     MEMBER(8, "_nobodys"))
BASE(PublishingAccountFields, 5, none, NOTHING, MEMBER(0, "_lock"), MEMBER(1, "_own"), MEMBER(2, "_framing"),
     MEMBER(3, "_outlet"), MEMBER(4, "_by_number"))
BASE(RouteFields, 5, none, NOTHING, MEMBER(0, "match"), MEMBER(1, "sender"), MEMBER(2, "sharing"), MEMBER(3, "books"),
     MEMBER(4, "local"))
BASE(MatchFields, 2, none, NOTHING, MEMBER(0, "subscriber"), MEMBER(1, "state"))
BASE(SenderFields, 2, none, NOTHING, MEMBER(0, "retransmitted"), MEMBER(1, "idle"))
BASE(SharingFields, 2, none, NOTHING, MEMBER(0, "tie"), MEMBER(1, "retransmitted"))
BASE(BooksFields, 7, none, NOTHING, MEMBER(0, "refused"), MEMBER(1, "retransmitted"), MEMBER(2, "_from"),
     MEMBER(3, "_bytes_from"), MEMBER(4, "_past_handed"), MEMBER(5, "_past_again"), MEMBER(6, "_past_bytes"))

int
add_fields(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Receiving *to = &state->receiving;
    Sending *told = &state->sending;
    struct {
        PyTypeObject **type;
        PyType_Spec *spec;
    } all[] = {
        {&to->flow, &FlowFields_spec},     {&to->receiver, &ReceiverFields_spec}, {&to->inbound, &InboundFields_spec},
        {&to->inbox, &InboxFields_spec},   {&to->intake, &IntakeFields_spec},     {&to->turn, &TurnFields_spec},
        {&to->wait, &WaitFields_spec},     {&to->lease, &LeaseFields_spec},       {&to->reader, &ReaderFields_spec},
        {&to->subscriber, &SubscriberFields_spec}, {&to->outlet, &OutletFields_spec},
        {&to->framing, &FramingFields_spec}, {&to->publisher, &PublisherFields_spec},
        {&state->counting.account, &AccountFields_spec},
        {&told->account, &PublishingAccountFields_spec}, {&told->route, &RouteFields_spec},
        {&told->match, &MatchFields_spec}, {&told->sender, &SenderFields_spec},
        {&told->sharing, &SharingFields_spec}, {&told->books, &BooksFields_spec},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        *all[i].type = add_type(module, all[i].spec);
        if (*all[i].type == NULL)
            return -1;
    }
    return 0;
}
