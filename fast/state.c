/* The state of the module, for the garbage collector. Knows which objects there are; nothing of what they mean. */

#include "state.h"

/* The state is objects only, but for one pointer to a function. */
#define EACH_OBJECT(of, DO)                                                               \
    DO(of flow) DO(of receiver) DO(of inbound) DO(of inbox) DO(of intake) DO(of turn)     \
    DO(of wait) DO(of lease) DO(of reader) DO(of subscriber)                              \
    DO(of unpacking) DO(of decoder) DO(of outlet) DO(of framing) DO(of publisher)         \
    DO(of message) DO(of faster) DO(of malformed) DO(of shared) DO(of deque)              \
    DO(of monotonic) DO(of never) DO(of time_ns)                                          \
    DO(of append) DO(of make_room) DO(of take) DO(of take_any) DO(of refuse)              \
    DO(of wait_any) DO(of gather) DO(of go_on) DO(of mend) \
    DO(of waiters) DO(of wake) DO(of popleft) DO(of recv_any) DO(of recv_by)

#define EACH_COUNTED(of, DO)                                                              \
    DO(of account) DO(of received) DO(of latency) DO(of dropped) DO(of losses) DO(of step) \
    DO(of took) DO(of nothing) DO(of array) DO(of not_yet) DO(of now_ns) DO(of hidden)    \
    DO(of queued)

#define EACH_SENT(of, DO)                                                                     \
    DO(of account) DO(of route) DO(of match) DO(of sender) DO(of sharing) DO(of books)        \
    DO(of published) DO(of row) DO(of matched) DO(of reached) DO(of unusual)

#define EACH_OF_BATCHING(of, DO)                                                     \
    DO(of crc32) DO(of raise_alarm) DO(of begin) DO(of bytes) DO(of clock)           \
    DO(of decode_many) DO(of delivering) DO(of handed) DO(of holds) DO(of matched)   \
    DO(of put_all) DO(of reach) DO(of next_timer) DO(of by)

int
state_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);

    if (state == NULL)
        return 0;
#define VISIT(object) Py_VISIT(object);
    EACH_OBJECT(state->receiving., VISIT)
    EACH_COUNTED(state->counting., VISIT)
    EACH_SENT(state->sending., VISIT)
    EACH_OF_BATCHING(state->batching., VISIT)
    return 0;
}

int
state_clear(PyObject *module)
{
    State *state = PyModule_GetState(module);

    if (state == NULL)
        return 0;
#define CLEAR(object) Py_CLEAR(object);
    EACH_OBJECT(state->receiving., CLEAR)
    EACH_COUNTED(state->counting., CLEAR)
    EACH_SENT(state->sending., CLEAR)
    EACH_OF_BATCHING(state->batching., CLEAR)
    return 0;
}

void
state_free(void *module)
{
    state_clear(module);
}
