/* What the files that seal and open have in common: the layout of a sealed datagram, that of ipcpy/sealing/datagram.py;
   little-endian, as all computers that this is compiled for. */

#ifndef IPCPY_SEALED_H
#define IPCPY_SEALED_H

#include "cipher.h"
#include "sealing.h"

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

/* What ``sealing`` of a seal has: what encrypts, borrowed, and key id, session and age. NULL, and no exception, if that is
   not ours to use. */
Cipher *cipher_of_sealing(PyObject *sealing, const unsigned char **name);

static inline uint64_t
read_u64(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline uint32_t
read_u32(const unsigned char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static inline Py_ssize_t
read_length(const unsigned char *datagram)
{
    return datagram[0] | datagram[1] << 8;
}

/* The bytes of an object of type bytes itself; NULL, and no exception, if it is none, or not of a size that is asked. */
static inline const unsigned char *
bytes_of(PyObject *object, Py_ssize_t size)
{
    if (object == NULL || !PyBytes_CheckExact(object) || (size >= 0 && PyBytes_Size(object) != size)) {
        return NULL;
    }
    return (const unsigned char *)PyBytes_AsString(object);
}

static inline void
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
static inline int
seal_in_place(Context *context, unsigned char *datagram, size_t size)
{
    unsigned char *body = datagram + HEAD_SIZE;
    return libcrypto_seal(context, datagram + NUMBER_AT, datagram, HEAD_SIZE, body, size, body);
}

/* Have the processor fetch bytes that are soon read (written), while it encrypts others; no more than its nearest cache has
   room for. Without it, sealing 1 MB that no cache has takes a tenth longer. */
#define FETCHED 4096
static inline void
fetch_to_read(const unsigned char *at, size_t size)
{
    for (size_t n = 0; n < size && n < FETCHED; n += 64) {
        __builtin_prefetch(at + n, 0);
    }
}

static inline void
fetch_to_write(unsigned char *at, size_t size)
{
    for (size_t n = 0; n < size && n < FETCHED; n += 64) {
        __builtin_prefetch(at + n, 1);
    }
}

/* The end of an object that the garbage collector knows, whatever it is. */
static inline void
free_tracked(PyObject *self, inquiry clear)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

#endif
