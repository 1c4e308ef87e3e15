/* reference.c: see reference.h.

   The sock has                               A stream adds one to   Its end is told by
   ----------------------------------------   --------------------   ---------------------------
   `_makefile_refs`, an int, and
       `_decref_socketios`                    `_makefile_refs`       `_decref_socketios()`
       a `close` that counts it down (2.7's
       ssl.SSLSocket, old urllib3)            `_makefile_refs`       `close()`
       neither                                `_makefile_refs`       `_makefile_refs -= 1`
   `_io_refs`                                 `_io_refs`             `_decref_socketios()`
   both, and `_decref_socketios` is
       socket.socket's own                    `_io_refs`             `_decref_socketios()`
   neither, but is a C socket or 2.7's own    nothing: it is held    letting it go

   What socket.socket's own `_decref_socketios` does for a plain socket.socket is done here, without
   calling a function of Python. */
#include "reference.h"

/* sock.name += step, in the words of Python: looked up, added, and set on the object itself.
   `value` is what the look-up gave, borrowed. */
static int
counter_add(PyObject *sock, PyObject *name, PyObject *value, PyObject *step)
{
    PyObject *sum = PyNumber_InPlaceAdd(value, step);
    int status = sum == NULL ? -1 : PyObject_SetAttr(sock, name, sum);

    Py_XDECREF(sum);
    return status;
}

/* ---- A plain socket.socket ------------------------------------------------------------------- */

/* Does the sock count its files with socket.socket's own function, as it was at import, and with
   nothing in the place of what that uses?  Then nobody can tell who counted. */
static int
counts_plainly(const makefile_state *state, PyObject *sock)
{
    PyTypeObject *type = Py_TYPE(sock);
    PyObject *dict = type->tp_dict, *decref;
    int plain;

    if (state->socket_decref_code == NULL || !csocket_is_below_one_class(&state->csocket, sock) ||
        type->tp_setattro != PyObject_GenericSetAttr) {
        return 0;
    }
    decref = dict_get(dict, state->str_decref_socketios);
    if (decref == NULL) {
        PyErr_Clear(); /* an odd key's, which Python's look-up would not let out either */
    }
    plain = decref != NULL && decref == state->socket_decref &&
            PyFunction_GET_CODE(decref) == state->socket_decref_code;
    Py_XDECREF(decref);
    return plain;
}

/* sock._io_refs, if that is a plain int.  1, 0, or -1 with an exception. */
static int
get_plain_count(const makefile_state *state, PyObject *sock, Py_ssize_t *count)
{
    PyObject *value = PyObject_GetAttr(sock, state->str_io_refs);
    int plain = value == NULL ? -1 : exact_int_as_ssize(value, count) && *count < PY_SSIZE_T_MAX;

    Py_XDECREF(value);
    return plain;
}

static int
set_plain_count(const makefile_state *state, PyObject *sock, Py_ssize_t count)
{
    PyObject *value = Int_FromSsize_t(count);
    int status = value == NULL ? -1 : PyObject_SetAttr(sock, state->str_io_refs, value);

    Py_XDECREF(value);
    return status;
}

/* If sock._closed: sock.close() */
static int
close_if_closed(const makefile_state *state, PyObject *sock)
{
    PyObject *closed = PyObject_GetAttr(sock, state->str_closed_), *result = NULL;
    int truth = closed == NULL ? -1 : PyObject_IsTrue(closed);

    Py_XDECREF(closed);
    if (truth > 0) {
        result = PyObject_CallMethodNoArgs(sock, state->str_close);
        Py_XDECREF(result);
        return result == NULL ? -1 : 0;
    }
    return truth;
}

/* sock._io_refs += 1.  1 if that was done, 0 if it has to be done in the words of Python, -1 with
   an exception. */
static int
take_plainly(const makefile_state *state, PyObject *sock)
{
    Py_ssize_t count;
    int plain = counts_plainly(state, sock) ? get_plain_count(state, sock, &count) : 0;

    if (plain <= 0) {
        return plain;
    }
    return set_plain_count(state, sock, count + 1) < 0 ? -1 : 1;
}

/* socket.socket._decref_socketios.  1 if that was done, 0 if it has to be called, -1 with an
   exception. */
