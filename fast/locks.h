/* Locks, for other C that takes them without a call of Python's: those of locks.c, and any others by their methods. */

#ifndef IPCPY_LOCKS_H
#define IPCPY_LOCKS_H

#include "fast.h"

/* Whether this thread holds it: 1 or 0; -1 with an exception. */
int lock_owned(PyObject *lock);

/* Takes it, and waits for that or not: 1; 0 if it was not to be had; -1 with an exception, and it was not taken. */
int lock_acquire(PyObject *lock, int blocking);

/* Gives it back, also where an exception is on its way; 0, or -1 with that, or the one that comes of it. */
int lock_release(PyObject *lock);

#endif
