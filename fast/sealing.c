/* Datagrams sealed in one step each, or many in one, in the common case only. Twins: ``Sealer.sending``, ``seal_run`` and
   ``seal_laid`` of ipcpy/sealing/sealer.py. Whatever is unusual is left to them: another cipher than ours, the end of a
   stream, a node that has ended. */

#include "sealed.h"
#include "sessions.h"

Cipher *
cipher_of_sealing(PyObject *sealing, const unsigned char **name)
{
    if (sealing == NULL || !PyTuple_CheckExact(sealing) || PyTuple_Size(sealing) != 2) {
        return NULL;
    }
    *name = bytes_of(PyTuple_GetItem(sealing, 1), NAME_SIZE);
    return *name == NULL ? NULL : cipher_that_encrypts(PyTuple_GetItem(sealing, 0));
}

/* The same with what seals, of the cipher's own; 0 if it is not ours to use. */
static int
read_sealing(PyObject *sealing, Context **context, const unsigned char **name)
{
    Cipher *cipher = cipher_of_sealing(sealing, name);
    *context = cipher == NULL ? NULL : cipher_seals(cipher);
    return *context != NULL;
}

/* -- a run of datagrams that lie end to end ------------------------------------------------------------------------ */

/* Lay the parts of a datagram end to end, or only count them where there is nothing to lay them into. Return their
   size; -1 if there is no room for them, or one is neither bytes nor a view (with an exception if it cannot be read). */
static Py_ssize_t
gather(PyObject *parts, unsigned char *into, Py_ssize_t room)
{
    int is_tuple = PyTuple_CheckExact(parts);
    if (!is_tuple && !PyList_CheckExact(parts)) {
        return -1;
    }
    Py_ssize_t size = 0, count = is_tuple ? PyTuple_Size(parts) : PyList_Size(parts);
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *part = is_tuple ? PyTuple_GetItem(parts, i) : PyList_GetItem(parts, i);
        Py_buffer view;
        if ((!PyBytes_CheckExact(part) && !Py_IS_TYPE(part, &PyMemoryView_Type))
            || PyObject_GetBuffer(part, &view, PyBUF_SIMPLE) < 0) {
            return -1;
        }
        int fits = view.len <= room - size;
        if (fits && into != NULL && view.len > 0) {
            memcpy(into + size, view.buf, (size_t)view.len);
        }
        size += view.len;
        PyBuffer_Release(&view);
        if (!fits) {
            return -1;
        }
    }
    return size;
}

/* Seal datagrams of a segment each (the last of ``rest`` bytes) to where there is room for them; 0 if that cannot be
   done, with an exception or without. */
static int
seal_each(PyObject *datagrams, Py_ssize_t segment, Py_ssize_t rest, Context *context, const unsigned char *mark,
          const unsigned char *name, PyObject *numbers, uint64_t last, unsigned char *sealed)
{
    Py_ssize_t count = PyList_Size(datagrams);
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t size = i + 1 < count ? segment : rest;
        uint64_t number;
        if (!next_number(numbers, &number) || number > last || PyList_Size(datagrams) != count
            || gather(PyList_GetItem(datagrams, i), sealed + HEAD_SIZE, size) != size) {
            return 0;
        }
        write_head(sealed, (size_t)size + OVERHEAD, mark, number, name);
        if (!seal_in_place(context, sealed, (size_t)size)) {
            return 0;
        }
        sealed += size + OVERHEAD;
    }
    return 1;
}

/* seal_run(sealing, mark, numbers, last, datagrams, segment) -> bytes or None. Numbers that were taken in vain are used
   by nobody, which does no harm. */
static PyObject *
seal_run(PyObject *module, PyObject *args)
{
    PyObject *sealing, *mark_object, *numbers, *datagrams, *sealed = NULL;
    unsigned long long last;
    Py_ssize_t segment;
    if (!PyArg_ParseTuple(args, "OSOKO!n", &sealing, &mark_object, &numbers, &last, &PyList_Type, &datagrams, &segment)) {
        return NULL;
    }
    Context *context;
    const unsigned char *name, *mark = bytes_of(mark_object, MARK_SIZE);
    Py_ssize_t count = PyList_Size(datagrams);
    int usual = mark != NULL && PyIter_Check(numbers) && segment > 0 && segment <= ROOM && count > 0
                && count < PY_SSIZE_T_MAX / (ROOM + OVERHEAD) && read_sealing(sealing, &context, &name);
    Py_ssize_t rest = usual ? gather(PyList_GetItem(datagrams, count - 1), NULL, segment) : -1;
    if (rest >= 0) {
        sealed = PyBytes_FromStringAndSize(NULL, (count - 1) * (segment + OVERHEAD) + rest + OVERHEAD);
    }
    if (sealed != NULL
        && !seal_each(datagrams, segment, rest, context, mark, name, numbers, last,
                      (unsigned char *)PyBytes_AsString(sealed))) {
        Py_CLEAR(sealed);
    }
    if (sealed != NULL || PyErr_Occurred()) {
        return sealed;
    }
    Py_RETURN_NONE;
}

