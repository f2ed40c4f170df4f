/* What seals and opens for a socket, for other C that has a frame or a datagram in a buffer of its own.

   A sealed socket's ``send`` is the bound method of a Sending, its ``recvfrom`` that of a Receiving: both stand before
   the same functions of a plain socket. Whoever sends (receives) without Python asks here first. */

#ifndef IPCPY_SEALING_H
#define IPCPY_SEALING_H

#include "fast.h"

enum { SEALED_OVERHEAD = 52, SEALED_ROOM = 65507 - SEALED_OVERHEAD }; /* bytes */
enum { SEALING_FAILED = -1, SEALING_UNUSUAL = -2 };

/* The object whose ``send`` this is, or NULL (no exception); what it sends by; both borrowed. */
PyObject *sending_of(PyObject *send);
PyObject *sending_plain(PyObject *sending);

/* Seal size bytes to where there is room for SEALED_OVERHEAD more; the two must not overlap, unless data lies 36 bytes
   behind the begin of sealed. Return the bytes of the datagram, which ``sending_plain`` is to be given; or
   SEALING_UNUSUAL, and then ``send`` is to be given the data; or SEALING_FAILED, with an exception. */
Py_ssize_t sending_seal(PyObject *sending, const unsigned char *data, Py_ssize_t size, unsigned char *sealed);

/* The object whose ``recvfrom`` this is, or NULL (no exception); what it receives by; both borrowed. */
PyObject *receiving_of(PyObject *recvfrom);
PyObject *receiving_plain(PyObject *receiving);

/* Open a datagram, or several that were merged, to where there is room for size bytes; the two must not overlap. Return
   the bytes of what was in it, 0 if it was refused; or SEALING_UNUSUAL, and then ``receiving_open_slowly`` is to be
   called; or SEALING_FAILED, with an exception. What lies in plain is nothing to be looked at beyond those bytes. */
Py_ssize_t receiving_open(PyObject *receiving, const unsigned char *data, Py_ssize_t size, unsigned char *plain);

/* Open what is unusual: bytes in, bytes out; NULL with an exception. */
PyObject *receiving_open_slowly(PyObject *receiving, PyObject *data);

#endif