static int
release_plainly(const makefile_state *state, PyObject *sock)
{
    Py_ssize_t count;
    int plain = counts_plainly(state, sock) ? get_plain_count(state, sock, &count) : 0;

    if (plain <= 0) {
        return plain;
    }
    if (count > 0 && set_plain_count(state, sock, count - 1) < 0) {
        return -1;
    }
    return close_if_closed(state, sock) < 0 ? -1 : 1;
}

/* ---- Any other ------------------------------------------------------------------------------- */

/* Does the sock count its files as the interpreter's own socket.socket does, whatever else it has?
   1, 0, or -1 with an exception. */
static int
counts_as_socket(const makefile_state *state, PyObject *sock)
{
    PyObject *decref;
    attr_found found;

    if (state->socket_decref == NULL) {
        return 0;
    }
    found =
        object_get_optional_attr((PyObject *)Py_TYPE(sock), state->str_decref_socketios, &decref);
    Py_XDECREF(decref); /* only compared */
    return found == ATTR_ERROR ? -1 : decref == state->socket_decref;
}

/* Is `_makefile_refs` with this value the counter to use?  Not if it is a mock's, that has
   everything, or a subclass's of socket.socket that was written for 2.7. */
static int
is_counter(const makefile_state *state, PyObject *sock, PyObject *value)
{
    int as_socket = is_int(value) ? counts_as_socket(state, sock) : 1;

    return as_socket < 0 ? -1 : !as_socket;
}

/* Is a file that was closed told to the sock by its close(), which counts?  1, 0, or -1 with an
   exception. */
static int
counts_by_close(const makefile_state *state, PyObject *sock)
{
    PyObject *counts_refs = state->counts_refs != NULL
                                ? Py_NewRef(state->counts_refs)
                                : import_attribute("backports.makefile._inspect", "counts_refs");
    PyObject *answer =
        counts_refs == NULL ? NULL : PyObject_CallOneArg(counts_refs, object_class(sock));
    int by_close = answer == NULL ? -1 : PyObject_IsTrue(answer);

    Py_XDECREF(answer);
    Py_XDECREF(counts_refs);
    return by_close;
}

/* Which row of the table the sock is in, and a new reference to what its counter holds, or NULL:
   *kind is then REFERENCE_NONE.  0, or -1 with an exception that a look-up raised. */
static int
find_counter(const makefile_state *state, PyObject *sock, reference_kind *kind, PyObject **value)
{
    attr_found found = object_get_optional_attr(sock, state->str_makefile_refs, value);

    if (found == ATTR_FOUND) {
        int counts = is_counter(state, sock, *value);

        if (counts > 0) {
            *kind = REFERENCE_MAKEFILE_REFS;
            return 0;
        }
        Py_CLEAR(*value);
        found = counts < 0 ? ATTR_ERROR : ATTR_ABSENT;
    }
    if (found == ATTR_ABSENT) {
        found = object_get_optional_attr(sock, state->str_io_refs, value);
    }
    *kind = found == ATTR_FOUND ? REFERENCE_IO_REFS : REFERENCE_NONE;
    return found == ATTR_ERROR ? -1 : 0;
}

static PyObject *
counter_name(const makefile_state *state, reference_kind kind)
{
    return kind == REFERENCE_IO_REFS ? state->str_io_refs : state->str_makefile_refs;
}

/* Is it a socket of the interpreter's that stays open as long as somebody holds it?  1, 0, or
   -1. */
static int
is_held_open(const makefile_state *state, PyObject *sock)
{
    if (PyObject_TypeCheck(sock, state->csocket.type)) {
        return 1;
    }
#if PYTHON2
    return state_is_python2_socket(state, sock);
#else
    return 0;
#endif
}

