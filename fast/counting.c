/* What subscribers tell of each flow, for who asks for the books of a node. Twin: Account in
 * ipcpy/subscribing/accounts.py. What publishers tell is in sent.c.
 *
 * A flow that lost something, is not matched, or is of another host has that part of its row made by Python. What is of
 * a type that nobody expects is Python's as a whole.
 */

#include "counting.h"
#include "locks.h"
#include "noting.h"
#include "taking.h"

#define AGAIN INT64_C(900000000) /* ns, as in ipcpy/subscribing/latencies.py */
#define RECEIVED 3               /* as in ipcpy/protocol/link/rows.py, like that which follows */
#define DROPPED 4

/* -- asking for memory ------------------------------------------------------------------------------------------- */

/* Ask for what counting these flows will look at, a step of each at a time. */
static void
fetch_flows(const State *state, PyObject *const *flows, int count)
{
    for (int n = 0; n < count; n++) /* one that is of another type is not looked at */
        fetch_whole(flows[n], sizeof(FlowFields));
    for (int n = 0; n < count; n++)
        if (is_of(flows[n], state->receiving.flow)) {
            FlowFields *flow = (FlowFields *)flows[n];
            FETCH(flow->receiver);
            FETCH(flow->bytes);
            FETCH_FIELDS(flow, least_ns, number);
        }
    for (int n = 0; n < count; n++)
        if (is_of(flows[n], state->receiving.flow) &&
            is_of(((FlowFields *)flows[n])->receiver, state->receiving.receiver)) {
            ReceiverFields *receiver = (ReceiverFields *)((FlowFields *)flows[n])->receiver;
            FETCH_FIELDS(receiver, next, lost);
        }
}

/* The same for those of an account from one on. */
static void
fetch_more(const State *state, PyObject *flows, Py_ssize_t from)
{
    PyObject *some[TOGETHER];
    Py_ssize_t end = PyList_Size(flows);
    int count = 0;

    for (Py_ssize_t n = from; n < end && count < TOGETHER; n++)
        some[count++] = PyList_GetItem(flows, n);
    fetch_flows(state, some, count);
}

/* The same for accounts from one on, and their first flows. Nothing is changed, and nothing of Python's runs. */
static void
fetch_accounts(const State *state, PyObject *accounts, Py_ssize_t from)
{
    PyObject *some[TOGETHER], *flows[TOGETHER], *flow;
    Py_ssize_t end = PyList_Size(accounts), at;
    int count = 0, found = 0;

    for (Py_ssize_t n = from; n < end && count < TOGETHER; n++) {
        some[count++] = PyList_GetItem(accounts, n);
        fetch_whole(some[count - 1], sizeof(AccountFields)); /* those of publishers have fewer fields */
    }
    fetch_publishers(state, some, count);
    for (int n = 0; n < count; n++)
        if (is_of(some[n], state->counting.account))
            FETCH_FIELDS((AccountFields *)some[n], lock, nobodys);
    for (int n = 0; n < count; n++) {
        PyObject *own = is_of(some[n], state->counting.account) ? ((AccountFields *)some[n])->flows : NULL;
        if (own != NULL && PyDict_CheckExact(own))
            for (at = 0; found < TOGETHER && PyDict_Next(own, &at, NULL, &flow);)
                flows[found++] = flow;
    }
    fetch_flows(state, flows, found);
}

/* -- one flow ---------------------------------------------------------------------------------------------------- */

/* What times mean, in seconds; of this host, whose clock is the publisher's too. */
static PyObject *
latency_of_this_host(const State *state, const int64_t *took, Py_ssize_t count)
{
    Py_ssize_t last = count - 1;
    double told[4] = {(double)took[0] / 1e9, (double)took[last / 2] / 1e9, (double)took[last - last / 100] / 1e9, 0.0};
    PyObject *made = begin_tuple((PyTypeObject *)state->counting.latency, 4);

    for (int n = 0; n < 4 && made != NULL; n++) /* the clock may have been set between */
        PyTuple_SetItem(made, n, PyFloat_FromDouble(told[n] > 0.0 ? told[n] : 0.0));
    if (made != NULL && PyErr_Occurred())
        Py_CLEAR(made);
    return finish_tuple((PyTypeObject *)state->counting.latency, made);
}

