/* Struct messages to Python's values. Knows the bytes of a message; nothing of frames or of where a message came from.
 *
 * An Unpacking is the decoder of one message, a Decoder that of a whole library. Both are called with a body, like the
 * functions of Python whose twins they are, and both hand on to these whatever is not as usual.
 */

#include "state.h"

#include <structmember.h>

#define HEADER_SIZE 7 /* start bytes, ID, size, check byte */
#define KEY_SIZE 6    /* without the check byte: what tells one message from another */

/* Values of one kind that follow each other: a Repeat of ipcpy/codec/layout.py. */
typedef struct {
    char code; /* struct's letter */
    Py_ssize_t offset, size, number;
} Repeat;

/* What becomes of the values. */
enum { NAMED, LIST, SINGLE, OTHER };

typedef struct {
    PyObject_HEAD
    Py_ssize_t size, count; /* bytes of a whole message, values in it */
    Py_ssize_t repeats;
    Repeat *repeat;
    int kind;
    PyObject *type; /* of NAMED */
    int leads_nowhere; /* whether an instance holds nothing but its values, and a type that is never freed */
    PyObject *make;      /* of OTHER: makes an instance of a tuple of values */
    PyObject *otherwise; /* the twin */
} Unpacking;

/* One value; `at` is its first byte. */
static inline PyObject *
value_at(const Repeat *repeat, const uint8_t *at)
{
    switch (repeat->code) {
#define NUMBER(code, type, make)             \
    case code: {                             \
        type value;                          \
        memcpy(&value, at, sizeof value);    \
        return make(value);                  \
    }
        NUMBER('b', int8_t, PyLong_FromLong)
        NUMBER('B', uint8_t, PyLong_FromLong)
        NUMBER('h', int16_t, PyLong_FromLong)
        NUMBER('H', uint16_t, PyLong_FromLong)
        NUMBER('i', int32_t, PyLong_FromLong)
        NUMBER('I', uint32_t, PyLong_FromUnsignedLong)
        NUMBER('q', int64_t, PyLong_FromLongLong)
        NUMBER('Q', uint64_t, PyLong_FromUnsignedLongLong)
        NUMBER('f', float, PyFloat_FromDouble)
        NUMBER('d', double, PyFloat_FromDouble)
        NUMBER('?', uint8_t, PyBool_FromLong)
#undef NUMBER
    default: /* 's' */
        return PyBytes_FromStringAndSize((const char *)at, repeat->size);
    }
}

/* Fill a tuple, list or named tuple with all values; `payload` has as many bytes as the message says. */
static PyObject *
filled(const Unpacking *self, PyObject *values, int (*put)(PyObject *, Py_ssize_t, PyObject *), const uint8_t *payload)
{
    Py_ssize_t at = 0;

    if (values == NULL)
        return NULL;
    for (Py_ssize_t n = 0; n < self->repeats; n++) {
        const Repeat *repeat = &self->repeat[n];
        for (Py_ssize_t i = 0; i < repeat->number; i++) {
            PyObject *value = value_at(repeat, payload + repeat->offset + i * repeat->size);
            if (value == NULL || put(values, at++, value) < 0) {
                Py_DECREF(values);
                return NULL;
            }
        }
    }
    return values;
}

/* Twin: decode_intact in ipcpy/codec/binding.py, for a body of the right size. */
static PyObject *
unpack(const Unpacking *self, const uint8_t *body)
{
    const uint8_t *payload = body + HEADER_SIZE;
    PyObject *values, *made;

    switch (self->kind) {
    case NAMED: /* as tuple.__new__ of a subclass makes it */
        values = filled(self, begin_tuple((PyTypeObject *)self->type, self->count), PyTuple_SetItem, payload);
        made = finish_tuple((PyTypeObject *)self->type, values);
        if (made != NULL && self->leads_nowhere) /* numbers and bytes: no circle of garbage leads through it */
            PyObject_GC_UnTrack(made);
        return made;
    case LIST:
        return filled(self, PyList_New(self->count), PyList_SetItem, payload);
    case SINGLE:
        return value_at(self->repeat, payload + self->repeat->offset);
    }
    values = filled(self, PyTuple_New(self->count), PyTuple_SetItem, payload);
    if (values == NULL)
        return NULL;
    made = PyObject_CallFunctionObjArgs(self->make, values, NULL);
    Py_DECREF(values);
    return made;
}

