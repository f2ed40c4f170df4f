/* A Plan encodes the instances of one type of struct message. */

#ifndef IPCPY_ENCODING_H
#define IPCPY_ENCODING_H

#include "fast.h"

typedef struct Plan Plan;

/* The Plan behind its method `encode`; NULL where a callable is anything else. The reference is borrowed. */
Plan *plan_behind(PyObject *encode);

/* Bytes of a whole message. */
Py_ssize_t plan_size(const Plan *plan);

enum Packed {
    PACKED,
    NOT_PLAIN, /* Python has to do it, or to say what is wrong; no exception is set */
    RAISED     /* with the exception of an attribute, or of a signal handler meanwhile */
};

/* Writes a whole message. */
enum Packed plan_pack(Plan *plan, PyObject *instance, uint8_t *out);

#endif
