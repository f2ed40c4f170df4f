/* Sends to one address: what stands before the `sendto` of a socket that also takes answers, and so is not connected.
   Twin: `sender_to` in ipcpy/transport/group.py.

   To Python it is a function of a datagram. Who sends without Python finds here by which descriptor, and where to. */

#include "addressed.h"

#include "sockets.h"

#include <arpa/inet.h>

static PyCFunction socket_sendto; /* what `sendto` of the system's sockets is */

typedef struct {
    PyObject_HEAD
    PyObject *sendto, *address; /* as they were given */
    struct sockaddr_in to;      /* the same address; of no family where it is none that C knows */
} Addressed;

/* Know an address of Python's, such as ("239.255.1.2", 20000), if its host is a number. An exception is not set. */
static void
know(struct sockaddr_in *to, PyObject *address)
{
    const char *host;
    int port;

    if (PyArg_ParseTuple(address, "si", &host, &port) && port > 0 && port <= UINT16_MAX &&
        inet_pton(AF_INET, host, &to->sin_addr) == 1) {
        to->sin_family = AF_INET;
        to->sin_port = htons((uint16_t)port);
    }
    PyErr_Clear();
}

static PyObject *
addressed_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *sendto, *address;

    (void)kwargs;
    if (!PyArg_ParseTuple(args, "OO!", &sendto, &PyTuple_Type, &address))
        return NULL;
    Addressed *self = (Addressed *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (self != NULL) {
        self->sendto = Py_NewRef(sendto);
        self->address = Py_NewRef(address);
        know(&self->to, address);
    }
    return (PyObject *)self;
}

static int
addressed_traverse(PyObject *object, visitproc visit, void *arg)
{
    Addressed *self = (Addressed *)object;

    Py_VISIT((PyObject *)Py_TYPE(object));
    Py_VISIT(self->sendto);
    Py_VISIT(self->address);
    return 0;
}

static int
addressed_clear(PyObject *object)
{
    Addressed *self = (Addressed *)object;

    Py_CLEAR(self->sendto);
    Py_CLEAR(self->address);
    return 0;
}

static void
addressed_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    PyObject_GC_UnTrack(object);
    addressed_clear(object);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF((PyObject *)type);
}

static PyObject *
addressed_send(PyObject *object, PyObject *data)
{
    Addressed *self = (Addressed *)object;

    return PyObject_CallFunctionObjArgs(self->sendto, data, self->address, NULL);
}

PyObject *
addressed_of(PyObject *send)
{
    return PyCFunction_Check(send) && PyCFunction_GetFunction(send) == addressed_send ? PyCFunction_GetSelf(send) : NULL;
}

int
addressed_by(PyObject *object, const struct sockaddr_in **address)
{
    Addressed *self = (Addressed *)object;

    if (self->to.sin_family != AF_INET || self->sendto == NULL || !PyCFunction_Check(self->sendto) ||
        PyCFunction_GetFunction(self->sendto) != socket_sendto)
        return -1;
    *address = &self->to;
    return descriptor_in(PyCFunction_GetSelf(self->sendto));
}

static PyMethodDef addressed_methods[] = {
    {"send", addressed_send, METH_O, "send(data)\n--\n\nSend a datagram to the address."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot addressed_slots[] = {
    {Py_tp_doc, "Addressed(sendto, address)\n--\n\nSends by a socket's sendto to one address."},
    {Py_tp_new, addressed_new},
    {Py_tp_traverse, addressed_traverse},
    {Py_tp_clear, addressed_clear},
    {Py_tp_dealloc, addressed_dealloc},
    {Py_tp_methods, addressed_methods},
    {0, NULL},
};

static PyType_Spec addressed_spec = {
    .name = "_ipcpy_fast.Addressed",
    .basicsize = sizeof(Addressed),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = addressed_slots,
};

int
add_addressed(PyObject *module)
{
    PyObject *type;

    if (socket_method("sendto", &socket_sendto) < 0)
        return -1;
    type = (PyObject *)add_type(module, &addressed_spec);
    Py_XDECREF(type);
    return type == NULL ? -1 : 0;
}
