/* The lock over what user's threads and the I/O thread share: threading.RLock, which C takes without a call of Python's.

It is the same lock: the thread that holds it may take it again, only that thread gives it back, and who waits for it has
handlers of signals run meanwhile, whose exceptions end the wait. What C reads and writes here it does with the GIL;
without it one only waits. */

#include "locks.h"

#include <time.h>

typedef struct {
    PyObject_HEAD
    PyThread_type_lock inner; /* held while count > 0 */
    unsigned long owner;
    unsigned long count; /* how often the owner has taken it */
} Lock;

#define MOST_SECONDS 9223372036.0 /* threading.TIMEOUT_MAX, 2^63 ns */

static PyTypeObject *lock_type;
static PyObject *s_acquire, *s_release, *s_owned;

static inline int
is_mine(const Lock *lock)
{
    return lock->count > 0 && lock->owner == PyThread_get_thread_ident();
}

static double
monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Waits for the inner lock, for ever if seconds are negative: 1, 0 if the time is up, -1 with an exception. */
static int
wait_for_inner(Lock *lock, double seconds)
{
    double end = seconds < 0 ? 0 : monotonic() + seconds;
    PyLockStatus status;

    for (;;) {
        PY_TIMEOUT_T wait = seconds < 0 ? -1 : (PY_TIMEOUT_T)(seconds * 1e6);
        Py_BEGIN_ALLOW_THREADS
        status = PyThread_acquire_lock_timed(lock->inner, wait, 1);
        Py_END_ALLOW_THREADS
        if (status != PY_LOCK_INTR)
            return status == PY_LOCK_ACQUIRED;
        if (PyErr_CheckSignals() < 0)
            return -1;
        if (seconds >= 0 && (seconds = end - monotonic()) < 0)
            seconds = 0;
    }
}

/* Takes it; seconds: 0 does not wait, negative waits for ever. As lock_acquire. */
static int
take_lock(Lock *lock, double seconds)
{
    if (is_mine(lock)) {
        if (lock->count == ULONG_MAX) {
            PyErr_SetString(PyExc_OverflowError, "Internal lock count overflowed");
            return -1;
        }
        lock->count++;
        return 1;
    }
    if (!PyThread_acquire_lock(lock->inner, NOWAIT_LOCK)) {
        int taken = seconds == 0 ? 0 : wait_for_inner(lock, seconds);
        if (taken <= 0)
            return taken;
    }
    lock->owner = PyThread_get_thread_ident();
    lock->count = 1;
    return 1;
}

/* Gives it back; -1 with an exception if this thread does not have it. */
static int
give_lock(Lock *lock)
{
    if (!is_mine(lock)) {
        PyErr_SetString(PyExc_RuntimeError, "cannot release un-acquired lock");
        return -1;
    }
    if (--lock->count == 0) {
        lock->owner = 0;
        PyThread_release_lock(lock->inner);
    }
    return 0;
}

/* -- for other C ---------------------------------------------------------------------------------------------------- */

/* Whether an answer of Python's, which is taken over, is true; -1 with an exception. */
static int
truth_of(PyObject *answer)
{
    int truth = answer == NULL ? -1 : PyObject_IsTrue(answer);

    Py_XDECREF(answer);
    return truth;
}

int
lock_owned(PyObject *lock)
{
    if (Py_TYPE(lock) == lock_type)
        return is_mine((Lock *)lock);
    return truth_of(PyObject_CallMethodObjArgs(lock, s_owned, NULL));
}

int
lock_acquire(PyObject *lock, int blocking)
{
    if (Py_TYPE(lock) == lock_type)
        return take_lock((Lock *)lock, blocking ? -1 : 0);
    return truth_of(PyObject_CallMethodObjArgs(lock, s_acquire, blocking ? Py_True : Py_False, NULL));
}

int
lock_release(PyObject *lock)
{
    PyObject *type, *error, *trace;
    int done;

    PyErr_Fetch(&type, &error, &trace);
    if (Py_TYPE(lock) == lock_type)
        done = give_lock((Lock *)lock);
    else
        done = truth_of(PyObject_CallMethodObjArgs(lock, s_release, NULL));
    if (done < 0) { /* the newer exception, as with Python's `finally` */
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(trace);
        return -1;
    }
    if (type == NULL)
        return 0;
    PyErr_Restore(type, error, trace);
    return -1;
}

