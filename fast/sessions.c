/* The bases of sessions.h, and numbers that count up. Knows garbage collection; nothing of what the fields mean. */

#include "sessions.h"

#include <stdatomic.h>
#include <structmember.h>

static PyTypeObject *seal_type, *session_type, *window_type, *numbers_type; /* kept for as long as the process runs */

static void
free_object(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

/* -- a seal and a session: a field each that the garbage collector has to know of -------------------------------------- */

/* That field stands first in both. */
_Static_assert(offsetof(SealFields, sealing) == offsetof(SessionFields, decrypt), "one field, at one place");

static int
traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT((PyObject *)Py_TYPE(self));
    Py_VISIT(((SealFields *)self)->sealing);
    return 0;
}

static int
clear(PyObject *self)
{
    Py_CLEAR(((SealFields *)self)->sealing);
    return 0;
}

static void
dealloc(PyObject *self)
{
    PyObject_GC_UnTrack(self);
    clear(self);
    free_object(self);
}

static PyMemberDef seal_members[] = {
    {"sealing", T_OBJECT_EX, offsetof(SealFields, sealing), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMemberDef session_members[] = {
    {"decrypt", T_OBJECT_EX, offsetof(SessionFields, decrypt), 0, NULL},
    {"floor", T_ULONGLONG, offsetof(SessionFields, floor), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMemberDef window_members[] = {
    {"highest", T_ULONGLONG, offsetof(WindowFields, highest), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot seal_slots[] = {
    {Py_tp_members, seal_members}, {Py_tp_traverse, traverse}, {Py_tp_clear, clear}, {Py_tp_dealloc, dealloc}, {0, NULL},
};

static PyType_Slot session_slots[] = {
    {Py_tp_members, session_members}, {Py_tp_traverse, traverse}, {Py_tp_clear, clear}, {Py_tp_dealloc, dealloc},
    {0, NULL},
};

static PyType_Slot window_slots[] = {
    {Py_tp_members, window_members}, {Py_tp_dealloc, free_object}, {0, NULL},
};

static PyType_Spec seal_spec = {
    "_ipcpy_fast.SealFields", sizeof(SealFields), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    seal_slots,
};

static PyType_Spec session_spec = {
    "_ipcpy_fast.SessionFields", sizeof(SessionFields), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, session_slots,
};

static PyType_Spec window_spec = {
    "_ipcpy_fast.WindowFields", sizeof(WindowFields), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, window_slots,
};

static PyObject *
of_type(PyObject *object, PyTypeObject *type)
{
    return object != NULL && PyObject_TypeCheck(object, type) ? object : NULL;
}

SealFields *
seal_fields(PyObject *object)
{
    return (SealFields *)of_type(object, seal_type);
}

SessionFields *
session_fields(PyObject *object)
{
    return (SessionFields *)of_type(object, session_type);
}

WindowFields *
window_fields(PyObject *object)
{
    return (WindowFields *)of_type(object, window_type);
}

/* -- numbers ------------------------------------------------------------------------------------------------------------ */

struct Numbers { /* as itertools.count(first): the next is one step, so no two threads get the same */
    PyObject_HEAD
    _Atomic uint64_t next;
};

static PyObject *
numbers_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *first;
    if (!PyArg_ParseTuple(args, "O!", &PyLong_Type, &first)) {
        return NULL;
    }
    uint64_t next = PyLong_AsUnsignedLongLong(first);
    if (next == UINT64_MAX && PyErr_Occurred()) {
        return NULL;
    }
    Numbers *self = (Numbers *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (self != NULL) {
        atomic_init(&self->next, next);
    }
    return (PyObject *)self;
}

Numbers *
numbers_of(PyObject *iterator)
{
    return Py_IS_TYPE(iterator, numbers_type) ? (Numbers *)iterator : NULL;
}

/* Never the same twice: the last that 64 bits hold is not handed out. */
int
take_numbers(Numbers *self, uint32_t count, uint64_t *first)
{
    *first = atomic_load(&self->next);
    do {
        if (count > UINT64_MAX - *first) {
            return 0;
        }
    } while (!atomic_compare_exchange_weak(&self->next, first, *first + count));
    return 1;
}

static int
count_up(Numbers *self, uint64_t *number)
{
    if (!take_numbers(self, 1, number)) {
        PyErr_SetString(PyExc_OverflowError, "there are no more numbers of 64 bits");
        return 0;
    }
    return 1;
}

static PyObject *
numbers_next(PyObject *self)
{
    uint64_t number;
    return count_up((Numbers *)self, &number) ? PyLong_FromUnsignedLongLong(number) : NULL;
}

int
next_number(PyObject *numbers, uint64_t *number)
{
    if (Py_IS_TYPE(numbers, numbers_type)) {
        return count_up((Numbers *)numbers, number);
    }
    PyObject *next = PyIter_Next(numbers);
    if (next == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_RuntimeError, "the numbers of a stream end");
        }
        return 0;
    }
    *number = PyLong_AsUnsignedLongLong(next);
    Py_DECREF(next);
    return !(*number == UINT64_MAX && PyErr_Occurred());
}

static PyType_Slot numbers_slots[] = {
    {Py_tp_new, numbers_new},
    {Py_tp_dealloc, free_object},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, numbers_next},
    {Py_tp_doc, "Numbers(first)\n--\n\nCounts up from the first."},
    {0, NULL},
};

static PyType_Spec numbers_spec = {
    "_ipcpy_fast.Numbers", sizeof(Numbers), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, numbers_slots,
};

int
add_sessions(PyObject *module)
{
    seal_type = add_type(module, &seal_spec);
    session_type = seal_type == NULL ? NULL : add_type(module, &session_spec);
    window_type = session_type == NULL ? NULL : add_type(module, &window_spec);
    numbers_type = window_type == NULL ? NULL : add_type(module, &numbers_spec);
    return numbers_type == NULL ? -1 : 0;
}