/* What is told of how late messages were: a new reference, NULL with an exception. */
static PyObject *
latency_of(const Asked *asked, FlowFields *flow, int64_t asked_ns)
{
    const State *state = asked->state;
    int64_t took[ENOUGH], passed = asked->now_ns - asked_ns;
    Py_ssize_t count = NOTHING_DONE;
    PyObject *told;

    if (flow->told != NULL && flow->told != Py_None && passed >= 0 && passed < AGAIN)
        return Py_NewRef(flow->told);
    if (flow->local == Py_True)
        count = ask(state, flow, asked->now, passed, took);
    if (count == -1)
        return NULL;
    if (count == NOTHING_DONE)
        told = PyObject_CallFunctionObjArgs(state->counting.took, (PyObject *)flow, asked->moment, NULL);
    else
        told = count == 0 ? Py_NewRef(Py_None) : latency_of_this_host(state, took, count);
    if (told != NULL)
        set_field(&flow->told, Py_NewRef(told));
    return told;
}

/* What a dict of Python's counts of a flow: a new reference, NULL with an exception. */
static PyObject *
count_in(PyObject *counts, PyObject *id)
{
    PyObject *found = PyDict_Size(counts) > 0 ? PyDict_GetItemWithError(counts, id) : NULL;

    return found != NULL ? Py_NewRef(found) : PyErr_Occurred() ? NULL : PyLong_FromLong(0);
}

/* What was lost, by cause, as Python tells it; how many in all are taken off the messages. NULL with an exception. */
static PyObject *
losses_of(const Asked *asked, const AccountFields *account, FlowFields *flow, int64_t *messages)
{
    PyObject *dropped = count_in(account->dropped, flow->id), *discarded = NULL, *lost = NULL, *count;
    Py_ssize_t at = 0;

    if (dropped != NULL)
        discarded = count_in(account->discarded, flow->id);
    if (discarded != NULL)
        lost = PyObject_CallFunctionObjArgs(asked->state->counting.losses, (PyObject *)flow, dropped, discarded, NULL);
    Py_XDECREF(dropped);
    Py_XDECREF(discarded);
    if (lost != NULL && PyDict_CheckExact(lost))
        while (PyDict_Next(lost, &at, NULL, &count))
            *messages -= signed_or(count, 0);
    return lost;
}

/* Whether what a row is made of is there, and of a type that C knows; then how many messages came or were lost. */
static int
is_plain(const State *state, const FlowFields *flow, int64_t *messages)
{
    ReceiverFields *receiver = (ReceiverFields *)flow->receiver;
    int64_t first, next;

    if (flow->number == NULL || flow->bytes == NULL || flow->id == NULL || !PyUnicode_CheckExact(flow->id) ||
        flow->matched == NULL || !PyBool_Check(flow->matched) || flow->local == NULL || signed_or(flow->undecodable, -1) < 0 ||
        !is_of(flow->receiver, state->receiving.receiver))
        return 0;
    first = signed_or(receiver->first, -1);
    next = signed_or(receiver->next, -1);
    *messages = next - first;
    return first >= 0 && next >= 0 && receiver->lost != NULL && PyDict_Check(receiver->lost);
}

Outcome
add_row(const Asked *asked, PyObject *type, PyObject **values, int count)
{
    PyObject *row = PyErr_Occurred() ? NULL : begin_tuple((PyTypeObject *)type, count);
    int done;

    for (int n = 0; n < count; n++)
        if (row == NULL)
            Py_XDECREF(values[n]);
        else
            PyTuple_SetItem(row, n, values[n]);
    row = finish_tuple((PyTypeObject *)type, row);
    done = row == NULL ? -1 : PyList_Append(asked->rows, row);
    Py_XDECREF(row);
    return done < 0 ? RAISED : DONE;
}

/* Whether some of the messages that a flow has counted were lost. */
static int
lost_some(const AccountFields *account, const FlowFields *flow)
{
    return PyDict_Size(((ReceiverFields *)flow->receiver)->lost) > 0 || PyDict_Size(account->dropped) > 0 ||
           PyDict_Size(account->discarded) > 0 || signed_or(flow->undecodable, 0) > 0;
}

