/* The module itself: what of the other files Python sees. */

#include "state.h"

/* Some of what is kept is kept for the process, so one interpreter of it uses this part; others are pure Python, and so is
   the next life of one that was ended and begun anew: its dictionary is another, and tells. */
static int
is_first_interpreter(void)
{
    static int used;
    PyObject *own = PyInterpreterState_GetDict(PyInterpreterState_Get());
    PyObject *key = own == NULL ? NULL : PyUnicode_InternFromString("_ipcpy_fast");
    int mine = key == NULL ? -1 : PyDict_Contains(own, key);

    if (mine == 0 && !used) {
        used = 1;
        mine = PyDict_SetItem(own, key, Py_True) < 0 ? -1 : 1;
    }
    Py_XDECREF(key);
    if (mine < 0)
        PyErr_Clear();
    return mine > 0;
}

static int
execute(PyObject *module)
{
    if (!is_first_interpreter()) {
        PyErr_SetString(PyExc_ImportError, "another interpreter of this process uses it");
        return -1;
    }
    if (add_crc(module) < 0 ||
        add_cipher(module) < 0 ||
        add_sessions(module) < 0 ||
        add_sealing(module) < 0 ||
        add_opening(module) < 0 ||
        add_sealedruns(module) < 0 ||
        add_locks(module) < 0 ||
        add_sockets(module) < 0 ||
        add_addressed(module) < 0 ||
        add_encoding(module) < 0 ||
        add_publishing(module) < 0 ||
        add_fields(module) < 0 ||
        add_decoding(module) < 0 ||
        add_receiving(module) < 0 ||
        add_fragments(module) < 0 ||
        add_gathering(module) < 0 ||
        add_counting(module) < 0 ||
        add_sent(module) < 0 ||
        add_packing(module) < 0 ||
        add_batching(module) < 0)
        return -1;
    if (PyModule_AddStringConstant(module, "VERSION", IPCPY_VERSION) < 0)
        return -1;
    return PyModule_AddStringConstant(module, "SOURCES", IPCPY_SOURCES); /* see fingerprint() in hatch_build.py */
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_ipcpy_fast",
    .m_doc = "The compiled part of ipcpy; see fast/README.md. Used through ipcpy.fast.",
    .m_size = sizeof(State),
    .m_slots = slots,
    .m_traverse = state_traverse,
    .m_clear = state_clear,
    .m_free = state_free,
};

PyMODINIT_FUNC
PyInit__ipcpy_fast(void)
{
    return PyModuleDef_Init(&definition);
}
