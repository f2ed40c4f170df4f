/* Sealed fragments of a large message, received and opened into their places as gathering.c does with open ones.
 *
 * Twin: `_fill_merged` of Gathering in ipcpy/subscribing/inplace.py by a socket whose `receive_into` opens. What is
 * received lies in a buffer of its own first, and gets to its place only if its tag is right. It is done in passes, in each
 * of which the GIL is released, with a context of its own: what is known of the way is looked at before, and what came is
 * noted in its window afterwards, before anybody is told of it. What is not the next number of that way, or no fragment that
 * is due, is opened like any other datagram.
 */

#include "gathering.h"
#include "opening.h"
#include "sockets.h"

#include <errno.h>

/* What is made of a call's bytes. NEXT_ONE: they are in their places. OTHER_WAY: they may be, for who knows that way. */
typedef enum { NEXT_ONE, OTHER_WAY, OTHER } Found;

/* One pass. */
typedef struct {
    const unsigned char *mark;
    Way way;              /* with what is known of it, owned; NULL: nothing is */
    Context *context;     /* opens; NULL where nothing is known, or the cipher is not ours */
    uint64_t begun, next; /* numbers: the first that was due, and the one that is */
    uint32_t floor;       /* the least age that is taken */
    uint32_t oldest;      /* the least that came */
} Pass;

static void
begin_pass(Pass *pass, const Receiving *opener)
{
    Cipher *cipher = opener->way.known == NULL ? NULL : cipher_of_way(&opener->way);

    *pass = (Pass){.mark = opener->mark, .oldest = UINT32_MAX};
    pass->context = cipher == NULL ? NULL : cipher_context(cipher, 0);
    if (pass->context == NULL)
        return;
    pass->way = opener->way;
    Py_INCREF(pass->way.known);
    pass->begun = pass->next = pass->way.window->highest + 1;
    pass->floor = (uint32_t)(pass->way.session->floor < UINT32_MAX ? pass->way.session->floor : UINT32_MAX);
}

/* Open what a call brought into the places, if all of it is what is due. Needs no GIL. */
static Found
open_due(Gathering *self, Pass *pass)
{
    unsigned char plain[ROOM];
    const unsigned char *at = self->rest.buf;
    Py_ssize_t left = self->got, length, count = count_in_order(at, left, pass->mark);

    if (count == 0 || count > (Py_ssize_t)(self->count - self->done) || !is_from_the_same(self))
        return OTHER;
    if (pass->context == NULL || memcmp(at + WAY_AT, pass->way.key, WAY_SIZE) != 0 ||
        read_u64(at + NUMBER_AT) != pass->next || read_u32(at + AGE_AT) < pass->floor)
        return OTHER_WAY;
    length = read_length(at);
    for (uint32_t n = 0; n < (uint32_t)count; n++) {
        uint32_t number = self->first + self->done + n, size = data_in(&self->message, number);
        Py_ssize_t due = left < length ? left : length;

        fetch_to_write(place_of(self, number), size);
        if (due != OVERHEAD + FRAGMENT_OVERHEAD + (Py_ssize_t)size ||
            !libcrypto_open(pass->context, at + NUMBER_AT, at, HEAD_SIZE, at + HEAD_SIZE, (size_t)due - OVERHEAD, plain) ||
            !is_head(&self->message, number, plain + FRAGMENT_OVERHEAD, plain))
            return OTHER;
        memcpy(place_of(self, number), plain + FRAGMENT_OVERHEAD, size);
        at += due;
        left -= due;
    }
    if (read_u32((const unsigned char *)self->rest.buf + AGE_AT) < pass->oldest)
        pass->oldest = read_u32((const unsigned char *)self->rest.buf + AGE_AT);
    self->first_from = self->from;
    self->done += (uint32_t)count;
    pass->next += (uint64_t)count;
    return NEXT_ONE;
}

/* Receive until all are there, the time is up, something else comes, or a call fails: the errno. What came last and is still
   to be looked at is ``pending``. Needs no GIL, and more than ``once`` a socket that nobody else closes. */
static int
receive_due(Gathering *self, Pass *pass, double deadline, int once, int *pending, Found *found)
{
    *found = NEXT_ONE;
    while (*pending || (self->done < self->count && !is_over(deadline))) {
        int error = *pending ? 0 : receive_parts(self);

        if (error)
            return error;
        *found = open_due(self, pass);
        *pending = *found != NEXT_ONE;
        if (*pending || once)
            break;
    }
    return 0;
}