/* Call the twin; it is gone where the garbage collector has taken it already. */
static PyObject *
call_twin(PyObject *otherwise, PyObject *args, PyObject *names)
{
    if (otherwise == NULL)
        return PyErr_Format(PyExc_ReferenceError, "this decoder was taken apart");
    return PyObject_Call(otherwise, args, names);
}

static PyObject *
unpacking_call(PyObject *self_, PyObject *args, PyObject *names)
{
    Unpacking *self = (Unpacking *)self_;
    PyObject *body, *result = NULL;
    Py_buffer view;

    if (names != NULL || PyTuple_Size(args) != 1)
        return call_twin(self->otherwise, args, names);
    body = PyTuple_GetItem(args, 0);
    if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0) {
        PyErr_Clear();
        return call_twin(self->otherwise, args, NULL);
    }
    if (view.len == self->size && self->otherwise != NULL)
        result = unpack(self, view.buf);
    else
        result = call_twin(self->otherwise, args, NULL);
    PyBuffer_Release(&view);
    return result;
}

/* Takes the layout's repeats as (code, offset, size, number); -1 with an exception if that is no layout for C. */
static int
read_repeats(Unpacking *self, PyObject *repeats)
{
    static const char codes[] = "bBhHiIqQfd?s";
    static const Py_ssize_t sizes[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 1, -1};

    self->repeats = PyTuple_Size(repeats);
    self->repeat = PyMem_Calloc((size_t)self->repeats + 1, sizeof(Repeat));
    if (self->repeat == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t n = 0; n < self->repeats; n++) {
        Repeat *repeat = &self->repeat[n];
        int code;
        if (!PyArg_ParseTuple(PyTuple_GetItem(repeats, n), "Cnnn", &code, &repeat->offset, &repeat->size,
                              &repeat->number))
            return -1;
        repeat->code = (char)code;
        const char *known = code < 128 ? strchr(codes, code) : NULL;
        Py_ssize_t size = known == NULL || code == 0 ? -2 : sizes[known - codes];
        Py_ssize_t room = self->size - HEADER_SIZE - repeat->offset;
        if (size == -2 || (size >= 0 && size != repeat->size) || repeat->offset < 0 || repeat->size < 0 ||
            repeat->number < 1 || room < 0 || (repeat->size && repeat->number > room / repeat->size)) {
            PyErr_SetString(PyExc_ValueError, "no layout of numbers and bytes within the size");
            return -1;
        }
        self->count += repeat->number;
    }
    return 0;
}

/* Whether a type is what its module has under its name, and so there for as long as the program runs. */
static int
is_of_its_module(PyObject *type)
{
    PyObject *module_name = PyObject_GetAttrString(type, "__module__");
    PyObject *name = module_name == NULL ? NULL : PyObject_GetAttrString(type, "__qualname__");
    PyObject *module = name == NULL ? NULL : PyImport_GetModule(module_name);
    PyObject *found = module == NULL ? NULL : PyObject_GetAttr(module, name);
    int known = found == type;

    PyErr_Clear(); /* one of a function is in no module */
    Py_XDECREF(module_name);
    Py_XDECREF(name);
    Py_XDECREF(module);
    Py_XDECREF(found);
    return known;
}

/* Whether instances of a type have no __dict__, and the type, to which each of them leads, is not garbage one day; -1 with
 * an exception.
 */
static int
leads_nowhere(PyObject *type, int *nowhere)
{
    PyObject *offset = PyObject_GetAttrString(type, "__dictoffset__");

    if (offset == NULL)
        return -1;
    *nowhere = PyLong_CheckExact(offset) && PyLong_AsLong(offset) == 0 && is_of_its_module(type);
    Py_DECREF(offset);
    return PyErr_Occurred() ? -1 : 0;
}

