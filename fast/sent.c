/* What publishers tell of each subscriber, for who asks for the books of a node. Twin: Account in
 * ipcpy/publishing/accounts.py.
 *
 * A subscriber that is not matched, takes shared memory, or is owed large messages has its row made by Python; so is a
 * set of those that are reached by multicast. What is of a type that nobody expects is Python's as a whole.
 */

#include "counting.h"
#include "locks.h"
#include "taking.h"

#define PUBLISHED 1 /* as in ipcpy/protocol/link/rows.py, like those that follow */
#define SENT 2
#define LOOPBACK 2
#define UNICAST 1
#define MULTICAST 3
#define LARGE ((int64_t)1 << 58) /* a count: some that are nearer than this to zero can be added */

/* -- asking for memory ------------------------------------------------------------------------------------------- */

/* Ask for what counting these routes will look at, a step of each at a time; one of another type is not looked at. */
static void
fetch_routes(const Sending *known, PyObject *const *routes, int count)
{
    for (int n = 0; n < count; n++)
        fetch_whole(routes[n], sizeof(RouteFields));
    for (int n = 0; n < count; n++)
        if (is_of(routes[n], known->route)) {
            RouteFields *route = (RouteFields *)routes[n];
            fetch_whole(route->match, sizeof(MatchFields));
            fetch_whole(route->sender, sizeof(SenderFields));
            fetch_whole(route->sharing, sizeof(SharingFields));
            fetch_whole(route->books, sizeof(BooksFields));
        }
    for (int n = 0; n < count; n++)
        if (is_of(routes[n], known->route)) {
            RouteFields *route = (RouteFields *)routes[n];
            if (is_of(route->match, known->match))
                FETCH(((MatchFields *)route->match)->subscriber);
            if (is_of(route->books, known->books))
                FETCH_FIELDS((BooksFields *)route->books, from, past_bytes);
        }
}

/* The same for those of a publisher from one on. */
static void
fetch_more(const Sending *known, PyObject *routes, Py_ssize_t from)
{
    PyObject *some[TOGETHER];
    Py_ssize_t end = PyList_Size(routes);
    int count = 0;

    for (Py_ssize_t n = from; n < end && count < TOGETHER; n++)
        some[count++] = PyList_GetItem(routes, n);
    fetch_routes(known, some, count);
}

void
fetch_publishers(const State *state, PyObject *const *accounts, int count)
{
    const Sending *known = &state->sending;
    PyObject *routes[TOGETHER], *route;
    Py_ssize_t at;
    int found = 0;

    for (int n = 0; n < count; n++)
        if (is_of(accounts[n], known->account)) {
            PublishingAccountFields *account = (PublishingAccountFields *)accounts[n];
            FETCH(account->lock);
            FETCH(account->outlet);
            fetch_whole(account->framing, sizeof(FramingFields));
            FETCH(account->by_number);
        }
    for (int n = 0; n < count; n++) {
        PublishingAccountFields *account = (PublishingAccountFields *)accounts[n];
        if (!is_of(accounts[n], known->account) || account->by_number == NULL || !PyDict_CheckExact(account->by_number))
            continue;
        if (is_of(account->framing, state->receiving.framing))
            FETCH(((FramingFields *)account->framing)->number);
        for (at = 0; found < TOGETHER && PyDict_Next(account->by_number, &at, NULL, &route);)
            routes[found++] = route;
    }
    fetch_routes(known, routes, found);
}

/* -- one subscriber ---------------------------------------------------------------------------------------------- */

/* Whether all of these counts are numbers that can be added, which `told` has then. */
static int
read_counts(PyObject *const *counts, int count, int64_t *told)
{
    for (int n = 0; n < count; n++) {
        told[n] = signed_or(counts[n], LARGE);
        if (told[n] <= -LARGE || told[n] >= LARGE)
            return 0;
    }
    return 1;
}

/* Which way the messages of a matched subscriber go; -1 with an exception. */
static int
way_of(const RouteFields *route, PyObject *reached)
{
    int among = reached == NULL ? 0 : PySet_Contains(reached, ((MatchFields *)route->match)->subscriber);

    return among < 0 ? -1 : among ? MULTICAST : route->local == Py_True ? LOOPBACK : UNICAST;
}

