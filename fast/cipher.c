/* The cipher of a session: an algorithm with a key that is set once for each direction, where ``cryptography`` makes a
   context for each datagram. Twin: Cipher of ipcpy/sealing/keys.py. Its own contexts are used with the GIL, so by one thread
   at a time. */

#include "cipher.h"

#include <string.h>

struct Cipher {
    PyObject_HEAD
    int algorithm;
    unsigned char key[KEY_SIZE];
    Context *seals, *opens;
    PyObject *invalid; /* what is raised if a tag is wrong */
};

static const char *const algorithm_names[ALGORITHMS] = {"chacha20-poly1305", "aes-256-gcm"};

static PyObject *
cipher_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"algorithm", "key", "invalid", NULL};
    const char *name;
    Py_buffer key;
    PyObject *invalid;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sy*O", keywords, &name, &key, &invalid)) {
        return NULL;
    }
    int algorithm = 0;
    while (algorithm < ALGORITHMS && strcmp(name, algorithm_names[algorithm]) != 0) {
        algorithm++;
    }
    Cipher *self = NULL;
    if (algorithm == ALGORITHMS || !libcrypto_has(algorithm)) {
        PyErr_Format(PyExc_ValueError, "the algorithm is one of find_algorithms(), not %.40s", name);
    }
    else if (key.len != KEY_SIZE) {
        PyErr_Format(PyExc_ValueError, "a key has %d bytes, not %zd", KEY_SIZE, key.len);
    }
    else if (!PyExceptionClass_Check(invalid)) {
        PyErr_SetString(PyExc_TypeError, "what is raised for a wrong tag is a class of exceptions");
    }
    else {
        allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
        self = (Cipher *)alloc(type, 0);
    }
    if (self != NULL) {
        self->algorithm = algorithm;
        memcpy(self->key, key.buf, KEY_SIZE);
        self->invalid = Py_NewRef(invalid);
    }
    PyBuffer_Release(&key);
    return (PyObject *)self;
}

