/* What the files of the compiled part have in common. Little-endian processors only: memory is the order of the wire. */

#ifndef IPCPY_FAST_H
#define IPCPY_FAST_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* As zlib.crc32(data, crc). */
uint32_t crc32_of(uint32_t crc, const void *data, size_t size);

/* Each adds what Python sees of a file to the module; -1 with an exception if that fails. */
int add_crc(PyObject *module);
int add_cipher(PyObject *module);
int add_sealing(PyObject *module);
int add_opening(PyObject *module);
int add_sealedruns(PyObject *module);
int add_locks(PyObject *module);
int add_sockets(PyObject *module);
int add_addressed(PyObject *module);
int add_sessions(PyObject *module);
int add_encoding(PyObject *module);
int add_publishing(PyObject *module);
int add_fields(PyObject *module);
int add_decoding(PyObject *module);
int add_receiving(PyObject *module);
int add_fragments(PyObject *module);
int add_gathering(PyObject *module);
int add_counting(PyObject *module);
int add_sent(PyObject *module);
int add_packing(PyObject *module);
int add_batching(PyObject *module);

/* Makes the type of a specification and adds it to the module. The reference is the caller's; NULL with an exception. */
static inline PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, (PyTypeObject *)type) < 0)
        Py_CLEAR(type);
    return (PyTypeObject *)type;
}

/* A tuple of so many values to be, for ``finish_tuple`` once they are in it. From Python 3.14 on a tuple keeps its hash,
   which nothing but tuple.__new__ begins rightly. */
static inline PyObject *
begin_tuple(PyTypeObject *type, Py_ssize_t size)
{
    if (type == &PyTuple_Type || Py_Version >= 0x030e0000)
        return PyTuple_New(size);
    return ((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, size);
}

/* The instance of the type; takes the tuple over. NULL with an exception, also where it was given that. */
static inline PyObject *
finish_tuple(PyTypeObject *type, PyObject *values)
{
    if (values == NULL || Py_TYPE(values) == type)
        return values;
    PyObject *args = PyTuple_Pack(1, values), *made = NULL;
    Py_DECREF(values);
    if (args != NULL)
        made = ((newfunc)PyType_GetSlot(&PyTuple_Type, Py_tp_new))(type, args, NULL);
    Py_XDECREF(args);
    return made;
}

static inline void
put32(uint8_t *to, uint32_t value)
{
    memcpy(to, &value, 4);
}

static inline void
put64(uint8_t *to, uint64_t value)
{
    memcpy(to, &value, 8);
}

static inline uint32_t
get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

static inline uint64_t
get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return value;
}

#endif
