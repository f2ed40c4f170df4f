/* Encodes struct messages: what ipcpy/codec/binding.py does where every value is of the plainest type.

A Plan writes whole messages: start bytes, ID, size, check byte, payload. It takes exact types only (an int and its
subclasses for whole numbers, a float or an int for fractions, True and False, bytes, str). A value of any other type,
out of range or too long, a wrong number of values: then Python's encoder is called, which takes it or says what is
wrong. Until then nothing was done that could be noticed. */

#include "encoding.h"

#include <math.h>

enum { HEADER = 6, CHECKED_HEADER = 7 };
enum Kind { SCALAR, ITEMS, ATTRIBUTES };

typedef struct { /* values of one type that follow one another */
    char code;       /* as struct has it; 't' for text in an 's' */
    char reversed;   /* whether the bytes of a number go the other way round */
    uint16_t offset; /* of the first, in the payload */
    uint16_t width;
    uint16_t number;
} Run;

typedef struct { /* an attribute that holds a value, or an array of them */
    PyObject *path; /* a tuple of names: of the field, and of what it is in */
    Py_ssize_t number; /* values of an array; 0 for one by itself */
} Field;

struct Plan {
    PyObject_HEAD
    uint8_t header[HEADER];
    enum Kind kind;
    Py_ssize_t size;  /* bytes of a payload */
    Py_ssize_t count; /* values */
    Py_ssize_t runs_count, fields_count;
    Run *runs;
    Field *fields;
    PyTypeObject *type;
    PyObject *otherwise; /* Python's encoder */
};

static PyObject *plan_encode(Plan *plan, PyObject *instance);

Plan *
plan_behind(PyObject *encode)
{
    if (!PyCFunction_Check(encode) || PyCFunction_GetFunction(encode) != (PyCFunction)plan_encode)
        return NULL;
    return (Plan *)PyCFunction_GetSelf(encode);
}

Py_ssize_t
plan_size(const Plan *plan)
{
    return CHECKED_HEADER + plan->size;
}

/* -- values ------------------------------------------------------------------------------------------------------- */

typedef struct { /* where the next value goes */
    const Run *run, *end;
    unsigned done; /* values of the run */
    uint8_t *payload;
} Cursor;

static int
put_integer(uint8_t *at, const Run *run, PyObject *value)
{
    uint64_t bits;

    if (!PyLong_Check(value))
        return -1;
    if (run->code == 'Q') {
        bits = PyLong_AsUnsignedLongLong(value);
        if (bits == UINT64_MAX && PyErr_Occurred())
            return -1;
    } else {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow)
            return -1;
        bits = (uint64_t)number;
        if (run->width < 8) {
            unsigned width = 8u * run->width;
            int is_signed = run->code >= 'a';
            long long low = is_signed ? -(1LL << (width - 1)) : 0;
            long long high = is_signed ? (1LL << (width - 1)) - 1 : (1LL << width) - 1;
            if (number < low || number > high)
                return -1;
        }
    }
    memcpy(at, &bits, run->width);
    return 0;
}

static int
put_fraction(uint8_t *at, const Run *run, PyObject *value)
{
    if (!PyFloat_Check(value) && !PyLong_CheckExact(value))
        return -1;
    double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred())
        return -1;
    if (run->code == 'd') {
        memcpy(at, &number, 8);
        return 0;
    }
    float single = (float)number;
    if (isinf(single) && !isinf(number))
        return -1;
    memcpy(at, &single, 4);
    return 0;
}

/* As _to_text and _to_bytes: what is shorter is filled up with zeros, which are there already. */
static int
put_string(uint8_t *at, const Run *run, PyObject *value)
{
    const char *from;
    Py_ssize_t size;

    if (run->code == 't') {
        if (!PyUnicode_CheckExact(value) || (from = PyUnicode_AsUTF8AndSize(value, &size)) == NULL)
            return -1;
        if (size > run->width || memchr(from, 0, (size_t)size) != NULL)
            return -1;
    } else {
        if (!PyBytes_CheckExact(value) || (size = PyBytes_Size(value)) > run->width)
            return -1;
        from = PyBytes_AsString(value);
    }
    memcpy(at, from, (size_t)size);
    return 0;
}