/* -- what Python sees ----------------------------------------------------------------------------------------------- */

/* The seconds that are to be waited; -2 with an exception. */
static double
seconds_of(int blocking, PyObject *timeout)
{
    double seconds = timeout == NULL ? -1 : PyFloat_AsDouble(timeout);

    if (seconds == -1 && PyErr_Occurred())
        return -2;
    if (!blocking && seconds != -1) {
        PyErr_SetString(PyExc_ValueError, "can't specify a timeout for a non-blocking call");
        return -2;
    }
    if (seconds != seconds || (seconds < 0 && seconds != -1)) {
        PyErr_SetString(PyExc_ValueError, "timeout value must be a non-negative number");
        return -2;
    }
    if (seconds > MOST_SECONDS) {
        PyErr_SetString(PyExc_OverflowError, "timeout value is too large");
        return -2;
    }
    return blocking ? seconds : 0;
}

/* Lock.acquire(blocking=True, timeout=-1) */
static PyObject *
py_acquire(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"blocking", "timeout", NULL};
    int blocking = 1;
    PyObject *timeout = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|pO:acquire", names, &blocking, &timeout))
        return NULL;
    double seconds = seconds_of(blocking, timeout);
    int taken = seconds == -2 ? -1 : take_lock((Lock *)self, seconds);
    return taken < 0 ? NULL : PyBool_FromLong(taken);
}

static PyObject *
py_release(PyObject *self, PyObject *args)
{
    (void)args;
    if (give_lock((Lock *)self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
py_enter(PyObject *self, PyObject *args)
{
    (void)args;
    return take_lock((Lock *)self, -1) < 0 ? NULL : PyBool_FromLong(1);
}

static PyObject *
py_exit(PyObject *self, PyObject *args)
{
    return py_release(self, args);
}

static PyObject *
py_owned(PyObject *self, PyObject *args)
{
    (void)args;
    return PyBool_FromLong(is_mine((Lock *)self));
}

static PyObject *
lock_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (PyTuple_Size(args) != 0 || (kwargs != NULL && PyDict_Size(kwargs) != 0)) {
        PyErr_SetString(PyExc_TypeError, "Lock takes no arguments");
        return NULL;
    }
    Lock *lock = (Lock *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (lock != NULL && (lock->inner = PyThread_allocate_lock()) == NULL) {
        Py_CLEAR(lock);
        PyErr_NoMemory();
    }
    return (PyObject *)lock;
}

static void
lock_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Lock *lock = (Lock *)self;

    if (lock->inner != NULL) {
        if (lock->count > 0)
            PyThread_release_lock(lock->inner);
        PyThread_free_lock(lock->inner);
    }
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF((PyObject *)type);
}

PyDoc_STRVAR(acquire_doc, "acquire($self, blocking=True, timeout=-1)\n--\n\nAs that of threading.RLock.");
PyDoc_STRVAR(lock_doc, "Lock()\n--\n\nA lock that does what threading.RLock does, and that C takes without a call.");

static PyMethodDef lock_methods[] = {
    {"acquire", (PyCFunction)(void (*)(void))py_acquire, METH_VARARGS | METH_KEYWORDS, acquire_doc},
    {"release", py_release, METH_NOARGS, "As that of threading.RLock."},
    {"__enter__", py_enter, METH_NOARGS, NULL},
    {"__exit__", py_exit, METH_VARARGS, NULL},
    {"_is_owned", py_owned, METH_NOARGS, "Tell whether the calling thread holds it."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot lock_slots[] = {
    {Py_tp_doc, (void *)lock_doc}, {Py_tp_new, lock_new}, {Py_tp_dealloc, lock_dealloc},
    {Py_tp_methods, lock_methods}, {0, NULL},
};

static PyType_Spec lock_spec = {
    .name = "_ipcpy_fast.Lock",
    .basicsize = sizeof(Lock),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = lock_slots,
};

int
add_locks(PyObject *module)
{
    s_acquire = PyUnicode_InternFromString("acquire");
    s_release = PyUnicode_InternFromString("release");
    s_owned = PyUnicode_InternFromString("_is_owned");
    if (s_acquire == NULL || s_release == NULL || s_owned == NULL)
        return -1;
    lock_type = add_type(module, &lock_spec);
    return lock_type == NULL ? -1 : 0;
}
