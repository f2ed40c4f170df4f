/* The descriptor of a socket of Python's, asked for at each use: another thread may have closed it, and the system given
its number to somebody else.

CPython keeps it right behind the head of the object, which nothing promises: so it is looked there only if that is true
of the sockets made here when the module is loaded; else fileno() is called. */

#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <structmember.h>
#include <unistd.h>

static PyObject *s_fileno;
static int is_behind_head;

static int
ask_fileno(PyObject *socket)
{
    PyObject *number = PyObject_CallMethodObjArgs(socket, s_fileno, NULL);
    long descriptor = number == NULL ? -1 : PyLong_AsLong(number);

    Py_XDECREF(number);
    PyErr_Clear();
    return descriptor < 0 || descriptor > INT_MAX ? -1 : (int)descriptor;
}

static inline int
look_behind_head(PyObject *socket)
{
    int descriptor;

    memcpy(&descriptor, (char *)socket + sizeof(PyObject), sizeof descriptor);
    return descriptor;
}

int
descriptor_in(PyObject *socket)
{
    return is_behind_head ? look_behind_head(socket) : ask_fileno(socket);
}

/* Whether it is so of a socket before it is closed and afterwards; -1 with an exception. */
static int
try_one(PyObject *type)
{
    PyObject *socket = PyObject_CallNoArgs(type), *closed = NULL;
    int right = 0;

    if (socket == NULL) { /* there is none to be had: fileno() then */
        PyErr_Clear();
        return 0;
    }
    int open = ask_fileno(socket);
    right = open >= 0 && look_behind_head(socket) == open;
    closed = PyObject_CallMethod(socket, "close", NULL);
    right = right && look_behind_head(socket) == -1;
    Py_DECREF(socket);
    Py_XDECREF(closed);
    return closed == NULL ? -1 : right;
}

int
socket_method(const char *name, PyCFunction *function)
{
    PyObject *module = PyImport_ImportModule("_socket");
    PyObject *type = module == NULL ? NULL : PyObject_GetAttrString(module, "socket");
    PyObject *made = type == NULL ? NULL : PyObject_CallMethod(type, "__new__", "O", type);
    PyObject *bound = made == NULL ? NULL : PyObject_GetAttrString(made, name);

    if (bound != NULL && PyCFunction_Check(bound))
        *function = PyCFunction_GetFunction(bound);
    Py_XDECREF(bound);
    Py_XDECREF(made);
    Py_XDECREF(type);
    Py_XDECREF(module);
    return PyErr_Occurred() ? -1 : 0;
}

int
own_number(int fd)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (own >= 0)
        return own;
    if (errno == EMFILE || errno == ENFILE)
        return -1;
    PyErr_SetFromErrno(PyExc_OSError);
    return NOT_OPEN;
}

void
give_back_number(int own)
{
    if (own >= 0)
        close(own);
}

int
add_sockets(PyObject *module)
{
    PyObject *sockets = PyImport_ImportModule("_socket");
    PyObject *type = sockets == NULL ? NULL : PyObject_GetAttrString(sockets, "socket");
    PyObject *size = type == NULL ? NULL : PyObject_GetAttrString(type, "__basicsize__");

    (void)module;
    s_fileno = PyUnicode_InternFromString("fileno");
    if (size != NULL && s_fileno != NULL && PyLong_AsLong(size) >= (long)(sizeof(PyObject) + sizeof(int)))
        is_behind_head = try_one(type);
    Py_XDECREF(sockets);
    Py_XDECREF(type);
    Py_XDECREF(size);
    return PyErr_Occurred() ? -1 : 0;
}
