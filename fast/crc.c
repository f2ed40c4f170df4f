/* CRC-32 as zlib has it: eight bytes at a time, and where the processor multiplies without carries, 64 at a time.
 *
 * The latter is "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (V. Gopal et al., Intel,
 * 2009): what comes first is folded into what comes 64 bytes later, until 16 are left; these are reduced.
 */

#include "fast.h"

#define POLYNOMIAL 0xEDB88320u

static uint32_t tables[8][256]; /* [n][b]: what byte b does to the sum when n bytes follow it */

static void
make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte;
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? POLYNOMIAL : 0);
        tables[0][byte] = sum;
    }
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int n = 1; n < 8; n++)
            tables[n][byte] = tables[n - 1][byte] >> 8 ^ tables[0][tables[n - 1][byte] & 255];
}

#if defined(__x86_64__)

#include <immintrin.h>

#define FOLDED __attribute__((target("pclmul,sse4.1"), always_inline)) static inline

static int folds; /* whether the processor can */

/* What 16 bytes do to those that lie further on, by the two powers of x (mod the polynomial) for that distance. */
FOLDED __m128i
fold(__m128i bytes, __m128i powers, __m128i further)
{
    __m128i low = _mm_clmulepi64_si128(bytes, powers, 0x00), high = _mm_clmulepi64_si128(bytes, powers, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), further);
}

FOLDED __m128i
bytes_at(const uint8_t *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* 16 bytes to the sum of 4: by x^96 and x^64, then Barrett's reduction with the polynomial and its inverse. */
FOLDED uint32_t
reduce(__m128i bytes)
{
    const __m128i power = _mm_set_epi64x(0, 0x163CD6124), low = _mm_setr_epi32(-1, 0, -1, 0);
    const __m128i powers = _mm_set_epi64x(0x0CCAA009E, 0x1751997D0), inverse = _mm_set_epi64x(0x1F7011641, 0x1DB710641);
    __m128i sum, quotient;

    sum = _mm_xor_si128(_mm_clmulepi64_si128(bytes, powers, 0x10), _mm_srli_si128(bytes, 8));
    sum = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(sum, low), power, 0x00), _mm_srli_si128(sum, 4));
    quotient = _mm_and_si128(_mm_clmulepi64_si128(_mm_and_si128(sum, low), inverse, 0x10), low);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(_mm_clmulepi64_si128(quotient, inverse, 0x00), sum), 1);
}

/* The sum of 64 bytes or more, a multiple of 16; both sums are inverted, as between the steps of crc32_of. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t
folded(uint32_t sum, const uint8_t *at, size_t size)
{
    const __m128i by_64 = _mm_set_epi64x(0x1C6E41596, 0x154442BD4), by_16 = _mm_set_epi64x(0x0CCAA009E, 0x1751997D0);
    __m128i a = _mm_xor_si128(bytes_at(at), _mm_cvtsi32_si128((int)sum)), b = bytes_at(at + 16);
    __m128i c = bytes_at(at + 32), d = bytes_at(at + 48);

    for (at += 64, size -= 64; size >= 64; at += 64, size -= 64) {
        a = fold(a, by_64, bytes_at(at));
        b = fold(b, by_64, bytes_at(at + 16));
        c = fold(c, by_64, bytes_at(at + 32));
        d = fold(d, by_64, bytes_at(at + 48));
    }
    a = fold(fold(fold(a, by_16, b), by_16, c), by_16, d);
    for (; size >= 16; at += 16, size -= 16)
        a = fold(a, by_16, bytes_at(at));
    return reduce(a);
}

static void
look_at_processor(void)
{
    __builtin_cpu_init();
    folds = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

#else

enum { folds = 0 };

static uint32_t
folded(uint32_t sum, const uint8_t *at, size_t size)
{
    return sum; /* never called */
}

static void
look_at_processor(void)
{
}

#endif

uint32_t
crc32_of(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    uint32_t sum = ~crc;

    if (folds && size >= 64) {
        size_t whole = size & ~(size_t)15;
        sum = folded(sum, at, whole);
        at += whole;
        size -= whole;
    }
    for (; size >= 8; at += 8, size -= 8) {
        uint32_t low = get32(at) ^ sum, high = get32(at + 4);
        sum = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
              tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^ tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
    }
    while (size--)
        sum = sum >> 8 ^ tables[0][(sum ^ *at++) & 255];
    return ~sum;
}

#define LONG (5 << 10) /* bytes from which others may have the GIL meanwhile, as in zlib's */

/* crc32(data, begun=0) */
static PyObject *
crc32_in_python(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_buffer data;
    uint32_t begun = 0, sum;

    if (count != 1 && count != 2) {
        PyErr_SetString(PyExc_TypeError, "crc32(data, begun=0)");
        return NULL;
    }
    if (count == 2) {
        begun = (uint32_t)PyLong_AsUnsignedLongMask(args[1]);
        if (PyErr_Occurred())
            return NULL;
    }
    if (PyObject_GetBuffer(args[0], &data, PyBUF_SIMPLE) < 0)
        return NULL;
    if (data.len > LONG) {
        Py_BEGIN_ALLOW_THREADS
        sum = crc32_of(begun, data.buf, (size_t)data.len);
        Py_END_ALLOW_THREADS
    } else
        sum = crc32_of(begun, data.buf, (size_t)data.len);
    PyBuffer_Release(&data);
    return PyLong_FromUnsignedLong(sum);
}

static PyMethodDef functions[] = {
    {"crc32", (PyCFunction)(void (*)(void))crc32_in_python, METH_FASTCALL,
     "crc32(data, begun=0)\n--\n\nReturn what zlib.crc32 does."},
    {NULL, NULL, 0, NULL},
};

/* Before anything is computed: the tables are then read by threads that do not hold the GIL. */
int
add_crc(PyObject *module)
{
    make_tables();
    look_at_processor();
    if (PyModule_AddIntConstant(module, "FOLDS", folds) < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