/* Add the row of a flow, which is kept alive. What may run Python comes last: it may change any field. */
static Outcome
add_flow(const Asked *asked, AccountFields *account, FlowFields *flow, PyObject *queued)
{
    const Counting *known = &asked->state->counting;
    PyObject *values[10] = {NULL};
    int64_t messages = 0, asked_ns = signed_or(flow->asked_ns, FAR);
    int matched = flow->matched == Py_True, lost;

    if (!is_plain(asked->state, flow, &messages) || asked_ns <= -FAR || asked_ns >= FAR)
        return UNUSUAL;
    values[0] = PyLong_FromLong(RECEIVED);
    values[1] = Py_NewRef(flow->number);
    values[2] = Py_NewRef(account->number);
    values[5] = Py_NewRef(flow->bytes);
    lost = lost_some(account, flow);
    values[7] = count_in(account->late, flow->id);
    values[6] = queued == NULL ? PyLong_FromSsize_t(PyObject_Size(account->messages)) : count_in(queued, flow->id);
    if (!PyErr_Occurred())
        values[8] = lost ? losses_of(asked, account, flow, &messages) : Py_NewRef(known->nothing);
    if (values[8] != NULL)
        values[3] = matched ? PyLong_FromLong(0) : PyObject_CallFunctionObjArgs(known->step, (PyObject *)flow, NULL);
    if (values[3] != NULL)
        values[4] = PyLong_FromLongLong(messages);
    if (values[4] != NULL)
        values[9] = latency_of(asked, flow, asked_ns);
    return add_row(asked, known->received, values, 10);
}

/* -- one subscriber ---------------------------------------------------------------------------------------------- */

/* Whether all that is looked at of an account is there, and of a type that C knows. */
static int
is_known(const State *state, const AccountFields *account)
{
    return account->lock != NULL && account->number != NULL && account->messages != NULL && account->flows != NULL &&
           (PyObject *)Py_TYPE(account->messages) == state->receiving.deque &&
           PyDict_CheckExact(account->flows) && account->dropped != NULL && PyDict_Check(account->dropped) &&
           account->discarded != NULL && PyDict_Check(account->discarded) && account->late != NULL &&
           PyDict_Check(account->late) && account->nobodys != NULL && PyDict_Check(account->nobodys);
}

/* Add a row for what was no message of any publisher. */
static Outcome
add_nobodys(const Asked *asked, const AccountFields *account)
{
    PyObject *values[] = {PyLong_FromLong(DROPPED), Py_NewRef(account->number), PyDict_Copy(account->nobodys)};

    return add_row(asked, asked->state->counting.dropped, values, 3);
}

/* Add the rows of a subscriber, whose lock is held. */
static Outcome
add_rows(const Asked *asked, AccountFields *account)
{
    PyObject *flows = PyDict_Values(account->flows), *queued = NULL; /* of its own: a signal handler may change them */
    Py_ssize_t count = flows == NULL ? -1 : PyList_Size(flows), unread = PyObject_Size(account->messages);
    Outcome outcome = count < 0 || unread < 0 ? RAISED : DONE;

    if (outcome == DONE && count > 1 && unread > 0) {
        queued = PyObject_CallMethodObjArgs((PyObject *)account, asked->state->counting.queued, NULL);
        outcome = queued == NULL ? RAISED : PyDict_Check(queued) ? DONE : UNUSUAL;
    }
    for (Py_ssize_t n = 0; n < count && outcome == DONE; n++) {
        PyObject *flow = PyList_GetItem(flows, n);
        int known = is_known(asked->state, account) && is_of(flow, asked->state->receiving.flow);
        if (n > 0 && n % TOGETHER == 0)
            fetch_more(asked->state, flows, n);
        outcome = known ? add_flow(asked, account, (FlowFields *)flow, queued) : UNUSUAL;
    }
    if (outcome == DONE && is_known(asked->state, account) && PyDict_Size(account->nobodys) > 0)
        outcome = add_nobodys(asked, account);
    Py_XDECREF(flows);
    Py_XDECREF(queued);
    return outcome;
}