/* What is told of a publisher: its number, which stays the same meanwhile, its counts, and who is reached by multicast,
 * NULL for nobody. All of them are kept alive. */
typedef struct {
    PyObject *number, *reached;
    FramingFields *framing;
} Told;

/* Add the row of a matched subscriber that is owed nothing. UNUSUAL where it is another, and nothing was done. */
static Outcome
add_usual(const Asked *asked, const Told *told, const RouteFields *route)
{
    const Sending *known = &asked->state->sending;
    const MatchFields *match = (const MatchFields *)route->match;
    const SenderFields *sender = (const SenderFields *)route->sender;
    const SharingFields *sharing = (const SharingFields *)route->sharing;
    const BooksFields *books = (const BooksFields *)route->books;
    int64_t counts[7], again[2], handed = 0, bytes = 0;
    PyObject *values[9] = {NULL};
    int way;

    if (!is_of(route->match, known->match) || match->state != known->matched || match->subscriber == NULL ||
        !PyLong_CheckExact(match->subscriber) || !is_of(route->sender, known->sender) || sender->idle != Py_True ||
        !is_of(route->sharing, known->sharing) || sharing->tie != Py_None || !is_of(route->books, known->books) ||
        route->local == NULL || !PyBool_Check(route->local) ||
        told->framing->seq >= (uint64_t)LARGE || told->framing->bytes >= (uint64_t)LARGE ||
        !read_counts(&books->refused, 7, counts) || !read_counts(&sender->retransmitted, 1, &again[0]) ||
        !read_counts(&sharing->retransmitted, 1, &again[1]))
        return UNUSUAL;
    if (counts[2] != 0) { /* as Books.counts: it is sent something */
        handed = (int64_t)told->framing->seq - counts[2] + 1 - counts[0];
        handed = handed > 0 ? handed : 0;
        bytes = (int64_t)told->framing->bytes - counts[3];
    }
    values[1] = Py_NewRef(told->number);
    values[2] = Py_NewRef(match->subscriber);
    way = way_of(route, told->reached);
    values[0] = PyLong_FromLong(SENT);
    values[3] = PyLong_FromLong(0);
    values[4] = PyLong_FromLong(way);
    values[5] = PyLong_FromLongLong(counts[4] + handed);
    values[6] = PyLong_FromLongLong(counts[6] + bytes);
    values[7] = PyLong_FromLongLong(counts[5] + counts[1] + again[0] + again[1]);
    values[8] = PyLong_FromLong(0);
    return add_row(asked, known->row, values, 9);
}

/* Add the row of any subscriber, which is kept alive. */
static Outcome
add_route(const Asked *asked, const Told *told, PyObject *route)
{
    const Sending *known = &asked->state->sending;
    Outcome outcome = is_of(route, known->route) ? add_usual(asked, told, (RouteFields *)route) : UNUSUAL;
    PyObject *nobody, *row;

    if (outcome != UNUSUAL)
        return outcome;
    nobody = told->reached == NULL ? PyTuple_New(0) : Py_NewRef(told->reached);
    row = nobody == NULL ? NULL : PyObject_CallFunctionObjArgs(known->unusual, told->number, route, nobody, NULL);
    outcome = row == NULL || PyList_Append(asked->rows, row) < 0 ? RAISED : DONE;
    Py_XDECREF(row);
    Py_XDECREF(nobody);
    return outcome;
}

/* -- one publisher ----------------------------------------------------------------------------------------------- */

/* Whether all that is looked at of an account is there, and of a type that C knows. */
static int
is_known(const State *state, const PublishingAccountFields *account)
{
    const FramingFields *framing = (const FramingFields *)account->framing;
    const OutletFields *outlet = (const OutletFields *)account->outlet;

    return account->lock != NULL && account->by_number != NULL && PyDict_CheckExact(account->by_number) &&
           is_of(account->framing, state->receiving.framing) && is_of(account->outlet, state->receiving.outlet) &&
           framing->number != NULL && outlet->groups != NULL &&
           PyTuple_CheckExact(outlet->groups);
}

