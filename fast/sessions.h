/* What C reads and writes of a node's seal, its sessions and their windows. Each of the structs is the base of the Python
   class of that name, as those of fields.h are: nothing is kept twice. */

#ifndef IPCPY_SESSIONS_H
#define IPCPY_SESSIONS_H

#include "fast.h"

typedef struct { /* ipcpy.sealing.seal.Seal */
    PyObject_HEAD
    PyObject *sealing; /* NULL until it is set */
} SealFields;

typedef struct { /* ipcpy.sealing.sessions.Session */
    PyObject_HEAD
    PyObject *decrypt; /* NULL until it is set */
    uint64_t floor;
} SessionFields;

typedef struct { /* ipcpy.sealing.window.Window */
    PyObject_HEAD
    uint64_t highest;
} WindowFields;

/* The object as what it is the base of; NULL, and no exception, if it is anything else. Borrowed. */
SealFields *seal_fields(PyObject *object);
SessionFields *session_fields(PyObject *object);
WindowFields *window_fields(PyObject *object);

/* Numbers that count up for all threads, with the GIL or without; NULL, and no exception, if an iterator is none. Borrowed. */
typedef struct Numbers Numbers;
Numbers *numbers_of(PyObject *iterator);

/* Take so many that follow one another; 0, and no exception, if there are no more. Needs no GIL. */
int take_numbers(Numbers *numbers, uint32_t count, uint64_t *first);

/* Take the next of an iterator of numbers, at once where that is a Numbers. 1; or 0, with an exception. */
int next_number(PyObject *numbers, uint64_t *number);

#endif
