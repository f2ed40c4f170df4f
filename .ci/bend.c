/* Bends datagrams for flood.py, many in a call: for each of so many seeds a datagram with one to three things wrong, handed
   to what takes it. Loaded by ctypes, with the GIL held. Which things are wrong is said by the seed alone. */

#include "fast.h"

#define LARGEST 65507
#define ROOM (LARGEST + 512)
#define HEADER_SIZE 32
#define OVERHEAD 36
#define FRAGMENT 2 /* the kind whose check stands elsewhere: after its head, before its data */
#define FRAGMENT_HEAD 40
#define FRAGMENT_OVERHEAD 44
#define UNCHECKED 4 /* a flag: the check is of the head alone */

static const uint64_t words[] = {0,      1,          2,          4,          0x7F,      0x80,       0xFF,      0x7FFF,
                                 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, INT64_MAX, UINT64_MAX, UINT64_MAX - 0xFFFF, 36};

static uint64_t
draw(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* Open a gap of some bytes; return the new size. */
static size_t
widen(uint8_t *data, size_t size, size_t at, size_t more)
{
    if (size + more > ROOM)
        return size;
    memmove(data + at + more, data + at, size - at);
    return size + more;
}

static size_t
spoil(uint64_t *state, uint8_t *data, size_t size)
{
    uint64_t some = draw(state), word = words[some >> 56 & 15];
    size_t bound = some & 8 && size > 48 ? 48 : size, at = (some >> 8 & 0xFFFFFF) % (bound + 1);
    size_t few = 1 + (some >> 32 & 7), width = (size_t)1 << (some >> 40 & 3), whole;
    uint8_t copy[80];

    switch (some & 7) {
    case 0:
        if (at < size)
            data[at] ^= (uint8_t)(1 << (few - 1));
        return size;
    case 1:
        return at;
    case 2:
        whole = widen(data, size, size, few * 5);
        for (size_t n = size; n < whole; n++)
            data[n] = (uint8_t)draw(state);
        return whole;
    case 3: /* what it begins with stands somewhere in it */
        few = size < few * 10 ? size : few * 10;
        memcpy(copy, data, few);
        whole = widen(data, size, at, few);
        if (whole > size)
            memcpy(data + at, copy, few);
        return whole;
    case 4:
        few = size - at < few ? size - at : few;
        memmove(data + at, data + at + few, size - at - few);
        return size - few;
    case 5:
        at -= at % width;
        if (at + width <= size)
            memcpy(data + at, &word, width);
        return size;
    case 6: /* a length or a count, off by a few */
        at -= at % 2;
        if (at + 2 <= size)
            data[at] = (uint8_t)(data[at] + few - 4);
        return size;
    default:
        word = draw(state);
        if (at + 4 <= size)
            memcpy(data + at, &word, 4);
        return size;
    }
}

/* Have the checks of frames that lie end to end agree with them; the last one is as long as what is left, if that is asked. */
static void
mend(uint8_t *data, size_t size, int to_the_end)
{
    size_t length;
    uint32_t sum;

    for (size_t at = 0; size - at >= OVERHEAD; at += length) {
        uint8_t *frame = data + at;
        length = frame[0] | (size_t)frame[1] << 8;
        if (length < OVERHEAD || length > size - at) {
            if (!to_the_end || size - at > UINT16_MAX)
                return;
            length = size - at;
            frame[0] = (uint8_t)length;
            frame[1] = (uint8_t)(length >> 8);
        }
        if (frame[3] != FRAGMENT)
            put32(frame + length - 4, crc32_of(0, frame, length - 4));
        else if (length >= FRAGMENT_OVERHEAD) {
            sum = crc32_of(0, frame, FRAGMENT_HEAD);
            if (!(frame[5] & UNCHECKED))
                sum = crc32_of(sum, frame + FRAGMENT_OVERHEAD, length - FRAGMENT_OVERHEAD);
            put32(frame + FRAGMENT_HEAD, sum);
        }
    }
}

/* Return a datagram bent as a seed says. */
PyObject *
bent(PyObject *datagram, uint64_t seed)
{
    static uint8_t data[ROOM];
    size_t size = (size_t)PyBytes_Size(datagram);
    uint64_t state = seed, some = draw(&state);

    size = size < LARGEST ? size : LARGEST;
    memcpy(data, PyBytes_AsString(datagram), size);
    for (int times = some & 7 ? 1 : 2 + (some >> 3 & 1); times > 0; times--)
        size = spoil(&state, data, size);
    size = size < LARGEST ? size : LARGEST;
    if (some & 16)
        mend(data, size, some & 32);
    return PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)size);
}

/* Hand over one datagram: to what takes it, with what is said beside it unless that is None; or to ``put``, and then have it
   taken with those arguments. -1 with an exception. */
static int
hand(PyObject *put, PyObject *take, PyObject *args, PyObject *data, PyObject *beside)
{
    PyObject *all = beside == Py_None ? NULL : PyTuple_Pack(2, data, beside), *done;

    if (put == Py_None)
        done = all != NULL ? PyObject_CallObject(take, all) : PyObject_CallFunctionObjArgs(take, data, NULL);
    else {
        done = PyObject_CallFunctionObjArgs(put, all != NULL ? all : data, NULL);
        Py_XDECREF(done);
        if (done != NULL)
            done = PyObject_CallObject(take, args);
    }
    Py_XDECREF(all);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Bend a datagram by so many seeds, from one on, and hand each over; after each an attribute has its value again, so that the
   next may be taken for what is due. What is raised ends it, unless it is of ``allowed``; return None. */
PyObject *
flood(PyObject *put, PyObject *take, PyObject *args, PyObject *datagram, PyObject *beside, PyObject *allowed,
      PyObject *owner, PyObject *name, PyObject *value, uint64_t seed, uint64_t count)
{
    for (uint64_t n = 0; n < count; n++) {
        PyObject *data = bent(datagram, seed + n);
        int done = data == NULL ? -1 : hand(put, take, args, data, beside);
        Py_XDECREF(data);
        if (done < 0 && allowed != Py_None && PyErr_ExceptionMatches(allowed)) {
            PyErr_Clear();
            done = 0;
        }
        if (done == 0 && owner != Py_None)
            done = PyObject_SetAttr(owner, name, value);
        if (done < 0) {
            PySys_WriteStderr("seed %llu\n", (unsigned long long)(seed + n));
            return NULL;
        }
    }
    return Py_NewRef(Py_None);
}
