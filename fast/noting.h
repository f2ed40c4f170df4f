/* How long messages took, for taking.c and counting.c. */

#ifndef IPCPY_NOTING_H
#define IPCPY_NOTING_H

#include "state.h"

#define BEHIND 500000          /* ns, as in ipcpy/subscribing/latencies.py, like those that follow */
#define ENOUGH 128             /* messages that are noted */
#define FAR ((int64_t)1 << 62) /* ns: the difference of two times nearer than this to zero can be taken twice */
#define NOT_YET FAR

/* Learn from a message that was faster than all before, by `late` ns, less than 0; it took less than FAR. 1 where it was
 * late for all that, 0 where not, -1 with an exception. */
int faster(const State *state, FlowFields *flow, int64_t late);

/* Have the next messages noted, and have what those before took, the fastest first, in `took`, which has room for ENOUGH.
 * How many these are; NOTHING_DONE where Python has to be asked, -1 with an exception. */
#define NOTHING_DONE -2
Py_ssize_t ask(const State *state, FlowFields *flow, PyObject *now, int64_t passed, int64_t *took);

#endif