/* seal_laid(sealing, mark, numbers, last, heads, data, size) -> bytes or None. Each datagram is one of the heads, which
   lie end to end, and size bytes of the data, of which the last has what is left. */
static PyObject *
seal_laid(PyObject *module, PyObject *args)
{
    PyObject *sealing, *mark_object, *numbers, *sealed = NULL;
    unsigned long long last;
    Py_buffer heads, data;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "OSOKy*y*n", &sealing, &mark_object, &numbers, &last, &heads, &data, &size)) {
        return NULL;
    }
    Context *context;
    const unsigned char *name, *mark = bytes_of(mark_object, MARK_SIZE), *head = heads.buf, *part = data.buf;
    Py_ssize_t left = data.len, count = size > 0 && left > 0 ? (left - 1) / size + 1 : 0;
    Py_ssize_t head_size = count > 0 && heads.len % count == 0 ? heads.len / count : -1;
    if (mark != NULL && PyIter_Check(numbers) && head_size >= 0 && size <= ROOM && head_size <= ROOM - size
        && count < PY_SSIZE_T_MAX / (ROOM + OVERHEAD) && read_sealing(sealing, &context, &name)) {
        sealed = PyBytes_FromStringAndSize(NULL, count * (head_size + OVERHEAD) + left);
    }
    unsigned char *at = sealed == NULL ? NULL : (unsigned char *)PyBytes_AsString(sealed);
    while (sealed != NULL && left > 0) {
        size_t due = (size_t)(left < size ? left : size), body = (size_t)head_size + due;
        uint64_t number;
        if (!next_number(numbers, &number) || number > last) {
            Py_CLEAR(sealed);
            break;
        }
        write_head(at, body + OVERHEAD, mark, number, name);
        memcpy(at + HEAD_SIZE, head, (size_t)head_size);
        memcpy(at + HEAD_SIZE + head_size, part, due);
        if (!seal_in_place(context, at, body)) {
            Py_CLEAR(sealed);
            break;
        }
        at += body + OVERHEAD;
        head += head_size;
        part += due;
        left -= (Py_ssize_t)due;
    }
    PyBuffer_Release(&heads);
    PyBuffer_Release(&data);
    if (sealed != NULL || PyErr_Occurred()) {
        return sealed;
    }
    Py_RETURN_NONE;
}

/* -- one datagram: seal and send ------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *seal, *numbers, *send, *slowly; /* the seal is a SealFields */
    uint64_t last;
    unsigned char mark[MARK_SIZE];
} Sending;

Py_ssize_t
sending_seal(PyObject *object, const unsigned char *data, Py_ssize_t size, unsigned char *sealed)
{
    Sending *self = (Sending *)object;
    uint64_t number;
    if (size < 0 || size > ROOM || self->seal == NULL || self->numbers == NULL) {
        return SEALING_UNUSUAL;
    }
    if (!next_number(self->numbers, &number)) {
        return SEALING_FAILED;
    }
    PyObject *sealing = ((SealFields *)self->seal)->sealing; /* no Python runs from here on, which could exchange it */
    Context *context;
    const unsigned char *name;
    if (number > self->last || !read_sealing(sealing, &context, &name)) {
        return SEALING_UNUSUAL;
    }
    memmove(sealed + HEAD_SIZE, data, (size_t)size);
    write_head(sealed, (size_t)size + OVERHEAD, self->mark, number, name);
    return seal_in_place(context, sealed, (size_t)size) ? size + OVERHEAD : SEALING_UNUSUAL;
}

