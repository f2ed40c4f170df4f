/* Datagrams sealed and opened in one step each, in the common case only. Twins: ``Sealer.sending`` and ``seal_run`` of
   ipcpy/sealing/sealer.py, ``Opener.receiving`` and ``_open_in_order`` of ipcpy/sealing/opener.py. Whatever is unusual
   is left to them: another cipher than ours, the end of a stream, a node that has ended, a number out of turn.

   The layout is that of ipcpy/sealing/datagram.py; little-endian, as all computers that this is compiled for. Between a
   comparison and the note that comes of it nothing here can run Python code, so no other thread comes in. */

#include "sealing.h"

#include "cipher.h"
#include "sessions.h"

#include <string.h>

#define HEAD_SIZE 36
#define OVERHEAD SEALED_OVERHEAD
#define MARK_AT 2
#define MARK_SIZE 6 /* version, kind, codec, flags, port */
#define NUMBER_AT 8
#define NAME_AT 16
#define NAME_SIZE 20 /* key, session, age */
#define AGE_AT 32
#define WAY_AT 13
#define WAY_SIZE 19 /* stream, key and session */
#define ROOM SEALED_ROOM
#define RECEIVE_SIZE 65536 /* more than any datagram has */

static uint64_t
read_u64(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t
read_u32(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static Py_ssize_t
read_length(const unsigned char *datagram)
{
    return datagram[0] | datagram[1] << 8;
}

static void
write_head(unsigned char *datagram, size_t length, const unsigned char *mark, uint64_t number,
           const unsigned char *name)
{
    uint16_t short_length = (uint16_t)length;
    memcpy(datagram, &short_length, sizeof short_length);
    memcpy(datagram + MARK_AT, mark, MARK_SIZE);
    memcpy(datagram + NUMBER_AT, &number, sizeof number);
    memcpy(datagram + NAME_AT, name, NAME_SIZE);
}

/* Seal what lies behind the head of a datagram, where it lies. */
static int
seal_in_place(Context *context, unsigned char *datagram, size_t size)
{
    unsigned char *body = datagram + HEAD_SIZE;
    return libcrypto_seal(context, datagram + NUMBER_AT, datagram, HEAD_SIZE, body, size, body);
}

/* The bytes of an object of type bytes itself; NULL, and no exception, if it is none, or not of a size that is asked. */
static const unsigned char *
bytes_of(PyObject *object, Py_ssize_t size)
{
    if (object == NULL || !PyBytes_CheckExact(object) || (size >= 0 && PyBytes_Size(object) != size)) {
        return NULL;
    }
    return (const unsigned char *)PyBytes_AsString(object);
}

/* What ``sealing`` of a seal has: what encrypts, and key id, session and age. 0 if that is not ours to use. */
static int
read_sealing(PyObject *sealing, Context **context, const unsigned char **name)
{
    if (!PyTuple_CheckExact(sealing) || PyTuple_Size(sealing) != 2) {
        return 0;
    }
    Cipher *cipher = cipher_that_encrypts(PyTuple_GetItem(sealing, 0));
    *name = bytes_of(PyTuple_GetItem(sealing, 1), NAME_SIZE);
    *context = cipher == NULL || *name == NULL ? NULL : cipher_seals(cipher);
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

/* What is known of a way, by the bytes of a head that show it: a session, which opens it, and the window of its numbers;
   both are in ``known``, which is owned. */
typedef struct {
    PyObject *known;
    SessionFields *session;
    WindowFields *window;
    unsigned char key[WAY_SIZE];
} Way;

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

/* What opens what comes by a way; NULL if it is not ours to use. It lives as long as what is known of the way, and as
   long as no Python runs, which may give the session another one. */
static Context *
context_of(const Way *way)
{
    Cipher *cipher = way->session->decrypt == NULL ? NULL : cipher_that_decrypts(way->session->decrypt);
    return cipher == NULL ? NULL : cipher_opens(cipher);
}

/* Count datagrams that lie end to end and have the heads that they have to have: for this mark, of equal length but the
   last, one number after another. 0 if it is anything else. */
static Py_ssize_t
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
    Context *context = context_of(way);
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

/* -- one datagram: seal and send, receive and open ----------------------------------------------------------------- */

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
    if (sealing == NULL || number > self->last || !read_sealing(sealing, &context, &name)) {
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

static void
dealloc(PyObject *self, inquiry clear)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
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
    dealloc(self, sending_clear);
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

typedef struct {
    PyObject_HEAD
    PyObject *ways, *receive, *open, *refuse;
    Way way; /* by which the last one came; ``ways`` may have another for its bytes when that one serves no more */
    unsigned char mark[MARK_SIZE];
} Receiving;

/* Have ``way`` be that of a datagram: 1; 0 if it is not known, -1 with an exception. */
static int
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

/* Return what is in a datagram: the next of a way that is known, or whatever ``open`` makes of it. */
static PyObject *
opened(Receiving *self, PyObject *data_object)
{
    const unsigned char *data = bytes_of(data_object, -1);
    Py_ssize_t size = data == NULL ? 0 : PyBytes_Size(data_object), got = SEALING_UNUSUAL;
    if (size >= OVERHEAD && read_length(data) == size && memcmp(data + MARK_AT, self->mark, MARK_SIZE) == 0) {
        PyObject *plain = PyBytes_FromStringAndSize(NULL, size - OVERHEAD);
        if (plain == NULL) {
            return NULL;
        }
        got = open_counted(self, data, size, 1, (unsigned char *)PyBytes_AsString(plain), NULL);
        if (got == size - OVERHEAD && got > 0) {
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
    dealloc(self, receiving_clear);
}

static PyMethodDef receiving_methods[] = {
    {"recvfrom", receiving_recvfrom, METH_VARARGS,
     "recvfrom(size, flags=0)\n--\n\nReceive a datagram and open it."},
    {"receive_into", receiving_receive_into, METH_O,
     "receive_into(buffers)\n--\n\nReceive a datagram and open it into buffers, one after the other."},
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
    {"seal_run", seal_run, METH_VARARGS,
     "seal_run(sealing, mark, numbers, last, datagrams, segment)\n--\n\n"
     "Return datagrams sealed, end to end; None if they are to be sealed one by one."},
    {"seal_laid", seal_laid, METH_VARARGS,
     "seal_laid(sealing, mark, numbers, last, heads, data, size)\n--\n\n"
     "Return datagrams sealed, end to end, each a head and size bytes of data; None if that cannot be done so."},
    {"open_run", open_run, METH_VARARGS,
     "open_run(ways, mark, data)\n--\n\nReturn what is in datagrams that lie end to end; None, and nothing done, if they\n"
     "are to be opened one by one; NotImplemented if their cipher is not one of ours."},
    {NULL, NULL, 0, NULL},
};

int
add_sealing(PyObject *module)
{
    PyTypeObject *sending = add_type(module, &sending_spec);
    PyTypeObject *receiving = sending == NULL ? NULL : add_type(module, &receiving_spec);
    int added = receiving != NULL;
    Py_XDECREF((PyObject *)sending); /* the module keeps them */
    Py_XDECREF((PyObject *)receiving);
    return added ? PyModule_AddFunctions(module, functions) : -1;
}
