/* reference.c: see reference.h.

   | the sock has                              | taken             | released                                            |
   | ----------------------------------------- | ----------------- | --------------------------------------------------- |
   | `_makefile_refs`, an int                  | += 1              | `_decref_socketios()`; if it had none when it was   |
   |                                           |                   | taken `close()`, which is how 2.7's ssl.SSLSocket   |
   |                                           |                   | and urllib3 count down                              |
   | `_io_refs`                                | += 1              | `_decref_socketios()`                               |
   | both, and socket.socket's own             | `_io_refs` += 1   | `_decref_socketios()`, which is that one's own      |
   | `_decref_socketios`                       |                   |                                                     |
   | neither, but is a C socket or 2.7's own   | by being held     | by being dropped                                    | */
#include "reference.h"

/* sock.name += step, in the words of Python: looked up, added, and set on the object itself.  `value` is what the look-up
   gave, borrowed. */
static int
counter_add(PyObject *sock, PyObject *name, PyObject *value, PyObject *step)
{
    PyObject *sum = PyNumber_InPlaceAdd(value, step);
    int status;

    if (sum == NULL) {
        return -1;
    }
    status = PyObject_SetAttr(sock, name, sum);
    Py_DECREF(sum);
    return status;
}

/* The object's `_decref_socketios`: a new reference, or NULL with no exception. */
static PyObject *
find_decref(const makefile_state *state, PyObject *object)
{
    int found;
    PyObject *decref = object_get_optional_attr(object, state->str_decref_socketios, &found);

    PyErr_Clear();
    return decref;
}

/* Does the sock count its files as the interpreter's own socket.socket does? */
static int
counts_as_socket(const makefile_state *state, PyObject *sock)
{
    PyObject *decref = find_decref(state, (PyObject *)Py_TYPE(sock));

    Py_XDECREF(decref); /* only compared */
    return decref != NULL && decref == state->socket_decref;
}

/* Which row of the table the sock is in, and a new reference to what its counter holds, or NULL: *kind is then REFERENCE_NONE.
   0, or -1 with an exception that a look-up raised. */
static int
counter_find(const makefile_state *state, PyObject *sock, reference_kind *kind, PyObject **value)
{
    int found;

    *kind = REFERENCE_MAKEFILE_REFS;
    *value = object_get_optional_attr(sock, state->str_makefile_refs, &found);
    if (*value != NULL && (!is_int(*value) || counts_as_socket(state, sock))) {
        Py_CLEAR(*value); /* a mock's, that has everything; or a subclass's that was written for 2.7 */
    }
    if (*value == NULL && found >= 0) {
        *kind = REFERENCE_IO_REFS;
        *value = object_get_optional_attr(sock, state->str_io_refs, &found);
    }
    if (*value == NULL) {
        *kind = REFERENCE_NONE;
    }
    return found < 0 ? -1 : 0;
}

static PyObject *
counter_name(const makefile_state *state, reference_kind kind)
{
    return kind == REFERENCE_IO_REFS ? state->str_io_refs : state->str_makefile_refs;
}

int
reference_take(makefile_state *state, PyObject *sock, reference_kind *kind)
{
    PyObject *value;
    int status;

    if (counter_find(state, sock, kind, &value) < 0) {
        return -1;
    }
    if (value != NULL) {
        if (*kind == REFERENCE_MAKEFILE_REFS) {
            PyObject *decref = find_decref(state, sock);

            *kind = decref == NULL ? REFERENCE_BY_CLOSE : REFERENCE_MAKEFILE_REFS;
            Py_XDECREF(decref);
        }
        status = counter_add(sock, counter_name(state, *kind), value, state->one);
        Py_DECREF(value);
        return status;
    }
    if (PyObject_TypeCheck(sock, (PyTypeObject *)state->csocket_type) ||
        (PYTHON2 && PyObject_TypeCheck(sock, (PyTypeObject *)state->python2_socket))) {
        return 0;
    }
    PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute '_makefile_refs'", type_name(sock));
    return -1;
}

/* Lets a socket.socket that was closed while it had a file look whether that was the last. */
static void
close_if_due(const makefile_state *state, PyObject *sock)
{
    PyObject *closed = PyObject_GetAttr(sock, state->str_closed_);

    if (closed == Py_True) {
        Py_XDECREF(PyObject_CallMethodNoArgs(sock, state->str_close));
    }
    Py_XDECREF(closed);
    PyErr_Clear();
}

void
reference_restore(makefile_state *state, PyObject *sock, reference_kind kind)
{
    raised_exception raised;
    PyObject *name, *value, *difference;

    if (kind == REFERENCE_NONE) {
        return;
    }
    raised_take(&raised);
    name = counter_name(state, kind);
    value = PyObject_GetAttr(sock, name);
    difference = value == NULL ? NULL : PyNumber_InPlaceSubtract(value, state->one);
    if (difference == NULL || PyObject_SetAttr(sock, name, difference) < 0) {
        PyErr_Clear(); /* the sock's own refusal; what failed first is what the caller is told */
    }
    else if (kind == REFERENCE_IO_REFS && counts_as_socket(state, sock)) {
        close_if_due(state, sock);
    }
    Py_XDECREF(value);
    Py_XDECREF(difference);
    raised_restore(&raised);
}

int
reference_release(makefile_state *state, PyObject *sock, reference_kind kind)
{
    PyObject *result;

    if (kind == REFERENCE_IO_REFS) {
        result = PyObject_CallMethodNoArgs(sock, state->str_decref_socketios);
    }
    else {
        int found;
        PyObject *decref = object_get_optional_attr(sock, state->str_decref_socketios, &found);

        if (decref != NULL) {
            result = PyObject_CallNoArgs(decref);
            Py_DECREF(decref);
        }
        else if (found < 0) {
            return -1;
        }
        else if (kind == REFERENCE_BY_CLOSE) {
            result = PyObject_CallMethodNoArgs(sock, state->str_close);
        }
        else { /* uninstall() has taken the method away: nobody is to be told any more */
            reference_restore(state, sock, kind);
            return 0;
        }
    }
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

PyObject *
reference_csocket(makefile_state *state, PyObject *sock)
{
    PyObject *value, *csocket;
    reference_kind kind;
    int found;

    if (!PYTHON2 || !PyObject_TypeCheck(sock, (PyTypeObject *)state->python2_socket)) {
        return NULL;
    }
    if (counter_find(state, sock, &kind, &value) < 0 || value != NULL) {
        Py_XDECREF(value); /* it counts, as ssl.SSLSocket does, and closes itself when it must */
        PyErr_Clear();
        return NULL;
    }
    csocket = object_get_optional_attr(sock, state->str_sock, &found);
    if (csocket != NULL && !PyObject_TypeCheck(csocket, (PyTypeObject *)state->csocket_type)) {
        Py_CLEAR(csocket);
    }
    PyErr_Clear();
    return csocket;
}