int
reference_take(makefile_state *state, PyObject *sock, reference_kind *kind)
{
    PyObject *value;
    int status;

    assert(!PyErr_Occurred());
    status = take_plainly(state, sock);
    if (status != 0) {
        *kind = REFERENCE_IO_REFS;
        return status < 0 ? -1 : 0;
    }
    if (find_counter(state, sock, kind, &value) < 0) {
        return -1;
    }
    if (value != NULL) {
        status = counter_add(sock, counter_name(state, *kind), value, state->one);
        Py_DECREF(value);
        return status;
    }
    status = is_held_open(state, sock);
    if (status == 0) {
        PyErr_Format(PyExc_AttributeError,
                     "'%.100s' object has no attribute '_makefile_refs': give the class "
                     "`_makefile_refs = 0`, or use backports.makefile.install(%.100s)",
                     type_name(sock), type_name(sock));
    }
    return status > 0 ? 0 : -1;
}

/* The counter -= 1, if there is one: the sock may be another by now.  0, or -1 with an
   exception. */
static int
count_down(const makefile_state *state, PyObject *sock, reference_kind kind)
{
    PyObject *name = counter_name(state, kind), *value, *difference;
    attr_found found = object_get_optional_attr(sock, name, &value);
    int status;

    if (found != ATTR_FOUND) {
        return found == ATTR_ERROR ? -1 : 0;
    }
    difference = PyNumber_InPlaceSubtract(value, state->one);
    status = difference == NULL ? -1 : PyObject_SetAttr(sock, name, difference);
    Py_XDECREF(difference);
    Py_DECREF(value);
    return status;
}

void
reference_restore(makefile_state *state, PyObject *sock, reference_kind kind)
{
    raised_exception raised;

    if (kind == REFERENCE_NONE) {
        return;
    }
    raised_take(&raised);
    if (count_down(state, sock, kind) == 0 && kind == REFERENCE_IO_REFS &&
        counts_as_socket(state, sock) > 0) {
        (void)close_if_closed(state, sock);
    }
    if (raised_matches(PyExc_Exception)) {
        PyErr_Clear(); /* the sock's own refusal; what failed first is what the caller is told */
    }
    raised_restore_as_context(&raised);
}

/* Calls the method of this name, if there is one.  1, 0 if there is none, or -1 with an
   exception. */
static int
call_if_there(PyObject *sock, PyObject *name)
{
    PyObject *method, *result;
    attr_found found = object_get_optional_attr(sock, name, &method);

    if (found != ATTR_FOUND) {
        return found;
    }
    result = PyObject_CallNoArgs(method);
    Py_DECREF(method);
    Py_XDECREF(result);
    return result == NULL ? -1 : 1;
}

/* Calls the method of this name.  0, or -1 with an exception. */
static int
call_method(PyObject *sock, PyObject *name)
{
    PyObject *result = PyObject_CallMethodNoArgs(sock, name);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

int
reference_release(makefile_state *state, PyObject *sock, reference_kind kind)
{
    int done = kind == REFERENCE_IO_REFS ? release_plainly(state, sock) : 0;

    if (done != 0) {
        return done < 0 ? -1 : 0;
    }
    if (kind == REFERENCE_IO_REFS) {
        return call_method(sock, state->str_decref_socketios);
    }
    /* install() may have given the class the method since, and uninstall() taken it away. */
    done = call_if_there(sock, state->str_decref_socketios);
    if (done != 0 || kind == REFERENCE_NONE) {
        return done < 0 ? -1 : 0;
    }
    done = counts_by_close(state, sock);
    if (done != 0) {
        return done < 0 ? -1 : call_method(sock, state->str_close);
    }
    return count_down(state, sock, kind);
}

int
reference_csocket(makefile_state *state, PyObject *sock, PyObject **csocket)
{
    *csocket = NULL;
#if PYTHON2
    {
        PyObject *value;
        reference_kind kind;
        int is_socket = state_is_python2_socket(state, sock);

        if (is_socket <= 0) {
            return is_socket;
        }
        if (find_counter(state, sock, &kind, &value) < 0) {
            return -1;
        }
        if (value != NULL) { /* it counts, as ssl.SSLSocket does, and closes itself when it must */
            Py_DECREF(value);
            return 0;
        }
        if (object_get_optional_attr(sock, state->str_sock, csocket) == ATTR_ERROR) {
            return -1;
        }
        if (*csocket != NULL && !PyObject_TypeCheck(*csocket, state->csocket.type)) {
            Py_CLEAR(*csocket);
        }
    }
#else
    (void)state, (void)sock;
#endif
    return 0;
}