static void
cipher_dealloc(PyObject *object)
{
    Cipher *self = (Cipher *)object;
    PyTypeObject *type = Py_TYPE(object);
    libcrypto_free(self->seals);
    libcrypto_free(self->opens);
    libcrypto_cleanse(self->key, KEY_SIZE);
    Py_XDECREF(self->invalid);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

Context *
cipher_seals(Cipher *self)
{
    if (self->seals == NULL) {
        self->seals = libcrypto_context(self->algorithm, self->key, 1);
    }
    return self->seals;
}

Context *
cipher_opens(Cipher *self)
{
    if (self->opens == NULL) {
        self->opens = libcrypto_context(self->algorithm, self->key, 0);
    }
    return self->opens;
}

Context *
cipher_context(const Cipher *self, int seals)
{
    return libcrypto_context(self->algorithm, self->key, seals);
}

/* -- the interface of ``cryptography`` ----------------------------------------------------------------------------- */

typedef struct {
    Py_buffer nonce, data, head;
} Given;

static void
release(Given *given)
{
    PyBuffer_Release(&given->nonce); /* nothing is done for what was not taken */
    PyBuffer_Release(&given->data);
    PyBuffer_Release(&given->head);
}

/* Take nonce, data and associated data (or None). */
static int
take(Given *given, PyObject *const *args, Py_ssize_t count)
{
    memset(given, 0, sizeof *given);
    if (count != 3) {
        PyErr_Format(PyExc_TypeError, "expected nonce, data and associated data, got %zd arguments", count);
        return 0;
    }
    if (PyObject_GetBuffer(args[0], &given->nonce, PyBUF_SIMPLE) < 0
        || PyObject_GetBuffer(args[1], &given->data, PyBUF_SIMPLE) < 0
        || (args[2] != Py_None && PyObject_GetBuffer(args[2], &given->head, PyBUF_SIMPLE) < 0)) {
        release(given);
        return 0;
    }
    if (given->nonce.len != NONCE_SIZE) {
        PyErr_Format(PyExc_ValueError, "a nonce has %d bytes, not %zd", NONCE_SIZE, given->nonce.len);
        release(given);
        return 0;
    }
    return 1;
}

static PyObject *
cipher_encrypt(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    Cipher *self = (Cipher *)object;
    Given given;
    if (!take(&given, args, count)) {
        return NULL;
    }
    PyObject *sealed = NULL;
    Context *context = cipher_seals(self);
    if (context == NULL || given.data.len > PY_SSIZE_T_MAX - TAG_SIZE) {
        PyErr_NoMemory();
    }
    else {
        sealed = PyBytes_FromStringAndSize(NULL, given.data.len + TAG_SIZE);
    }
    if (sealed != NULL
        && !libcrypto_seal(context, given.nonce.buf, given.head.buf, (size_t)given.head.len, given.data.buf,
                           (size_t)given.data.len, (unsigned char *)PyBytes_AsString(sealed))) {
        Py_CLEAR(sealed);
        PyErr_SetString(PyExc_OverflowError, "it cannot be sealed at once: more than 2^31 bytes");
    }
    release(&given);
    return sealed;
}

static PyObject *
cipher_decrypt(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
    Cipher *self = (Cipher *)object;
    Given given;
    if (!take(&given, args, count)) {
        return NULL;
    }
    PyObject *plain = NULL;
    Context *context = cipher_opens(self);
    Py_ssize_t size = given.data.len - TAG_SIZE;
    if (size < 0) {
        PyErr_SetNone(self->invalid);
    }
    else if (context == NULL) {
        PyErr_NoMemory();
    }
    else {
        plain = PyBytes_FromStringAndSize(NULL, size);
    }
    if (plain != NULL
        && !libcrypto_open(context, given.nonce.buf, given.head.buf, (size_t)given.head.len, given.data.buf,
                           (size_t)size, (unsigned char *)PyBytes_AsString(plain))) {
        Py_CLEAR(plain);
        PyErr_SetNone(self->invalid);
    }
    release(&given);
    return plain;
}

static PyMethodDef cipher_methods[] = {
    {"encrypt", (PyCFunction)(void (*)(void))cipher_encrypt, METH_FASTCALL,
     "encrypt(nonce, data, associated_data)\n--\n\nReturn data sealed, 16 bytes longer."},
    {"decrypt", (PyCFunction)(void (*)(void))cipher_decrypt, METH_FASTCALL,
     "decrypt(nonce, data, associated_data)\n--\n\nReturn what was sealed; raises what it was given if it is not as it was."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot cipher_slots[] = {
    {Py_tp_new, cipher_new},
    {Py_tp_dealloc, cipher_dealloc},
    {Py_tp_methods, cipher_methods},
    {Py_tp_doc, "Cipher(algorithm, key, invalid)\n--\n\nAn AEAD with the key of a session."},
    {0, NULL},
};

static PyType_Spec cipher_spec = {
    .name = "_ipcpy_fast.Cipher",
    .basicsize = sizeof(Cipher),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = cipher_slots,
};

static Cipher *
cipher_of(PyObject *function, PyCFunction method)
{
    if (!PyCFunction_Check(function) || PyCFunction_GetFunction(function) != method) {
        return NULL;
    }
    return (Cipher *)PyCFunction_GetSelf(function);
}

Cipher *
cipher_that_encrypts(PyObject *function)
{
    return cipher_of(function, (PyCFunction)(void (*)(void))cipher_encrypt);
}

Cipher *
cipher_that_decrypts(PyObject *function)
{
    return cipher_of(function, (PyCFunction)(void (*)(void))cipher_decrypt);
}

/* Look for libcrypto when a key is used first, not when the module is loaded: most programs have none. */
static PyObject *
find_algorithms(PyObject *module, PyObject *nothing)
{
    static int looked;
    if (!looked) {
        libcrypto_find();
        looked = 1;
    }
    PyObject *found = PyList_New(0);
    for (int algorithm = 0; algorithm < ALGORITHMS && found != NULL; algorithm++) {
        if (!libcrypto_has(algorithm)) {
            continue;
        }
        PyObject *name = PyUnicode_FromString(algorithm_names[algorithm]);
        if (name == NULL || PyList_Append(found, name) < 0) {
            Py_CLEAR(found);
        }
        Py_XDECREF(name);
    }
    return found;
}

static PyMethodDef functions[] = {
    {"find_algorithms", find_algorithms, METH_NOARGS,
     "find_algorithms()\n--\n\nReturn the algorithms that the system's libcrypto has, and which are as they should be."},
    {NULL, NULL, 0, NULL},
};

int
add_cipher(PyObject *module)
{
    PyTypeObject *type = add_type(module, &cipher_spec);
    int failed = type == NULL;
    Py_XDECREF((PyObject *)type); /* the module keeps it */
    return failed || PyModule_AddFunctions(module, functions) < 0 ? -1 : 0;
}
