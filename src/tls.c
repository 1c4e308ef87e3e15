/* tls.c: see tls.h. */
#include "tls.h"

#include "paths.h"

#if HAVE_TLS_PATH
/* What _tls.known_functions() tells: of each function of ssl.SSLSocket that one operation goes
   through the function, its code and its defaults. */
typedef enum { TLS_RECV_INTO, TLS_READ, TLS_SEND, TLS_CHECK_CLOSED } tls_function;

typedef enum { TLS_ERROR = -1, TLS_UNKNOWN = 0, TLS_KNOWN = 1 } tls_knowledge;

static PyObject *
known_function(const makefile_state *state, tls_function which)
{
    return PyTuple_GET_ITEM(state->tls_functions, 3 * which);
}

/* Is the method this function of ssl.SSLSocket, as it was when its class was looked at? */
static int
is_known_method(const makefile_state *state, PyObject *method, tls_function which)
{
    PyObject *function = PyMethod_Check(method) ? PyMethod_GET_FUNCTION(method) : NULL;

    return function != NULL && function == known_function(state, which) &&
           PyFunction_GET_CODE(function) == PyTuple_GET_ITEM(state->tls_functions, 3 * which + 1) &&
           PyFunction_GET_DEFAULTS(function) ==
               PyTuple_GET_ITEM(state->tls_functions, 3 * which + 2);
}

/* Does tls.name give this function?  An attribute of the object comes before the class's. */
static tls_knowledge
answers_with(const makefile_state *state, PyObject *tls, PyObject *name, tls_function which)
{
    PyObject *method;
    attr_found found = object_get_optional_attr(tls, name, &method);
    int known = found == ATTR_FOUND && is_known_method(state, method, which);

    Py_XDECREF(method);
    return found == ATTR_ERROR ? TLS_ERROR : known ? TLS_KNOWN : TLS_UNKNOWN;
}

/* The version of socket.socket, the one class of Python below ssl.SSLSocket; 0 if there is another.
   From 3.12 on the version of a class changes with those of its bases. */
static uint64_t
version_below(PyTypeObject *type)
{
    PyObject *mro = type->tp_mro;

    return mro != NULL && PyTuple_GET_SIZE(mro) == 4
               ? class_version((PyTypeObject *)PyTuple_GET_ITEM(mro, 1))
               : 0;
}

/* Looks at a class of the name of ssl.SSLSocket that is not the one remembered.  TLS_ERROR: what
   was raised may be a signal handler's. */
SELDOM static tls_knowledge
learn_class(makefile_state *state, PyTypeObject *type)
{
    uint64_t version = class_version_of(type), below = version_below(type);
    PyObject *functions;

    if (version == 0 || below == 0) { /* changed too often, or a subclass */
        return TLS_UNKNOWN;
    }
    functions = PyObject_CallOneArg(state->tls_known_functions, (PyObject *)type);
    if (functions == NULL) {
        return TLS_ERROR;
    }
    if (functions == Py_None) {
        state->tls_refused = version;
        Py_DECREF(functions);
        return TLS_UNKNOWN;
    }
    Py_XSETREF(state->tls_functions, functions);
    state->tls_version = version;
    state->tls_version_below = below;
    return class_version(type) == version && version_below(type) == below ? TLS_KNOWN : TLS_UNKNOWN;
}

/* Is the class of this object ssl.SSLSocket, with the functions that are known? */
static inline tls_knowledge
knows_class(makefile_state *state, PyTypeObject *type)
{
    uint64_t version;

    if (type->tp_getattro != PyObject_GenericGetAttr) {
        return TLS_UNKNOWN;
    }
    version = class_version(type);
    if (version != 0 && version == state->tls_version &&
        version_below(type) == state->tls_version_below) {
        return TLS_KNOWN;
    }
    return (version == 0 || version != state->tls_refused) &&
                   strcmp(type->tp_name, "SSLSocket") == 0
               ? learn_class(state, type)
               : TLS_UNKNOWN;
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
        PyErr_Clear(); /* a view's own refusal, which the method meets again */
        return 0;
    }
    if (view.ndim == 1 && view.itemsize == 1) {
        nbytes = view.len;
    }
    PyBuffer_Release(&view);
    return nbytes;
}

/* error.args[0] == SSL_ERROR_EOF and tls.suppress_ragged_eofs, in ssl's own names: 1, 0, or -1 with
   an exception. */