static int
refuse(const Receiving *opener, const char *cause, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++) {
        PyObject *nothing = PyObject_CallFunction(opener->refuse, "s", cause);

        if (nothing == NULL)
            return -1;
        Py_DECREF(nothing);
    }
    return 0;
}

/* Note numbers of which others may have come meanwhile, by whoever reads too; return how many of the first had not. The
 * rest is given up with the one that had: fragments are asked for again.
 */
static uint32_t
take_each(const Pass *pass, uint32_t count)
{
    PyObject *session = PyTuple_GetItem(pass->way.known, 0), *windows = PyTuple_GetItem(pass->way.known, 2);
    uint32_t taken = 0;
    int is_new = 1;

    while (taken < count && is_new) {
        PyObject *told = PyObject_CallMethod(session, "take", "OK", windows, (unsigned long long)(pass->begun + taken));

        is_new = told != NULL && PyObject_IsTrue(told) == 1;
        Py_XDECREF(told);
        taken += (uint32_t)is_new;
    }
    return taken;
}

/* Note what came in the window of its way; what is no more to be taken is not done. -1 with an exception. */
static int
end_pass(Pass *pass, Gathering *self, const Receiving *opener)
{
    uint32_t count = (uint32_t)(pass->next - pass->begun), taken = count;
    const char *cause = "replayed";

    if (count == 0) /* and maybe no way */
        taken = 0;
    else if (pass->oldest < pass->way.session->floor) {
        cause = "stale";
        taken = 0;
    } else if (pass->way.window->highest + 1 == pass->begun)
        pass->way.window->highest = pass->next - 1;
    else
        taken = take_each(pass, count);
    self->done -= count - taken;
    libcrypto_free(pass->context);
    Py_XDECREF(pass->way.known);
    return PyErr_Occurred() ? -1 : refuse(opener, cause, count - taken);
}

/* Open what came beside what was due, and write it down; -1 with an exception. */
static int
open_other(const Gathering *self, PyObject *gathering, Receiving *opener)
{
    PyObject *data = PyBytes_FromStringAndSize(self->rest.buf, self->got);
    PyObject *plain = data == NULL ? NULL : opened(opener, data);
    int done = plain == NULL ? -1 : write_down(self, gathering, plain);

    Py_XDECREF(data);
    Py_XDECREF(plain);
    return done;
}

/* Receive in passes: a second one by another way, if that is known, and more after signals. */
static int
receive_passes(Gathering *self, PyObject *gathering, double deadline, Receiving *opener, int once)
{
    int pending = 0, turned = 0, error, done;
    Found found;

    do {
        Pass pass;

        begin_pass(&pass, opener);
        Py_BEGIN_ALLOW_THREADS
        error = receive_due(self, &pass, deadline, once, &pending, &found);
        Py_END_ALLOW_THREADS
        done = end_pass(&pass, self, opener);
        if (done == 0 && found == OTHER_WAY && !turned) {
            turned = turn_to_way(opener, self->rest.buf);
            done = turned < 0 ? -1 : 0;
            if (turned > 0)
                continue;
        }
        if (done == 0)
            done = write_down(self, gathering, NULL); /* first: what follows may run anything, and raise */
        if (done == 0 && error == EINTR)
            done = PyErr_CheckSignals();
        else if (done == 0 && error) {
            errno = error;
            PyErr_SetFromErrno(PyExc_OSError);
            done = -1;
        }
        if (done == 0 && found != NEXT_ONE)
            return open_other(self, gathering, opener);
    } while (done == 0 && (pending || (error == EINTR && !once)));
    return done;
}

static int
receive_sealed_run(Gathering *self, PyObject *gathering, double deadline, void *opener)
{
    int own = own_number(self->fd), done;

    if (own == NOT_OPEN)
        return -1;
    if (own >= 0)
        self->fd = own;
    self->parts[0] = (struct iovec){self->rest.buf, (size_t)self->rest.len};
    self->laid = 1;
    done = receive_passes(self, gathering, deadline, opener, own < 0);
    give_back_number(own);
    return done;
}

PyObject *
receiving_fill(PyObject *self, PyObject *args)
{
    return fill_by(receive_sealed_run, self, args);
}