/* Add what an account tells, which is kept alive. */
static Outcome
add_account(const Asked *asked, AccountFields *account)
{
    Py_ssize_t before = PyList_Size(asked->rows);
    PyObject *lock;
    Outcome outcome;

    if (asked->state->counting.received == NULL || asked->now_ns <= -FAR || asked->now_ns >= FAR ||
        !is_known(asked->state, account) || account->own == NULL || !PyBool_Check(account->own))
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

/* -- all of them ------------------------------------------------------------------------------------------------- */

/* Learn when, and for whom, accounts are read; -1 with an exception. `now` is a new reference then. */
static int
read_moment(Asked *asked)
{
    PyObject *hidden = PyObject_GetAttr(asked->moment, asked->state->counting.hidden);

    asked->hidden = hidden == NULL ? -1 : PyObject_IsTrue(hidden);
    Py_XDECREF(hidden);
    if (asked->hidden < 0)
        return -1;
    asked->now = PyObject_GetAttr(asked->moment, asked->state->counting.now_ns);
    asked->now_ns = signed_or(asked->now, INT64_MIN);
    return asked->now == NULL ? -1 : 0;
}

/* count(accounts, rows, moment) */
static PyObject *
count(PyObject *module, PyObject *args)
{
    Asked asked = {.state = PyModule_GetState(module)};
    PyObject *accounts;
    Outcome outcome = DONE;

    if (!PyArg_ParseTuple(args, "O!O!O", &PyList_Type, &accounts, &PyList_Type, &asked.rows, &asked.moment) ||
        read_moment(&asked) < 0)
        return NULL;
    for (Py_ssize_t n = 0; n < PyList_Size(accounts) && outcome == DONE; n++) {
        PyObject *account = PyList_GetItem(accounts, n), *done;
        if (n % TOGETHER == 0)
            fetch_accounts(asked.state, accounts, n);
        Py_INCREF(account);
        outcome = UNUSUAL;
        if (is_of(account, asked.state->counting.account))
            outcome = add_account(&asked, (AccountFields *)account);
        else if (is_of(account, asked.state->sending.account))
            outcome = add_publisher(&asked, (PublishingAccountFields *)account);
        if (outcome == UNUSUAL) {
            done = PyObject_CallFunctionObjArgs(account, asked.rows, asked.moment, NULL);
            Py_XDECREF(done);
            outcome = done == NULL ? RAISED : DONE;
        }
        Py_DECREF(account);
    }
    Py_DECREF(asked.now);
    if (outcome == RAISED)
        return NULL;
    Py_RETURN_NONE;
}

/* counts(Received, Latency, Dropped, losses, step, took, nothing, not_yet): what rows are, and who makes unusual ones. */
static PyObject *
counts(PyObject *module, PyObject *args)
{
    Counting *to = &((State *)PyModule_GetState(module))->counting;
    PyObject *types[3], *others[5];

    if (!PyArg_ParseTuple(args, "O!O!O!OOOO!O!", &PyType_Type, &types[0], &PyType_Type, &types[1], &PyType_Type,
                          &types[2], &others[0], &others[1], &others[2], &PyDict_Type, &others[3], &PyLong_Type,
                          &others[4]))
        return NULL;
    for (int n = 0; n < 3; n++)
        if (!PyType_IsSubtype((PyTypeObject *)types[n], &PyTuple_Type)) {
            PyErr_SetString(PyExc_TypeError, "a row is a named tuple");
            return NULL;
        }
    set_field(&to->latency, Py_NewRef(types[1]));
    set_field(&to->dropped, Py_NewRef(types[2]));
    set_field(&to->losses, Py_NewRef(others[0]));
    set_field(&to->step, Py_NewRef(others[1]));
    set_field(&to->took, Py_NewRef(others[2]));
    set_field(&to->nothing, Py_NewRef(others[3]));
    set_field(&to->not_yet, Py_NewRef(others[4]));
    set_field(&to->received, Py_NewRef(types[0])); /* last: from now on rows are made here */
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"count", count, METH_VARARGS, "count(accounts, rows, moment): have each account add its rows."},
    {"counts", counts, METH_VARARGS, "counts(Received, Latency, Dropped, losses, step, took, nothing, not_yet): learn "
                                     "what rows are, and who makes what is unusual of them."},
    {NULL, NULL, 0, NULL},
};

int
add_counting(PyObject *module)
{
    Counting *to = &((State *)PyModule_GetState(module))->counting;
    PyObject *array = PyImport_ImportModule("array");

    if (array != NULL)
        to->array = PyObject_GetAttrString(array, "array");
    Py_XDECREF(array);
    to->now_ns = PyUnicode_InternFromString("now_ns");
    to->hidden = PyUnicode_InternFromString("hidden");
    to->queued = PyUnicode_InternFromString("_queued");
    return PyErr_Occurred() ? -1 : PyModule_AddFunctions(module, functions);
}