static void
reverse(uint8_t *at, unsigned width)
{
    for (unsigned low = 0, high = width - 1; low < high; low++, high--) {
        uint8_t byte = at[low];
        at[low] = at[high];
        at[high] = byte;
    }
}

static int
put(Cursor *cursor, PyObject *value)
{
    const Run *run = cursor->run;

    if (run == cursor->end)
        return -1;
    uint8_t *at = cursor->payload + run->offset + cursor->done * run->width;
    switch (run->code) {
    case 'd':
    case 'f':
        if (put_fraction(at, run, value) < 0)
            return -1;
        break;
    case 's':
    case 't':
        if (put_string(at, run, value) < 0)
            return -1;
        break;
    case '?':
        if (value != Py_True && value != Py_False)
            return -1;
        *at = value == Py_True;
        break;
    default:
        if (put_integer(at, run, value) < 0)
            return -1;
    }
    if (run->reversed)
        reverse(at, run->width);
    if (++cursor->done == run->number) {
        cursor->done = 0;
        cursor->run++;
    }
    return 0;
}

/* No value that `put` takes runs code of Python's, so a list does not change meanwhile. */
static int
put_items(Cursor *cursor, PyObject *items)
{
    int is_tuple = PyTuple_Check(items);
    Py_ssize_t count = is_tuple ? PyTuple_Size(items) : PyList_Size(items);

    for (Py_ssize_t n = 0; n < count; n++)
        if (put(cursor, is_tuple ? PyTuple_GetItem(items, n) : PyList_GetItem(items, n)) < 0)
            return -1;
    return 0;
}

/* The attribute of an attribute ... of an instance; NULL with an exception. */
static PyObject *
attribute_of(PyObject *instance, PyObject *path)
{
    Py_ssize_t depth = PyTuple_Size(path);
    PyObject *item = instance;

    Py_INCREF(item);
    for (Py_ssize_t n = 0; n < depth && item != NULL; n++) {
        PyObject *inner = PyObject_GetAttr(item, PyTuple_GetItem(path, n));
        Py_DECREF(item);
        item = inner;
    }
    return item;
}

/* The twin of ipcpy.codec.nesting.spreader, and of an attrgetter. */
static enum Packed
put_field(Cursor *cursor, const Field *field, PyObject *instance)
{
    PyObject *item = attribute_of(instance, field->path);
    int result = -1;

    if (item == NULL)
        return PyErr_ExceptionMatches(PyExc_AttributeError) ? NOT_PLAIN : RAISED;
    if (field->number == 0)
        result = put(cursor, item);
    else if ((PyTuple_CheckExact(item) && PyTuple_Size(item) == field->number) ||
             (PyList_CheckExact(item) && PyList_Size(item) == field->number))
        result = put_items(cursor, item);
    Py_DECREF(item);
    return result < 0 ? NOT_PLAIN : PACKED;
}

/* The twin of ipcpy.codec.stream.checksum. */
static uint8_t
xor_of(const uint8_t *at, Py_ssize_t size)
{
    uint64_t sum = 0;

    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        sum ^= word;
    }
    while (size-- > 0)
        sum ^= *at++;
    sum ^= sum >> 32;
    sum ^= sum >> 16;
    return (uint8_t)(sum ^ sum >> 8);
}

static enum Packed
put_instance(Plan *plan, Cursor *cursor, PyObject *instance)
{
    enum Packed packed = PACKED;

    if (plan->kind == SCALAR)
        return put(cursor, instance) < 0 ? NOT_PLAIN : PACKED;
    if (plan->kind == ITEMS) {
        Py_ssize_t count = PyTuple_Check(instance) ? PyTuple_Size(instance) : PyList_Size(instance);
        return count != plan->count || put_items(cursor, instance) < 0 ? NOT_PLAIN : PACKED;
    }
    for (Py_ssize_t n = 0; n < plan->fields_count && packed == PACKED; n++)
        packed = put_field(cursor, &plan->fields[n], instance);
    return packed;
}