/* Seal a datagram and send it. Twin: ``sealed`` in Sealer.sending. */
static PyObject *
sending_send(PyObject *object, PyObject *data)
{
    Sending *self = (Sending *)object;
    const unsigned char *body = bytes_of(data, -1);
    Py_ssize_t size = body == NULL ? 0 : PyBytes_Size(data), length = SEALING_UNUSUAL;
    PyObject *sealed = NULL, *sent = NULL;
    if (body != NULL && size <= ROOM) {
        sealed = PyBytes_FromStringAndSize(NULL, size + OVERHEAD);
        length = sealed == NULL ? SEALING_FAILED
                                : sending_seal(object, body, size, (unsigned char *)PyBytes_AsString(sealed));
    }
    if (length >= 0) {
        sent = PyObject_CallFunctionObjArgs(self->send, sealed, NULL);
    }
    else if (length == SEALING_UNUSUAL) {
        sent = PyObject_CallFunctionObjArgs(self->slowly, data, NULL);
    }
    Py_XDECREF(sealed);
    return sent;
}

static PyObject *
sending_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *seal, *numbers, *send, *slowly, *mark_object;
    unsigned long long last;
    if (!PyArg_ParseTuple(args, "OSOKOO", &seal, &mark_object, &numbers, &last, &send, &slowly)) {
        return NULL;
    }
    const unsigned char *mark = bytes_of(mark_object, MARK_SIZE);
    if (mark == NULL || !PyIter_Check(numbers) || seal_fields(seal) == NULL) {
        PyErr_SetString(PyExc_TypeError, "expected a seal, a mark of 6 bytes and an iterator of numbers");
        return NULL;
    }
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Sending *self = (Sending *)alloc(type, 0);
    if (self != NULL) {
        self->seal = Py_NewRef(seal);
        self->numbers = Py_NewRef(numbers);
        self->send = Py_NewRef(send);
        self->slowly = Py_NewRef(slowly);
        self->last = last;
        memcpy(self->mark, mark, MARK_SIZE);
    }
    return (PyObject *)self;
}

static int
sending_traverse(PyObject *object, visitproc visit, void *arg)
{
    Sending *self = (Sending *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->seal);
    Py_VISIT(self->numbers);
    Py_VISIT(self->send);
    Py_VISIT(self->slowly);
    return 0;
}

static int
sending_clear(PyObject *object)
{
    Sending *self = (Sending *)object;
    Py_CLEAR(self->seal);
    Py_CLEAR(self->numbers);
    Py_CLEAR(self->send);
    Py_CLEAR(self->slowly);
    return 0;
}

static void
sending_dealloc(PyObject *self)
{
    free_tracked(self, sending_clear);
}

PyObject *
sending_of(PyObject *send)
{
    return PyCFunction_Check(send) && PyCFunction_GetFunction(send) == sending_send ? PyCFunction_GetSelf(send) : NULL;
}

PyObject *
sending_plain(PyObject *object)
{
    return ((Sending *)object)->send;
}

static PyMethodDef sending_methods[] = {
    {"send", sending_send, METH_O, "send(data)\n--\n\nSeal a datagram and send it."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot sending_slots[] = {
    {Py_tp_new, sending_new},
    {Py_tp_dealloc, sending_dealloc},
    {Py_tp_traverse, sending_traverse},
    {Py_tp_clear, sending_clear},
    {Py_tp_methods, sending_methods},
    {Py_tp_doc, "Sending(seal, mark, numbers, last, send, slowly)\n--\n\nSeals what a socket sends."},
    {0, NULL},
};

static PyType_Spec sending_spec = {
    .name = "_ipcpy_fast.Sending",
    .basicsize = sizeof(Sending),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = sending_slots,
};

static PyMethodDef functions[] = {
    {"seal_run", seal_run, METH_VARARGS,
     "seal_run(sealing, mark, numbers, last, datagrams, segment)\n--\n\n"
     "Return datagrams sealed, end to end; None if they are to be sealed one by one."},
    {"seal_laid", seal_laid, METH_VARARGS,
     "seal_laid(sealing, mark, numbers, last, heads, data, size)\n--\n\n"
     "Return datagrams sealed, end to end, each a head and size bytes of data; None if that cannot be done so."},
    {NULL, NULL, 0, NULL},
};

int
add_sealing(PyObject *module)
{
    PyTypeObject *sending = add_type(module, &sending_spec);
    int added = sending != NULL;
    Py_XDECREF((PyObject *)sending); /* the module keeps it */
    return added ? PyModule_AddFunctions(module, functions) : -1;
}
