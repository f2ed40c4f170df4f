/* What is being received right into its place, and where that is: of what is sealed too. Twin: Gathering in
   ipcpy/subscribing/inplace.py. */

#ifndef IPCPY_GATHERING_H
#define IPCPY_GATHERING_H

#include "fragments.h"

#include <netinet/in.h>
#include <sys/uio.h>

/* What is being received, and where it belongs. */
typedef struct {
    Message message;
    Py_buffer heads, rest, buffer;
    int fd;
    uint32_t first, count; /* the fragments that are due */
    uint32_t done;         /* how many of them are in their places */
    struct sockaddr_in from, first_from;
    struct iovec parts[2 * MAX_MERGED + 1]; /* of the last call: a head and a place for each, and what is for the rest */
    int laid;                               /* how many parts */
    Py_ssize_t got;                         /* bytes of it */
} Gathering;

/* Do what ``fill`` is given, by a function that receives; that returns -1 with an exception. ``how`` is for it alone. */
typedef int (*Receive)(Gathering *self, PyObject *gathering, double deadline, void *how);
PyObject *fill_by(Receive receive, void *how, PyObject *args);

/* The place of a fragment. */
static inline uint8_t *
place_of(const Gathering *self, uint32_t number)
{
    return (uint8_t *)self->buffer.buf + (size_t)number * self->message.size;
}

/* Receive into the parts; 0, or the errno. Needs no GIL, like the two that follow. */
int receive_parts(Gathering *self);

/* Whether the time is up. */
int is_over(double deadline);

/* Whether the last call's came from where all that is done came from. */
int is_from_the_same(const Gathering *self);

/* Write down in a Gathering of Python's what has come so far, and the bytes of what else came, or NULL; -1 with an exception.
 */
int write_down(const Gathering *self, PyObject *gathering, PyObject *other);

#endif