static int
is_ragged_end(const makefile_state *state, PyObject *tls, PyObject *error, PyObject *names)
{
    PyObject *args = PyObject_GetAttr(error, state->str_args), *suppress = NULL;
    PyObject *number = args == NULL ? NULL : PyObject_GetItem(args, state->zero);
    PyObject *wanted = number == NULL ? NULL : PyDict_GetItemWithError(names, state->str_eof);
    int is_end = wanted == NULL ? -1 : PyObject_RichCompareBool(number, Py_NewRef(wanted), Py_EQ);

    if (is_end > 0) {
        suppress = PyObject_GetAttr(tls, state->str_suppress_ragged_eofs);
        is_end = suppress == NULL ? -1 : PyObject_IsTrue(suppress);
    }
    Py_XDECREF(suppress);
    Py_XDECREF(wanted);
    Py_XDECREF(number);
    Py_XDECREF(args);
    return is_end;
}

/* What read() makes of the exception of `_sslobj`, which is set: 0, as an int, where the peer has
   gone without a word and the sock suppresses that; or NULL with the exception. */
SELDOM static PyObject *
handle_error(const makefile_state *state, PyObject *tls)
{
    PyObject *names = PyFunction_GET_GLOBALS(known_function(state, TLS_READ));
    PyObject *ssl_error;
    raised_exception raised;
    int is_end = 0;

    raised_take(&raised);
    ssl_error = PyDict_GetItemWithError(names, state->str_ssl_error);
    raised_restore_as_context(&raised);
    Py_INCREF(names);
    Py_XINCREF(ssl_error);
    if (ssl_error != NULL && raised_matches(ssl_error)) {
        raised_take(&raised);
        raised_normalize(&raised);
        is_end = is_ragged_end(state, tls, raised.value, names);
        if (is_end > 0) {
            raised_drop(&raised);
        }
        else {
            raised_restore_as_context(&raised);
        }
    }
    Py_XDECREF(ssl_error);
    Py_DECREF(names);
    return is_end > 0 ? Py_NewRef(state->zero) : NULL;
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

/* Whether this operation is one of `_sslobj`, which is a new reference then. */
static inline tls_knowledge
find_sslobj(makefile_state *state, PyObject *method, operation kind, PyObject **sslobj)
{
    PyObject *tls = PyMethod_GET_SELF(method);
    tls_knowledge known = knows_class(state, Py_TYPE(tls));

    if (known == TLS_KNOWN) {
        const tls_function which = kind == OPERATION_READ ? TLS_RECV_INTO : TLS_SEND;

        known = is_known_method(state, method, which)
                    ? answers_with(state, tls, state->str_check_closed, TLS_CHECK_CLOSED)
                    : TLS_UNKNOWN;
    }
    if (known == TLS_KNOWN && kind == OPERATION_READ) {
        known = answers_with(state, tls, state->str_read, TLS_READ);
    }
    if (known == TLS_KNOWN) {
        known = (tls_knowledge)object_get_optional_attr(tls, state->str_sslobj, sslobj);
    }
    if (known == TLS_KNOWN && *sslobj == Py_None) { /* it is not connected, or was unwrapped */
        Py_DECREF(*sslobj);
        known = TLS_UNKNOWN;
    }
    return known;
}

int
tls_transfer(makefile_state *state, PyObject *method, PyObject *argument, operation kind,
             PyObject **result)
{
    Py_ssize_t nbytes = 0;
    PyObject *sslobj = NULL;

    *result = NULL;
    if (!PyMethod_Check(method)) {
        return 0;
    }
    switch (find_sslobj(state, method, kind, &sslobj)) {
        case TLS_UNKNOWN:
            return 0;
        case TLS_ERROR:
            return 1;
        case TLS_KNOWN:
            break;
    }
    if (kind == OPERATION_READ && (nbytes = argument_nbytes(argument)) == 0) {
        Py_DECREF(sslobj);
        return 0;
    }
    COUNT_PATH(tls);
    if (Py_EnterRecursiveCall(" in a TLS socket") == 0) { /* 3.13's own count comes too late */
        *result = kind == OPERATION_READ
                      ? read_into(state, PyMethod_GET_SELF(method), sslobj, argument, nbytes)
                      : PyObject_CallMethodObjArgs(sslobj, state->str_write, argument, NULL);
        Py_LeaveRecursiveCall();
    }
    Py_DECREF(sslobj);
    return 1;
}
#endif