/* Add the row of the publisher as a whole. */
static Outcome
add_whole(const Asked *asked, const Told *told)
{
    PyObject *values[] = {PyLong_FromLong(PUBLISHED), Py_NewRef(told->number),
                          PyLong_FromUnsignedLongLong(told->framing->seq),
                          PyLong_FromUnsignedLongLong(told->framing->bytes)};

    return add_row(asked, asked->state->sending.published, values, 4);
}

/* Add the rows of a publisher, whose lock is held. What runs of Python may change any field of its. */
static Outcome
add_rows(const Asked *asked, PublishingAccountFields *account)
{
    const Sending *known = &asked->state->sending;
    Told told = {.framing = (FramingFields *)Py_NewRef(account->framing)};
    PyObject *routes = PyDict_Values(account->by_number); /* of its own: a signal handler may change them */
    PyObject *groups = Py_NewRef(((OutletFields *)account->outlet)->groups);
    Py_ssize_t count = routes == NULL ? -1 : PyList_Size(routes);
    Outcome outcome;

    told.number = Py_NewRef(told.framing->number);
    outcome = count < 0 ? RAISED : add_whole(asked, &told);
    if (outcome == DONE && PyTuple_Size(groups) > 0) {
        told.reached = PyObject_CallFunctionObjArgs(known->reached, groups, NULL);
        outcome = told.reached == NULL ? RAISED : PyAnySet_CheckExact(told.reached) ? DONE : UNUSUAL;
    }
    for (Py_ssize_t n = 0; n < count && outcome == DONE; n++) {
        if (n > 0 && n % TOGETHER == 0)
            fetch_more(known, routes, n);
        outcome = add_route(asked, &told, PyList_GetItem(routes, n));
    }
    Py_DECREF((PyObject *)told.framing);
    Py_DECREF(told.number);
    Py_DECREF(groups);
    Py_XDECREF(routes);
    Py_XDECREF(told.reached);
    return outcome;
}

Outcome
add_publisher(const Asked *asked, PublishingAccountFields *account)
{
    Py_ssize_t before = PyList_Size(asked->rows);
    PyObject *lock;
    Outcome outcome;

    if (asked->state->sending.published == NULL || !is_known(asked->state, account) || account->own == NULL ||
        !PyBool_Check(account->own))
        return UNUSUAL;
    if (account->own == Py_True && !asked->hidden)
        return DONE;
    lock = Py_NewRef(account->lock);
    if (lock_acquire(lock, 1) < 0)
        outcome = RAISED;
    else {
        outcome = is_known(asked->state, account) ? add_rows(asked, account) : UNUSUAL;
        if (lock_release(lock) < 0)
            outcome = RAISED;
    }
    Py_DECREF(lock);
    if (outcome == UNUSUAL && PyList_SetSlice(asked->rows, before, PyList_Size(asked->rows), NULL) < 0)
        outcome = RAISED;
    return outcome;
}

/* counts_sent(Published, Sent, matched, reached, unusual): what rows are, and who makes unusual ones. */
static PyObject *
counts_sent(PyObject *module, PyObject *args)
{
    Sending *to = &((State *)PyModule_GetState(module))->sending;
    PyObject *types[2], *others[3];

    if (!PyArg_ParseTuple(args, "O!O!OOO", &PyType_Type, &types[0], &PyType_Type, &types[1], &others[0], &others[1],
                          &others[2]))
        return NULL;
    for (int n = 0; n < 2; n++)
        if (!PyType_IsSubtype((PyTypeObject *)types[n], &PyTuple_Type)) {
            PyErr_SetString(PyExc_TypeError, "a row is a named tuple");
            return NULL;
        }
    set_field(&to->row, Py_NewRef(types[1]));
    set_field(&to->matched, Py_NewRef(others[0]));
    set_field(&to->reached, Py_NewRef(others[1]));
    set_field(&to->unusual, Py_NewRef(others[2]));
    set_field(&to->published, Py_NewRef(types[0])); /* last: from now on rows are made here */
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"counts_sent", counts_sent, METH_VARARGS, "counts_sent(Published, Sent, matched, reached, unusual): learn what rows "
                                               "are, and who makes what is unusual of them."},
    {NULL, NULL, 0, NULL},
};

int
add_sent(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
