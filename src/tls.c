/* tls.c: see tls.h. */
#include "tls.h"

#include "paths.h"

#if HAVE_TLS_PATH
/* What _tls.known_functions() tells: of each function of ssl.SSLSocket that one operation goes
   through the function, its code and its defaults; and last the function that judges an error. */
typedef enum { TLS_RECV_INTO, TLS_READ, TLS_SEND, TLS_CHECK_CLOSED, TLS_N_FUNCTIONS } tls_function;
#define TLS_IS_RAGGED_END (3 * TLS_N_FUNCTIONS)

/* Is the method this function of ssl.SSLSocket, as it was when its class was looked at? */
static int
is_known_method(const makefile_state *state, PyObject *method, tls_function which)
{
    PyObject *const *known = &PyTuple_GET_ITEM(state->tls_functions, 3 * which);
    PyObject *function;

    if (!PyMethod_Check(method)) {
        return 0;
    }
    function = PyMethod_GET_FUNCTION(method);
    return function == known[0] && PyFunction_GET_CODE(function) == known[1] &&
           PyFunction_GET_DEFAULTS(function) == known[2];
}

/* Does tls.name give this function?  An attribute of the object comes before the class's, and no
   code runs: the class has nothing but functions under these names. */
static int
answers_with(const makefile_state *state, PyObject *tls, PyObject *name, tls_function which)
{
    PyObject *method = PyObject_GetAttr(tls, name);
    int known = method != NULL && is_known_method(state, method, which);

    PyErr_Clear();
    Py_XDECREF(method);
    return known;
}

/* Looks at a class that is not the one remembered: 1 if it is ssl.SSLSocket, and is known; 0; or -1
   with an exception, which may be a signal handler's. */
SELDOM static int
learn_class(makefile_state *state, PyTypeObject *type)
{
    PyObject *known_functions = import_attribute("backports.makefile._tls", "known_functions");
    PyObject *functions =
        known_functions == NULL ? NULL : PyObject_CallOneArg(known_functions, (PyObject *)type);
    int known = functions == NULL ? -1 : functions != Py_None;

    if (known > 0) {
        Py_XSETREF(state->tls_functions, Py_NewRef(functions));
        state->tls_version = class_version_of(type);
        known = state->tls_version != 0;
    }
    else if (known == 0) {
        state->tls_refused = class_version_of(type);
    }
    else if (raised_matches(PyExc_ImportError)) { /* at exit */
        PyErr_Clear();
        known = 0;
    }
    Py_XDECREF(functions);
    Py_XDECREF(known_functions);
    return known;
}

/* Is the class of this object ssl.SSLSocket, with the functions that are known?  1, 0, or -1 with
   an exception. */
static inline int
is_known_class(makefile_state *state, PyObject *method, PyObject *tls)
{
    PyTypeObject *type = Py_TYPE(tls);
    uint64_t version = class_version(type);
    PyObject *function = PyMethod_GET_FUNCTION(method), *module;

    if (type->tp_getattro != PyObject_GenericGetAttr) {
        return 0;
    }
    if (version != 0 && (version == state->tls_version || version == state->tls_refused)) {
        return version == state->tls_version;
    }
    module = PyFunction_Check(function) ? PyFunction_GET_MODULE(function) : NULL;
    if (module == NULL || !PyUnicode_CheckExact(module) ||
        PyUnicode_CompareWithASCIIString(module, "ssl") != 0 ||
        PyDict_Contains(type->tp_dict, state->str_recv_into) <= 0) {
        PyErr_Clear(); /* an odd key's */
        return 0;
    }
    return learn_class(state, type);
}

/* The number of bytes that recv_into() finds in its argument; 0 where it is the method that has to
   judge. */
static Py_ssize_t
argument_nbytes(PyObject *argument)
{
    Py_buffer view;
    Py_ssize_t nbytes = 0;

    if (PyByteArray_CheckExact(argument)) {
        return PyByteArray_GET_SIZE(argument);
    }
    if (!PyMemoryView_Check(argument) || PyObject_GetBuffer(argument, &view, PyBUF_ND) < 0) {
        PyErr_Clear();
        return 0;
    }
    if (view.ndim == 1 && view.itemsize == 1) {
        nbytes = view.len;
    }
    PyBuffer_Release(&view);
    return nbytes;
}

/* What read() makes of the exception of `_sslobj`, which is set: 0, as an int, where the peer has
   gone without a word and the sock suppresses that; or NULL with the exception. */
SELDOM static PyObject *
handle_error(const makefile_state *state, PyObject *tls)
{
    raised_exception raised;
    PyObject *judge = Py_NewRef(PyTuple_GET_ITEM(state->tls_functions, TLS_IS_RAGGED_END));
    PyObject *is_end;
    int truth;

    raised_take(&raised);
    raised_normalize(&raised);
    is_end = PyObject_CallFunctionObjArgs(judge, tls, raised.value, NULL);
    truth = is_end == NULL ? -1 : is_end == Py_True;
    Py_XDECREF(is_end);
    Py_DECREF(judge);
    if (truth > 0) {
        raised_drop(&raised);
        return Py_NewRef(state->zero);
    }
    raised_restore_as_context(&raised);
    return NULL;
}

static PyObject *
read_into(const makefile_state *state, PyObject *tls, PyObject *sslobj, PyObject *argument,
          Py_ssize_t nbytes)
{
    PyObject *size = Int_FromSsize_t(nbytes), *result;

    if (size == NULL) {
        return NULL;
    }
    result = PyObject_CallMethodObjArgs(sslobj, state->str_read, size, argument, NULL);
    Py_DECREF(size);
    return result != NULL ? result : handle_error(state, tls);
}

int
tls_transfer(makefile_state *state, PyObject *method, PyObject *argument, operation kind,
             PyObject **result)
{
    PyObject *tls = PyMethod_Check(method) ? PyMethod_GET_SELF(method) : NULL, *sslobj;
    int known = tls == NULL ? 0 : is_known_class(state, method, tls);
    Py_ssize_t nbytes = 0;

    if (known <= 0) {
        *result = NULL;
        return known < 0;
    }
    if (!is_known_method(state, method, kind == OPERATION_READ ? TLS_RECV_INTO : TLS_SEND) ||
        !answers_with(state, tls, state->str_check_closed, TLS_CHECK_CLOSED)) {
        return 0;
    }
    if (kind == OPERATION_READ && (!answers_with(state, tls, state->str_read, TLS_READ) ||
                                   (nbytes = argument_nbytes(argument)) == 0)) {
        return 0;
    }
    sslobj = PyObject_GetAttr(tls, state->str_sslobj);
    if (sslobj == NULL || sslobj == Py_None) { /* not connected, or unwrapped */
        PyErr_Clear();
        Py_XDECREF(sslobj);
        return 0;
    }
    COUNT_PATH(tls);
    *result = kind == OPERATION_READ
                  ? read_into(state, tls, sslobj, argument, nbytes)
                  : PyObject_CallMethodObjArgs(sslobj, state->str_write, argument, NULL);
    Py_DECREF(sslobj);
    return 1;
}
#endif
