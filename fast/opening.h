/* What opens for a socket, as the files that do so have it. */

#ifndef IPCPY_OPENING_H
#define IPCPY_OPENING_H

#include "sealed.h"
#include "sessions.h"

/* What is known of a way, by the bytes of a head that show it: a session, which opens it, and the window of its numbers;
   both are in ``known``, which is owned. */
typedef struct {
    PyObject *known;
    SessionFields *session;
    WindowFields *window;
    unsigned char key[WAY_SIZE];
} Way;

typedef struct {
    PyObject_HEAD
    PyObject *ways, *receive, *open, *refuse;
    Way way; /* by which the last one came; ``ways`` may have another for its bytes when that one serves no more */
    unsigned char mark[MARK_SIZE];
} Receiving;

/* What opens what comes by a way; NULL if it is not ours to use. It lives as long as what is known of the way, and as long as
   no Python runs, which may give the session another one. */
Cipher *cipher_of_way(const Way *way);

/* Have ``way`` be that of a datagram: 1; 0 if it is not known, -1 with an exception. */
int turn_to_way(Receiving *self, const unsigned char *data);

/* Count datagrams that lie end to end and have the heads that they have to have: for this mark, of equal length but the
   last, one number after another. 0 if it is anything else. Needs no GIL. */
Py_ssize_t count_in_order(const unsigned char *data, Py_ssize_t size, const unsigned char *mark);

/* Return what is in a datagram, or in several that were merged: the next of a way that is known, or whatever ``open`` makes
   of it. */
PyObject *opened(Receiving *self, PyObject *data);

/* Receiving.fill, of sealedgathering.c. */
PyObject *receiving_fill(PyObject *self, PyObject *args);

#endif
