/* Datagrams opened in one step each, or many in one, in the common case only. Twins: ``Opener.receiving`` and
   ``_open_in_order`` of ipcpy/sealing/opener.py. Whatever is unusual is left to them: another cipher than ours, a way that
   is not known, a number out of turn.

   Between a comparison and the note that comes of it nothing here can run Python code, so no other thread comes in. */

#include "opening.h"

#define RECEIVE_SIZE 65536 /* more than any datagram has */

/* Look a way up; 1, 0 if it is not known, -1 with an exception. */
static int
find_way(PyObject *ways, const unsigned char *data, Way *way)
{
    PyObject *key = PyBytes_FromStringAndSize((const char *)data + WAY_AT, WAY_SIZE);
    if (key == NULL) {
        return -1;
    }
    PyObject *known = PyDict_GetItemWithError(ways, key);
    Py_DECREF(key);
    if (known == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    if (!PyTuple_CheckExact(known) || PyTuple_Size(known) != 3) {
        return 0;
    }
    way->session = session_fields(PyTuple_GetItem(known, 0));
    way->window = window_fields(PyTuple_GetItem(known, 1));
    if (way->session == NULL || way->window == NULL) {
        return 0;
    }
    way->known = Py_NewRef(known);
    memcpy(way->key, data + WAY_AT, WAY_SIZE);
    return 1;
}

/* Whether a datagram of a way is the next one and not too old. */
static int
is_next(const Way *way, const unsigned char *data)
{
    return read_u64(data + NUMBER_AT) == way->window->highest + 1 && read_u32(data + AGE_AT) >= way->session->floor;
}

Cipher *
cipher_of_way(const Way *way)
{
    return way->session->decrypt == NULL ? NULL : cipher_that_decrypts(way->session->decrypt);
}

Py_ssize_t
count_in_order(const unsigned char *data, Py_ssize_t size, const unsigned char *mark)
{
    if (size < OVERHEAD) {
        return 0;
    }
    Py_ssize_t length = read_length(data), count = 0;
    uint64_t number = read_u64(data + NUMBER_AT);
    if (length < OVERHEAD || length - OVERHEAD > ROOM) {
        return 0;
    }
    Py_ssize_t due;
    for (const unsigned char *at = data; size > 0; at += due, size -= due, count++) {
        due = size < length ? size : length;
        if (due < OVERHEAD || read_length(at) != due || memcmp(at + MARK_AT, mark, MARK_SIZE) != 0
            || read_u64(at + NUMBER_AT) != number + (uint64_t)count
            || memcmp(at + NAME_AT, data + NAME_AT, NAME_SIZE) != 0) {
            return 0;
        }
    }
    return count;
}

/* Buffers that are filled one after the other; the views are let go of by ``let_go``. */
typedef struct {
    Py_buffer *views;
    Py_ssize_t count, index, at, laid;
} Places;

static void
let_go(Places *places)
{
    for (Py_ssize_t i = 0; i < places->count; i++) {
        PyBuffer_Release(&places->views[i]);
    }
    PyMem_Free(places->views);
}

/* Take the buffers of a list; 0 with an exception. */
static int
take_places(PyObject *list, Places *places)
{
    Py_ssize_t count = PyList_Size(list);
    *places = (Places){.views = PyMem_Calloc((size_t)count + 1, sizeof(Py_buffer))};
    if (places->views == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    while (places->count < count) {
        PyObject *place = PyList_GetItem(list, places->count); /* NULL if another's code has made the list shorter */
        if (place == NULL || PyObject_GetBuffer(place, &places->views[places->count], PyBUF_WRITABLE) < 0) {
            let_go(places);
            return 0;
        }
        places->count++;
    }
    return 1;
}

/* Lay bytes into what is left of the places, as far as there is room. */
static void
lay(Places *places, const unsigned char *data, Py_ssize_t size)
{
    while (size > 0 && places->index < places->count) {
        Py_buffer *view = &places->views[places->index];
        Py_ssize_t room = view->len - places->at, part = size < room ? size : room;
        if (part > 0) {
            memcpy((unsigned char *)view->buf + places->at, data, (size_t)part);
        }
        data += part;
        size -= part;
        places->laid += part;
        places->at += part;
        if (places->at == view->len) {
            places->index++;
            places->at = 0;
        }
    }
}

/* Open datagrams whose heads were looked at, to a buffer or, one by one, to the places; 0 if a tag is wrong. What is laid
   into places was found to be right, and is laid over if what comes behind it is not. */
static int
open_each(Context *context, const unsigned char *data, Py_ssize_t size, unsigned char *plain, Places *places)
{
    Py_ssize_t length = read_length(data);
    while (size > 0) {
        Py_ssize_t due = size < length ? size : length, body = due - OVERHEAD;
        if (!libcrypto_open(context, data + NUMBER_AT, data, HEAD_SIZE, data + HEAD_SIZE, (size_t)body, plain)) {
            return 0;
        }
        if (places == NULL) {
            plain += body;
        }
        else {
            lay(places, plain, body);
        }
        data += due;
        size -= due;
    }
    return 1;
}

/* What came of it; FAILED with an exception. FOREIGN is what a cipher opens that is not ours. */
typedef enum { FAILED, OPENED, UNUSUAL, FORGED, FOREIGN } Outcome;

/* Open so many datagrams in order that came by a way that is known. No Python runs in here. */
static Outcome
open_known(const Way *way, const unsigned char *data, Py_ssize_t size, Py_ssize_t count, unsigned char *plain,
           Places *places)
{
    if (!is_next(way, data)) {
        return UNUSUAL;
    }
    Cipher *cipher = cipher_of_way(way);
    Context *context = cipher == NULL ? NULL : cipher_opens(cipher);
    if (context == NULL) {
        return FOREIGN;
    }
    if (!open_each(context, data, size, plain, places)) {
        return FORGED;
    }
    way->window->highest += (uint64_t)count;
    return OPENED;
}

/* open_run(ways, mark, data) -> bytes; None, and nothing done, if they are to be opened one by one; NotImplemented if the
   cipher is not ours. */
static PyObject *
open_run(PyObject *module, PyObject *args)
{
    PyObject *ways, *mark_object, *data_object;
    if (!PyArg_ParseTuple(args, "O!SO", &PyDict_Type, &ways, &mark_object, &data_object)) {
        return NULL;
    }
    const unsigned char *data = bytes_of(data_object, -1), *mark = bytes_of(mark_object, MARK_SIZE);
    Py_ssize_t size = data == NULL ? 0 : PyBytes_Size(data_object);
    Py_ssize_t count = mark == NULL ? 0 : count_in_order(data, size, mark);
    if (count == 0) {
        Py_RETURN_NONE;
    }
    PyObject *plain = PyBytes_FromStringAndSize(NULL, size - count * OVERHEAD);
    if (plain == NULL) {
        return NULL;
    }
    Way way;
    int known = find_way(ways, data, &way);
    Outcome outcome = known < 0 ? FAILED : UNUSUAL;
    if (known > 0) {
        outcome = open_known(&way, data, size, count, (unsigned char *)PyBytes_AsString(plain), NULL);
        Py_DECREF(way.known);
    }
    if (outcome == OPENED) {
        return plain;
    }
    Py_DECREF(plain);
    if (outcome == FAILED) {
        return NULL;
    }
    return Py_NewRef(outcome == FOREIGN ? Py_NotImplemented : Py_None);
}

/* -- one datagram: receive and open ---------------------------------------------------------------------------------- */

int
turn_to_way(Receiving *self, const unsigned char *data)
{
    if (self->way.known != NULL && memcmp(self->way.key, data + WAY_AT, WAY_SIZE) == 0 && is_next(&self->way, data)) {
        return 1;
    }
    Way found;
    int known = self->ways == NULL ? 0 : find_way(self->ways, data, &found);
    if (known > 0) {
        PyObject *before = self->way.known;
        self->way = found;
        Py_XDECREF(before);
    }
    return known;
}

/* Open so many datagrams in order; one that is forged among several is looked for in Python. */
static Py_ssize_t
open_counted(Receiving *self, const unsigned char *data, Py_ssize_t size, Py_ssize_t count, unsigned char *plain,
             Places *places)
{
    int known = turn_to_way(self, data);
    if (known <= 0) {
        return known < 0 ? SEALING_FAILED : SEALING_UNUSUAL;
    }
    Outcome outcome = open_known(&self->way, data, size, count, plain, places);
    if (outcome == OPENED) {
        return size - count * OVERHEAD;
    }
    if (outcome == FORGED && count == 1) {
        PyObject *nothing = PyObject_CallFunction(self->refuse, "s", "forged");
        Py_XDECREF(nothing);
        return nothing == NULL ? SEALING_FAILED : 0;
    }
    return SEALING_UNUSUAL;
}

Py_ssize_t
receiving_open(PyObject *object, const unsigned char *data, Py_ssize_t size, unsigned char *plain)
{
    Receiving *self = (Receiving *)object;
    Py_ssize_t count = count_in_order(data, size, self->mark);
    return count == 0 ? SEALING_UNUSUAL : open_counted(self, data, size, count, plain, NULL);
}

PyObject *
receiving_open_slowly(PyObject *object, PyObject *data)
{
    return PyObject_CallFunctionObjArgs(((Receiving *)object)->open, data, NULL);
}

PyObject *
opened(Receiving *self, PyObject *data_object)
{
    const unsigned char *data = bytes_of(data_object, -1);
    Py_ssize_t size = data == NULL ? 0 : PyBytes_Size(data_object), got = SEALING_UNUSUAL;
    Py_ssize_t count = count_in_order(data, size, self->mark);
    if (count > 0) {
        PyObject *plain = PyBytes_FromStringAndSize(NULL, size - count * OVERHEAD);
        if (plain == NULL) {
            return NULL;
        }
        got = open_counted(self, data, size, count, (unsigned char *)PyBytes_AsString(plain), NULL);
        if (got == size - count * OVERHEAD && got > 0) {
            return plain;
        }
        Py_DECREF(plain);
    }
    if (got >= 0) {
        return PyBytes_FromStringAndSize(NULL, 0);
    }
    return got == SEALING_UNUSUAL ? receiving_open_slowly((PyObject *)self, data_object) : NULL;
}

/* Make sure that a datagram and where it came from is what it is. */
static PyObject *
pair_of(PyObject *received)
{
    if (received != NULL && (!PyTuple_CheckExact(received) || PyTuple_Size(received) != 2)) {
        PyErr_SetString(PyExc_TypeError, "expected a datagram and where it came from");
        Py_CLEAR(received);
    }
    return received;
}

/* Receive a datagram and open it. Twin: ``opening`` in Opener.receiving. */
static PyObject *
receiving_recvfrom(PyObject *object, PyObject *args)
{
    Receiving *self = (Receiving *)object;
    PyObject *received = pair_of(PyObject_CallObject(self->receive, args));
    if (received == NULL) {
        return NULL;
    }
    PyObject *plain = opened(self, PyTuple_GetItem(received, 0)), *pair = NULL;
    if (plain != NULL) {
        pair = PyTuple_Pack(2, plain, PyTuple_GetItem(received, 1));
        Py_DECREF(plain);
    }
    Py_DECREF(received);
    return pair;
}

/* Open a datagram, or several that were merged, into places; return how many bytes lie there, -1 with an exception. */
static Py_ssize_t
open_into(Receiving *self, PyObject *data_object, Places *places)
{
    unsigned char plain[ROOM];
    const unsigned char *data = bytes_of(data_object, -1);
    Py_ssize_t size = data == NULL ? 0 : PyBytes_Size(data_object), got = SEALING_UNUSUAL;
    Py_ssize_t count = count_in_order(data, size, self->mark);
    if (count > 0) {
        got = open_counted(self, data, size, count, plain, places);
    }
    if (got != SEALING_UNUSUAL) {
        return got > 0 ? places->laid : got;
    }
    PyObject *found = receiving_open_slowly((PyObject *)self, data_object);
    if (found != NULL && !PyBytes_CheckExact(found)) {
        PyErr_SetString(PyExc_TypeError, "expected bytes of what opens");
        Py_CLEAR(found);
    }
    if (found != NULL) {
        places->index = places->at = places->laid = 0;
        lay(places, (const unsigned char *)PyBytes_AsString(found), PyBytes_Size(found));
        Py_DECREF(found);
    }
    return found == NULL ? SEALING_FAILED : places->laid;
}

/* Receive a datagram and open it into buffers, as ``recvmsg_into`` lays one there. Twin: DataSocket.receive_into, for a
   socket that brings what was opened. */
static PyObject *
receiving_receive_into(PyObject *object, PyObject *buffers)
{
    Receiving *self = (Receiving *)object;
    Places places;
    PyObject *list = PySequence_List(buffers);
    if (list == NULL || !take_places(list, &places)) {
        Py_XDECREF(list);
        return NULL;
    }
    PyObject *received = pair_of(PyObject_CallFunction(self->receive, "i", RECEIVE_SIZE)), *pair = NULL;
    if (received != NULL) {
        Py_ssize_t got = open_into(self, PyTuple_GetItem(received, 0), &places);
        pair = got < 0 ? NULL : Py_BuildValue("nO", got, PyTuple_GetItem(received, 1));
        Py_DECREF(received);
    }
    let_go(&places);
    Py_DECREF(list);
    return pair;
}

PyObject *
receiving_of(PyObject *recvfrom)
{
    return PyCFunction_Check(recvfrom) && PyCFunction_GetFunction(recvfrom) == receiving_recvfrom
               ? PyCFunction_GetSelf(recvfrom)
               : NULL;
}

PyObject *
receiving_plain(PyObject *object)
{
    return ((Receiving *)object)->receive;
}

static PyObject *
receiving_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *ways, *mark_object, *receive, *open, *refuse;
    if (!PyArg_ParseTuple(args, "O!SOOO", &PyDict_Type, &ways, &mark_object, &receive, &open, &refuse)) {
        return NULL;
    }
    const unsigned char *mark = bytes_of(mark_object, MARK_SIZE);
    if (mark == NULL) {
        PyErr_SetString(PyExc_TypeError, "expected a mark of 6 bytes");
        return NULL;
    }
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Receiving *self = (Receiving *)alloc(type, 0);
    if (self != NULL) {
        self->ways = Py_NewRef(ways);
        self->receive = Py_NewRef(receive);
        self->open = Py_NewRef(open);
        self->refuse = Py_NewRef(refuse);
        memcpy(self->mark, mark, MARK_SIZE);
    }
    return (PyObject *)self;
}

static int
receiving_traverse(PyObject *object, visitproc visit, void *arg)
{
    Receiving *self = (Receiving *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->ways);
    Py_VISIT(self->way.known);
    Py_VISIT(self->receive);
    Py_VISIT(self->open);
    Py_VISIT(self->refuse);
    return 0;
}

static int
receiving_clear(PyObject *object)
{
    Receiving *self = (Receiving *)object;
    Py_CLEAR(self->ways);
    Py_CLEAR(self->way.known);
    Py_CLEAR(self->receive);
    Py_CLEAR(self->open);
    Py_CLEAR(self->refuse);
    return 0;
}

static void
receiving_dealloc(PyObject *self)
{
    free_tracked(self, receiving_clear);
}

static PyMethodDef receiving_methods[] = {
    {"recvfrom", receiving_recvfrom, METH_VARARGS,
     "recvfrom(size, flags=0)\n--\n\nReceive a datagram and open it."},
    {"receive_into", receiving_receive_into, METH_O,
     "receive_into(buffers)\n--\n\nReceive a datagram and open it into buffers, one after the other."},
    {"fill", receiving_fill, METH_VARARGS,
     "fill(gathering, fd, heads, rest, buffer, common, first, count, deadline)\n--\n\n"
     "Receive and open fragments of a message into their places, until something else comes or the time is up."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot receiving_slots[] = {
    {Py_tp_new, receiving_new},
    {Py_tp_dealloc, receiving_dealloc},
    {Py_tp_traverse, receiving_traverse},
    {Py_tp_clear, receiving_clear},
    {Py_tp_methods, receiving_methods},
    {Py_tp_doc, "Receiving(ways, mark, receive, open, refuse)\n--\n\nOpens what a socket receives."},
    {0, NULL},
};

static PyType_Spec receiving_spec = {
    .name = "_ipcpy_fast.Receiving",
    .basicsize = sizeof(Receiving),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = receiving_slots,
};

static PyMethodDef functions[] = {
    {"open_run", open_run, METH_VARARGS,
     "open_run(ways, mark, data)\n--\n\nReturn what is in datagrams that lie end to end; None, and nothing done, if they\n"
     "are to be opened one by one; NotImplemented if their cipher is not one of ours."},
    {NULL, NULL, 0, NULL},
};

int
add_opening(PyObject *module)
{
    PyTypeObject *receiving = add_type(module, &receiving_spec);
    int added = receiving != NULL;
    Py_XDECREF((PyObject *)receiving); /* the module keeps it */
    return added ? PyModule_AddFunctions(module, functions) : -1;
}
