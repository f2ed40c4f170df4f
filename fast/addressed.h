/* What sends to one address by a socket that is not connected, for other C that has a datagram in a buffer of its own. */

#ifndef IPCPY_ADDRESSED_H
#define IPCPY_ADDRESSED_H

#include "fast.h"

#include <netinet/in.h>

/* The object whose ``send`` this is, borrowed; NULL (no exception) where it is another's. */
PyObject *addressed_of(PyObject *send);

/* The descriptor that it sends by, and the address, which lives as long as it does. -1 (no exception) where its ``send``
   is to be called: the socket is closed, or not the system's own, or the address is no number. */
int addressed_by(PyObject *addressed, const struct sockaddr_in **address);

#endif