enum Packed
plan_pack(Plan *plan, PyObject *instance, uint8_t *out)
{
    uint8_t *payload = out + CHECKED_HEADER;
    Cursor cursor = {plan->runs, plan->runs + plan->runs_count, 0, payload};

    if (Py_TYPE(instance) != plan->type)
        return NOT_PLAIN;
    memset(payload, 0, (size_t)plan->size); /* padding, and what strings do not fill */
    enum Packed packed = put_instance(plan, &cursor, instance);
    if (packed == RAISED)
        return RAISED;
    if (packed == NOT_PLAIN || cursor.run != cursor.end) {
        PyErr_Clear();
        return NOT_PLAIN;
    }
    memcpy(out, plan->header, HEADER);
    out[HEADER] = xor_of(payload, plan->size);
    return PACKED;
}

/* -- what Python sees --------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(encode_doc, "encode($self, instance, /)\n--\n\nMake a message, as the encoder that it was made with.");

/* The twin of what ipcpy.codec.binding._encoder returns. */
static PyObject *
plan_encode(Plan *plan, PyObject *instance)
{
    PyObject *message = PyBytes_FromStringAndSize(NULL, plan_size(plan));

    if (message == NULL)
        return NULL;
    enum Packed packed = plan_pack(plan, instance, (uint8_t *)PyBytes_AsString(message));
    if (packed == PACKED)
        return message;
    Py_DECREF(message);
    return packed == RAISED ? NULL : PyObject_CallFunctionObjArgs(plan->otherwise, instance, NULL);
}

PyDoc_STRVAR(
    encode_many_doc,
    "encode_many($self, instances, /)\n--\n\nMake messages of a list, laid end to end; None if one is not plain.");

/* The twin of what ipcpy.codec.binding._many_encoder returns. */
static PyObject *
plan_encode_many(Plan *plan, PyObject *instances)
{
    if (!PyList_CheckExact(instances))
        Py_RETURN_NONE;
    Py_ssize_t count = PyList_Size(instances), size = plan_size(plan);
    if (count > PY_SSIZE_T_MAX / size)
        return PyErr_NoMemory();
    PyObject *messages = PyBytes_FromStringAndSize(NULL, count * size);
    if (messages == NULL)
        return NULL;
    uint8_t *at = (uint8_t *)PyBytes_AsString(messages);
    for (Py_ssize_t n = 0; n < count; n++, at += size) {
        PyObject *instance = n < PyList_Size(instances) ? PyList_GetItem(instances, n) : NULL;
        Py_XINCREF(instance); /* an attribute may run Python, and that may change the list */
        enum Packed packed = instance == NULL ? NOT_PLAIN : plan_pack(plan, instance, at);
        Py_XDECREF(instance);
        if (packed != PACKED) {
            Py_DECREF(messages);
            if (packed == RAISED)
                return NULL;
            Py_RETURN_NONE;
        }
    }
    return messages;
}

static int
read_run(Plan *plan, Run *run, PyObject *told)
{
    const char *code;
    int reversed;
    Py_ssize_t offset, width, number;

    if (!PyArg_ParseTuple(told, "spnnn", &code, &reversed, &offset, &width, &number))
        return -1;
    if (strchr("bBhHiIqQfdst?", code[0]) == NULL || offset < 0 || width < 0 || number < 1 || width > UINT16_MAX ||
        number > UINT16_MAX || offset + width * number > plan->size) {
        PyErr_SetString(PyExc_ValueError, "not a run of values");
        return -1;
    }
    if (strchr("bBhHiIqQfd", code[0]) != NULL && width > 8) {
        PyErr_SetString(PyExc_ValueError, "not the width of a number");
        return -1;
    }
    *run = (Run){code[0], (char)reversed, (uint16_t)offset, (uint16_t)width, (uint16_t)number};
    plan->count += number;
    return 0;
}