/* The arguments of Unpacking(size, repeats, type, make, otherwise): type is a named tuple's, list, None for the value
 * itself, or False where `make` is to be called. Those that do not fit each other are a ValueError.
 */
static int
read_arguments(Unpacking *self, PyObject *args)
{
    PyObject *repeats, *type, *make, *otherwise;

    if (!PyArg_ParseTuple(args, "nO!OOO", &self->size, &PyTuple_Type, &repeats, &type, &make, &otherwise) ||
        read_repeats(self, repeats) < 0)
        return -1;
    self->kind = type == Py_False ? OTHER : type == Py_None ? SINGLE : type == (PyObject *)&PyList_Type ? LIST : NAMED;
    if ((self->kind == SINGLE && self->count != 1) ||
        (self->kind == NAMED && !(PyType_Check(type) && PyType_IsSubtype((PyTypeObject *)type, &PyTuple_Type)))) {
        PyErr_SetString(PyExc_ValueError, "the values are not those of this type");
        return -1;
    }
    if (self->kind == NAMED && leads_nowhere(type, &self->leads_nowhere) < 0)
        return -1;
    self->type = Py_NewRef(type);
    self->make = Py_NewRef(make);
    self->otherwise = Py_NewRef(otherwise);
    return 0;
}

static PyObject *
unpacking_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    Unpacking *self = (Unpacking *)PyType_GenericAlloc(type, 0);

    (void)names;
    if (self != NULL && read_arguments(self, args) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int
unpacking_traverse(PyObject *self_, visitproc visit, void *arg)
{
    Unpacking *self = (Unpacking *)self_;
    Py_VISIT((PyObject *)Py_TYPE(self_));
    Py_VISIT(self->type);
    Py_VISIT(self->make);
    Py_VISIT(self->otherwise);
    return 0;
}

static int
unpacking_clear(PyObject *self_)
{
    Unpacking *self = (Unpacking *)self_;
    Py_CLEAR(self->type);
    Py_CLEAR(self->make);
    Py_CLEAR(self->otherwise);
    return 0;
}

static void
unpacking_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    unpacking_clear(self);
    PyMem_Free(((Unpacking *)self)->repeat);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

static PyMemberDef unpacking_members[] = {
    {"otherwise", T_OBJECT_EX, offsetof(Unpacking, otherwise), READONLY, "The twin."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot unpacking_slots[] = {
    {Py_tp_members, unpacking_members},
    {Py_tp_doc, "Unpacking(size, repeats, type, make, otherwise): decodes one struct message."},
    {Py_tp_new, unpacking_new},
    {Py_tp_call, unpacking_call},
    {Py_tp_traverse, unpacking_traverse},
    {Py_tp_clear, unpacking_clear},
    {Py_tp_dealloc, unpacking_dealloc},
    {0, NULL},
};

static PyType_Spec unpacking_spec = {
    "_ipcpy_fast.Unpacking", sizeof(Unpacking), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, unpacking_slots,
};

/* -- all messages of a library ----------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *messages;  /* dict: the first bytes of a message to what decodes it */
    PyObject *otherwise; /* the twin */
    uint8_t key[KEY_SIZE];
    PyObject *last; /* the Unpacking that was used last, and the first bytes of its messages */
} Decoder;

/* The Unpacking of a body, borrowed; NULL where Python has to look, an exception is not set. */
static Unpacking *
unpacking_of(const State *state, Decoder *self, const uint8_t *body, Py_ssize_t size)
{
    PyObject *key, *found;

    if (size < HEADER_SIZE || self->messages == NULL)
        return NULL;
    if (self->last == NULL || memcmp(self->key, body, KEY_SIZE) != 0) {
        key = PyBytes_FromStringAndSize((const char *)body, KEY_SIZE);
        found = key == NULL ? NULL : PyDict_GetItemWithError(self->messages, key);
        Py_XDECREF(key);
        if (found == NULL || Py_TYPE(found) != state->receiving.unpacking) {
            PyErr_Clear();
            return NULL;
        }
        memcpy(self->key, body, KEY_SIZE);
        set_field(&self->last, Py_NewRef(found)); /* a message once known stays what it is */
    }
    return ((Unpacking *)self->last)->size == size ? (Unpacking *)self->last : NULL;
}

/* Twin: MsgLibrary.decode_intact in ipcpy/codec/library.py. */
PyObject *
decode_with(State *state, PyObject *decoder, const uint8_t *body, Py_ssize_t size)
{
    Decoder *self = (Decoder *)decoder;
    Unpacking *unpacking = unpacking_of(state, self, body, size);
    PyObject *bytes, *result;

    if (unpacking != NULL) {
        Py_INCREF((PyObject *)unpacking); /* what is called may decode another message */
        result = unpack(unpacking, body);
        Py_DECREF((PyObject *)unpacking);
        return result;
    }
    bytes = PyBytes_FromStringAndSize((const char *)body, size);
    if (bytes == NULL)
        return NULL;
    result = PyObject_CallFunctionObjArgs(self->otherwise, bytes, NULL);
    Py_DECREF(bytes);
    return result;
}

PyObject *
decode_plainly(State *state, PyObject *decoder, const uint8_t *body, Py_ssize_t size)
{
    Unpacking *unpacking = unpacking_of(state, (Decoder *)decoder, body, size);
    PyObject *result;

    if (unpacking == NULL || unpacking->kind == OTHER)
        return NULL;
    Py_INCREF((PyObject *)unpacking); /* memory that is asked for may have garbage collected, which runs anything */
    result = unpack(unpacking, body);
    Py_DECREF((PyObject *)unpacking);
    return result;
}

static PyObject *
decoder_call(PyObject *self, PyObject *args, PyObject *names)
{
    State *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *body = PyTuple_Size(args) == 1 ? PyTuple_GetItem(args, 0) : NULL;

    if (body == NULL || names != NULL || !PyBytes_CheckExact(body) || state == NULL)
        return call_twin(((Decoder *)self)->otherwise, args, names);
    return decode_with(state, self, (const uint8_t *)PyBytes_AsString(body), PyBytes_Size(body));
}

static PyObject *
decoder_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    PyObject *messages, *otherwise;
    Decoder *self;

    (void)names;
    if (!PyArg_ParseTuple(args, "O!O", &PyDict_Type, &messages, &otherwise))
        return NULL;
    self = (Decoder *)PyType_GenericAlloc(type, 0);
    if (self != NULL) {
        self->messages = Py_NewRef(messages);
        self->otherwise = Py_NewRef(otherwise);
    }
    return (PyObject *)self;
}

static int
decoder_traverse(PyObject *self_, visitproc visit, void *arg)
{
    Decoder *self = (Decoder *)self_;
    Py_VISIT((PyObject *)Py_TYPE(self_));
    Py_VISIT(self->messages);
    Py_VISIT(self->otherwise);
    Py_VISIT(self->last);
    return 0;
}

static int
decoder_clear(PyObject *self_)
{
    Decoder *self = (Decoder *)self_;
    Py_CLEAR(self->messages);
    Py_CLEAR(self->otherwise);
    Py_CLEAR(self->last);
    return 0;
}

static void
decoder_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    decoder_clear(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

static PyType_Slot decoder_slots[] = {
    {Py_tp_doc, "Decoder(messages, otherwise): decodes the struct messages of a library."},
    {Py_tp_new, decoder_new},
    {Py_tp_call, decoder_call},
    {Py_tp_traverse, decoder_traverse},
    {Py_tp_clear, decoder_clear},
    {Py_tp_dealloc, decoder_dealloc},
    {0, NULL},
};

static PyType_Spec decoder_spec = {
    "_ipcpy_fast.Decoder", sizeof(Decoder), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, decoder_slots,
};

int
add_decoding(PyObject *module)
{
    Receiving *to = &((State *)PyModule_GetState(module))->receiving;

    to->unpacking = add_type(module, &unpacking_spec);
    to->decoder = add_type(module, &decoder_spec);
    return to->unpacking == NULL || to->decoder == NULL ? -1 : 0;
}
