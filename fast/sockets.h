/* What C knows of Python's sockets. */

#ifndef IPCPY_SOCKETS_H
#define IPCPY_SOCKETS_H

#include "fast.h"

/* The descriptor of an instance of _socket.socket, as its fileno() tells it: -1, without an exception, once closed. */
int descriptor_in(PyObject *socket);

/* Learn which function of C a method of the system's sockets is, of a socket that was never opened; -1 with an exception. */
int socket_method(const char *name, PyCFunction *function);

/* A number of our own for an open socket, for a run of calls without the GIL: another thread may close it meanwhile, and its
   number be given to another file. -1 if the system has none left: then one call, no more; NOT_OPEN with an exception. */
#define NOT_OPEN (-2)
int own_number(int fd);

/* To be called with each answer of own_number, once nothing uses it any more. */
void give_back_number(int own);

#endif