static int
read_runs(Plan *plan, PyObject *runs)
{
    Py_ssize_t count = PyTuple_Size(runs);

    plan->runs = PyMem_Calloc((size_t)count + 1, sizeof(Run));
    if (plan->runs == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    plan->runs_count = count;
    for (Py_ssize_t n = 0; n < count; n++)
        if (read_run(plan, &plan->runs[n], PyTuple_GetItem(runs, n)) < 0)
            return -1;
    return 0;
}

static int
read_fields(Plan *plan, PyObject *fields)
{
    Py_ssize_t count = PyTuple_Size(fields);

    plan->fields = PyMem_Calloc((size_t)count + 1, sizeof(Field));
    if (plan->fields == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t n = 0; n < count; n++) {
        Field *field = &plan->fields[n];
        if (!PyArg_ParseTuple(PyTuple_GetItem(fields, n), "O!n", &PyTuple_Type, &field->path, &field->number))
            return -1;
        Py_INCREF(field->path);
        plan->fields_count = n + 1;
    }
    return 0;
}

static PyObject *
plan_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *header;
    Py_ssize_t header_size, size;
    PyObject *runs, *fields, *of, *otherwise;

    if (kwargs != NULL && PyDict_Size(kwargs) > 0) {
        PyErr_SetString(PyExc_TypeError, "Plan takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "y#nO!OO!O", &header, &header_size, &size, &PyTuple_Type, &runs, &fields, &PyType_Type,
                          &of, &otherwise))
        return NULL;
    if (header_size != HEADER || size < 0 || size > UINT16_MAX || (fields != Py_None && !PyTuple_Check(fields))) {
        PyErr_SetString(PyExc_ValueError, "not a plan");
        return NULL;
    }
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Plan *plan = (Plan *)alloc(type, 0);
    if (plan == NULL)
        return NULL;
    memcpy(plan->header, header, HEADER);
    plan->size = size;
    Py_INCREF(of);
    plan->type = (PyTypeObject *)of;
    Py_INCREF(otherwise);
    plan->otherwise = otherwise;
    if (fields != Py_None)
        plan->kind = ATTRIBUTES;
    else
        plan->kind = PyType_IsSubtype(plan->type, &PyTuple_Type) || plan->type == &PyList_Type ? ITEMS : SCALAR;
    if (read_runs(plan, runs) < 0 || (fields != Py_None && read_fields(plan, fields) < 0)) {
        Py_DECREF(plan);
        return NULL;
    }
    return (PyObject *)plan;
}

static int
plan_traverse(PyObject *self, visitproc visit, void *arg)
{
    Plan *plan = (Plan *)self;

    Py_VISIT((PyObject *)Py_TYPE(self));
    Py_VISIT((PyObject *)plan->type);
    Py_VISIT(plan->otherwise);
    return 0;
}

static int
plan_clear(PyObject *self)
{
    Plan *plan = (Plan *)self;

    Py_CLEAR(plan->otherwise); /* the type stays to the end: what is packed meanwhile looks at it */
    return 0;
}

static void
plan_dealloc(PyObject *self)
{
    Plan *plan = (Plan *)self;
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    plan_clear(self);
    Py_CLEAR(plan->type);
    for (Py_ssize_t n = 0; n < plan->fields_count; n++)
        Py_CLEAR(plan->fields[n].path);
    PyMem_Free(plan->fields);
    PyMem_Free(plan->runs);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

static PyMethodDef plan_methods[] = {
    {"encode", (PyCFunction)plan_encode, METH_O, encode_doc},
    {"encode_many", (PyCFunction)plan_encode_many, METH_O, encode_many_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(plan_doc,
             "Plan(header, size, runs, fields, type, otherwise)\n--\n\n"
             "Encodes the instances of a type. See ipcpy/codec/plans.py, which makes it.");

static PyType_Slot plan_slots[] = {
    {Py_tp_doc, (void *)plan_doc}, {Py_tp_new, plan_new},         {Py_tp_traverse, plan_traverse},
    {Py_tp_clear, plan_clear},     {Py_tp_dealloc, plan_dealloc}, {Py_tp_methods, plan_methods},
    {0, NULL},
};

static PyType_Spec plan_spec = {
    .name = "_ipcpy_fast.Plan",
    .basicsize = sizeof(Plan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = plan_slots,
};

int
add_encoding(PyObject *module)
{
    PyTypeObject *type = add_type(module, &plan_spec);
    Py_XDECREF((PyObject *)type);
    return type == NULL ? -1 : 0;
}
