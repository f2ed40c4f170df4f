/* How long messages were on their way, noted while somebody asks. Twins: `faster` and `ask` in
 * ipcpy/subscribing/latencies.py, which do all that is unusual: what is no number, the first question of all.
 */

#include "noting.h"
#include "taking.h"

#define WATCHED INT64_C(3000000000) /* ns, as in ipcpy/subscribing/latencies.py */

static inline int
is_near(int64_t ns)
{
    return ns >= -FAR && ns <= FAR;
}

static int
call_twin(const Receiving *known, FlowFields *flow, int64_t late)
{
    PyObject *number = PyLong_FromLongLong(late);
    PyObject *told = number == NULL ? NULL : PyObject_CallFunctionObjArgs(known->faster, (PyObject *)flow, number, NULL);
    int behind = told == NULL ? -1 : PyObject_IsTrue(told);

    Py_XDECREF(number);
    Py_XDECREF(told);
    return behind;
}

int
faster(const State *state, FlowFields *flow, int64_t late)
{
    const Receiving *known = &state->receiving;
    int64_t fastest = signed_or(flow->fastest_ns, INT64_MIN), least = signed_or(flow->least_ns, INT64_MIN);
    int64_t enough = signed_or(flow->enough, -1), took;
    PyObject *number, *done;
    Py_ssize_t count;

    if (!is_near(fastest) || !is_near(least) || enough < 0 || flow->noted == NULL ||
        (PyObject *)Py_TYPE(flow->noted) != state->counting.array || (count = PyObject_Size(flow->noted)) < 0)
        return call_twin(known, flow, late);
    took = fastest + late;
    number = PyLong_FromLongLong(took);
    if (number == NULL)
        return -1;
    if (count < enough) {
        done = PyObject_CallMethodObjArgs(flow->noted, known->append, number, NULL); /* runs nothing of Python's */
        if (done != NULL && took < least)
            set_field(&flow->least_ns, Py_NewRef(number));
        Py_XDECREF(done);
        if (done == NULL) {
            Py_DECREF(number);
            return -1;
        }
    }
    else
        set_field(&flow->fastest_ns, Py_NewRef(took < least ? number : flow->least_ns));
    Py_DECREF(number);
    return took - least > BEHIND;
}

static void
sort(int64_t *numbers, Py_ssize_t count)
{
    for (Py_ssize_t n = 1; n < count; n++) { /* they are few */
        int64_t number = numbers[n];
        Py_ssize_t at = n;
        for (; at > 0 && numbers[at - 1] > number; at--)
            numbers[at] = numbers[at - 1];
        numbers[at] = number;
    }
}

/* Copy what was noted; the count, or NOTHING_DONE where it is not to be read here. */
static Py_ssize_t
read_noted(const State *state, PyObject *noted, int64_t *took)
{
    Py_ssize_t count = NOTHING_DONE;
    Py_buffer view;

    if (noted == NULL || (PyObject *)Py_TYPE(noted) != state->counting.array)
        return NOTHING_DONE;
    if (PyObject_GetBuffer(noted, &view, PyBUF_ND | PyBUF_FORMAT) < 0) {
        PyErr_Clear();
        return NOTHING_DONE;
    }
    if (view.itemsize == 8 && view.len <= ENOUGH * 8 && view.format != NULL && strcmp(view.format, "q") == 0) {
        memcpy(took, view.buf, (size_t)view.len);
        count = view.len / 8;
    }
    PyBuffer_Release(&view);
    return count;
}

Py_ssize_t
ask(const State *state, FlowFields *flow, PyObject *now, int64_t passed, int64_t *took)
{
    int64_t fastest = signed_or(flow->fastest_ns, INT64_MIN);
    Py_ssize_t count;

    if (fastest == INT64_MIN || signed_or(flow->enough, 0) != ENOUGH) /* nobody has asked before */
        return NOTHING_DONE;
    count = read_noted(state, flow->noted, took);
    if (count < 0)
        return NOTHING_DONE;
    set_field(&flow->asked_ns, Py_NewRef(now));
    if (fastest != NOT_YET) { /* enough were noted, or none were to be */
        set_field(&flow->least_ns, Py_NewRef(flow->fastest_ns));
        set_field(&flow->fastest_ns, Py_NewRef(state->counting.not_yet));
    }
    if (count > 0 && PySequence_DelSlice(flow->noted, 0, count) < 0)
        return -1;
    if (passed < 0 || passed >= WATCHED) /* or the clock was set */
        return 0;
    sort(took, count);
    return count;
}
