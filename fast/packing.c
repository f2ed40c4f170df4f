/* Rows of books to msgpack. Twin: msgpack.Packer().pack in ipcpy/protocol/link/rows.py, which does all else: numbers below
 * zero, texts that are no UTF-8, more than 65,535 items.
 */

#include "fast.h"

#define MAX_DEPTH 4 /* rows in a list, in them what was lost and latencies */
#define MAX_ITEMS 65535
#define MOST 9 /* bytes of a number, and of what stands before items */

/* What is packed; Python's memory, released by whoever has it. */
typedef struct {
    uint8_t *data;
    size_t size, room;
} Packed;

/* What came of it: packed, an exception, or Python has to do it. */
typedef enum { DONE, RAISED, UNUSUAL } Outcome;

/* Make room for so many bytes more. */
static Outcome
make_room(Packed *to, size_t more)
{
    size_t room = to->room < 512 ? 512 : to->room;
    uint8_t *data;

    if (to->room - to->size >= more)
        return DONE;
    while (room - to->size < more)
        room *= 2;
    data = PyMem_Realloc(to->data, room);
    if (data == NULL) {
        PyErr_NoMemory();
        return RAISED;
    }
    to->data = data;
    to->room = room;
    return DONE;
}

/* Write a byte and, most significant first, so many bytes of a number; there is room for it. */
static void
put_number(Packed *to, uint8_t kind, uint64_t number, int bytes)
{
    to->data[to->size++] = kind;
    for (int n = bytes - 1; n >= 0; n--)
        to->data[to->size++] = (uint8_t)(number >> 8 * n);
}

static Outcome
put_int(Packed *to, PyObject *value)
{
    uint64_t number = PyLong_AsUnsignedLongLong(value);

    if (number == UINT64_MAX && PyErr_Occurred()) {
        PyErr_Clear();
        return UNUSUAL;
    }
    if (number < 0x80)
        put_number(to, (uint8_t)number, 0, 0);
    else if (number <= UINT8_MAX)
        put_number(to, 0xcc, number, 1);
    else if (number <= UINT16_MAX)
        put_number(to, 0xcd, number, 2);
    else if (number <= UINT32_MAX)
        put_number(to, 0xce, number, 4);
    else
        put_number(to, 0xcf, number, 8);
    return DONE;
}

static Outcome
put_float(Packed *to, PyObject *value)
{
    double number = PyFloat_AsDouble(value);
    uint64_t bits;

    memcpy(&bits, &number, 8);
    put_number(to, 0xcb, bits, 8);
    return DONE;
}

static Outcome
put_text(Packed *to, PyObject *value)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);

    if (text == NULL || size > UINT8_MAX) {
        PyErr_Clear();
        return UNUSUAL;
    }
    if (make_room(to, MOST + (size_t)size) == RAISED)
        return RAISED;
    if (size < 32)
        put_number(to, (uint8_t)(0xa0 | size), 0, 0);
    else
        put_number(to, 0xd9, (uint64_t)size, 1);
    memcpy(to->data + to->size, text, (size_t)size);
    to->size += (size_t)size;
    return DONE;
}

/* Write how many items there are, of an array (0x90, 0xdc) or a map (0x80, 0xde). */
static void
put_count(Packed *to, uint8_t few, uint8_t many, Py_ssize_t count)
{
    if (count < 16)
        put_number(to, (uint8_t)(few | count), 0, 0);
    else
        put_number(to, many, (uint64_t)count, 2);
}

static Outcome put(Packed *to, PyObject *value, int depth);

/* Items of a list, or of a tuple of any type. Nothing of Python's runs, so that they stay the same. */
static Outcome
put_items(Packed *to, PyObject *value, int depth)
{
    int tuple = PyTuple_Check(value);
    Py_ssize_t count = tuple ? PyTuple_Size(value) : PyList_Size(value);
    Outcome outcome = count > MAX_ITEMS ? UNUSUAL : DONE;

    if (outcome == DONE)
        put_count(to, 0x90, 0xdc, count);
    for (Py_ssize_t n = 0; n < count && outcome == DONE; n++)
        outcome = put(to, tuple ? PyTuple_GetItem(value, n) : PyList_GetItem(value, n), depth + 1);
    return outcome;
}

static Outcome
put_map(Packed *to, PyObject *value, int depth)
{
    Py_ssize_t count = PyDict_Size(value), at = 0;
    Outcome outcome = count > MAX_ITEMS ? UNUSUAL : DONE;
    PyObject *key, *item;

    if (outcome == DONE)
        put_count(to, 0x80, 0xde, count);
    while (outcome == DONE && PyDict_Next(value, &at, &key, &item)) {
        outcome = put(to, key, depth + 1);
        if (outcome == DONE)
            outcome = put(to, item, depth + 1);
    }
    return outcome;
}

static Outcome
put(Packed *to, PyObject *value, int depth)
{
    if (value == NULL || depth > MAX_DEPTH)
        return UNUSUAL;
    if (make_room(to, MOST) == RAISED)
        return RAISED;
    if (PyLong_Check(value) && !PyBool_Check(value))
        return put_int(to, value);
    if (value == Py_None) {
        put_number(to, 0xc0, 0, 0);
        return DONE;
    }
    if (PyFloat_CheckExact(value))
        return put_float(to, value);
    if (PyTuple_Check(value) || PyList_CheckExact(value))
        return put_items(to, value, depth);
    if (PyUnicode_CheckExact(value))
        return put_text(to, value);
    return PyDict_CheckExact(value) ? put_map(to, value, depth) : UNUSUAL;
}

/* pack_usual(value): its bytes in msgpack; None where Python has to do it. */
static PyObject *
pack_usual(PyObject *module, PyObject *value)
{
    Packed packed = {NULL, 0, 0};
    Outcome outcome = put(&packed, value, 0);
    PyObject *bytes = NULL;

    if (outcome == DONE)
        bytes = PyBytes_FromStringAndSize((const char *)packed.data, (Py_ssize_t)packed.size);
    else if (outcome == UNUSUAL)
        bytes = Py_NewRef(Py_None);
    PyMem_Free(packed.data);
    return bytes;
}

static PyMethodDef functions[] = {
    {"pack_usual", pack_usual, METH_O, "pack_usual(value): its bytes in msgpack; None where Python has to do it."},
    {NULL, NULL, 0, NULL},
};

int
add_packing(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
