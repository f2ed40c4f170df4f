/* Counting for who asks for the books of a node: what counting.c and sent.c have in common.
 *
 * Somebody asks twice a second, and by then the memory of most flows is in no cache of the processor any more. To fetch
 * it takes longer than all that is done with it. So the memory of several is asked for first, all at once, and then they
 * are counted one after the other, each under its lock. What is asked for and not needed does no harm.
 */

#ifndef IPCPY_COUNTING_H
#define IPCPY_COUNTING_H

#include "state.h"

#define TOGETHER 16 /* accounts whose memory is asked for at once: 1.6 KB each, and the first cache has 32 KB */
#define LINE 64     /* bytes */

/* What is done: all is well, there is an exception, or Python has to do it. */
typedef enum { DONE, RAISED, UNUSUAL } Outcome;

/* What is the same for all accounts: whose rows, when, for whom. */
typedef struct {
    const State *state;
    PyObject *rows, *moment, *now;
    int64_t now_ns;
    int hidden;
} Asked;

#define FETCH(address) __builtin_prefetch((const char *)(address))

static inline void
fetch_whole(const void *object, size_t size)
{
    if (object != NULL)
        for (size_t at = 0; at < size; at += LINE)
            FETCH((const char *)object + at);
}

static inline void
fetch_each(PyObject *const *fields, int count)
{
    for (int n = 0; n < count; n++)
        if (fields[n] != NULL)
            FETCH(fields[n]);
}

/* What stands next to one another in a struct of fields.h. */
#define FETCH_FIELDS(of, first, last) fetch_each(&(of)->first, (int)(&(of)->last - &(of)->first) + 1)

/* Add a row of so many values, which are taken over; where one of them is NULL there is an exception. */
Outcome add_row(const Asked *asked, PyObject *type, PyObject **values, int count);

/* Of sent.c: ask for the memory of those of some accounts that are publishers', and add what one of them tells. */
void fetch_publishers(const State *state, PyObject *const *accounts, int count);
Outcome add_publisher(const Asked *asked, PublishingAccountFields *account);

#endif
