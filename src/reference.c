/* reference.c: see reference.h.

   | the sock has                              | taken             | released                                            |
   | ----------------------------------------- | ----------------- | --------------------------------------------------- |
   | `_makefile_refs`, an int                  | += 1              | `_decref_socketios()`; if it had none when it was   |
   |                                           |                   | taken `close()`, which is how 2.7's ssl.SSLSocket   |
   |                                           |                   | and urllib3 count down                              |
   | `_io_refs`                                | += 1              | `_decref_socketios()`                               |
   | both, and socket.socket's own             | `_io_refs` += 1   | `_decref_socketios()`, which is that one's own      |
   | `_decref_socketios`                       |                   |                                                     |
   | neither, but is a C socket or 2.7's own   | by being held     | by being dropped                                    |

   A socket.socket in which nothing was overridden is counted in its slots: as in the row with both, without look-ups and without calling
   a function of Python. */
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

#if !PYTHON2
/* Has the type, with plain keys alone, what socket.socket counts with, and nothing in its place? */
static int
has_own_counter(const makefile_state *state, PyTypeObject *type)
{
    const struct {
        PyObject *name, *own;
    } used[] = {{state->str_decref_socketios, state->socket_decref},
                {state->str_io_refs, state->socket_io_refs},
                {state->str_closed_, state->socket_closed}};
    int own = PyType_IsSubtype(type, PyDescr_TYPE(state->socket_io_refs)) &&
              PyType_IsSubtype(type, PyDescr_TYPE(state->socket_closed));
    size_t i;
    int found;

    for (i = 0; own && i < sizeof used / sizeof used[0]; i++) {
        PyObject *value = type_find_before(type, (PyTypeObject *)state->csocket_type, used[i].name, &found);

        own = value == used[i].own;
        Py_XDECREF(value); /* only compared */
    }
    return own;
}

/* Does the sock count its files in socket.socket's own slots, with nothing overridden?  Then nobody can tell whether they were read by
   name, nor who counted down. */
static int
counts_in_slots(makefile_state *state, PyObject *sock)
{
    PyTypeObject *type = Py_TYPE(sock), *csocket_type = (PyTypeObject *)state->csocket_type;
    type_memo memo;

    if (state->socket_code == NULL || PyFunction_GET_CODE(state->socket_decref) != state->socket_code) {
        return 0;
    }
    if (type_is_remembered(&state->counts_in_slots, type, csocket_type)) {
        return 1;
    }
    if (!has_class_attributes_only(sock) || type->tp_setattro != PyObject_GenericSetAttr ||
        !PyObject_TypeCheck(sock, csocket_type)) {
        return 0;
    }
    memo = type_memorize(type, csocket_type);
    if (memo.mro == NULL || !has_own_counter(state, type)) {
        return 0;
    }
    state->counts_in_slots = memo;
    return 1;
}

/* What is in the slot: a new reference, or NULL with no exception. */
static PyObject *
slot_get(PyObject *sock, PyObject *descriptor)
{
    PyObject *value = PyMember_GetOne((const char *)sock, ((PyMemberDescrObject *)descriptor)->d_member);

    PyErr_Clear();
    return value;
}

/* sock._io_refs = count */
static int
slots_set_count(makefile_state *state, PyObject *sock, Py_ssize_t count)
{
    PyObject *value = Int_FromSsize_t(count);
    int status =
        value == NULL ? -1 : PyMember_SetOne((char *)sock, ((PyMemberDescrObject *)state->socket_io_refs)->d_member, value);

    Py_XDECREF(value);
    return status;
}

/* Is sock._io_refs a plain int, which counting leaves one? */
static int
slots_get_count(makefile_state *state, PyObject *sock, Py_ssize_t *count)
{
    PyObject *value = slot_get(sock, state->socket_io_refs);
    int plain = value != NULL && exact_int_as_ssize(value, count) && *count < PY_SSIZE_T_MAX;

    Py_XDECREF(value);
    return plain;
}

/* sock._io_refs += 1.  1 if that was done, 0 if it has to be done in the words of Python, -1 with an exception. */
static int
slots_take(makefile_state *state, PyObject *sock)
{
    Py_ssize_t count;

    if (!counts_in_slots(state, sock) || !slots_get_count(state, sock, &count)) {
        return 0;
    }
    return slots_set_count(state, sock, count + 1) < 0 ? -1 : 1;
}

/* sock._decref_socketios().  As above. */
static int
slots_release(makefile_state *state, PyObject *sock)
{
    PyObject *closed, *result;
    Py_ssize_t count;

    if (!counts_in_slots(state, sock) || !slots_get_count(state, sock, &count)) {
        return 0;
    }
    closed = slot_get(sock, state->socket_closed);
    Py_XDECREF(closed); /* only compared */
    if (closed != Py_True && closed != Py_False) {
        return 0;
    }
    if (count > 0 && slots_set_count(state, sock, count - 1) < 0) {
        return -1; /* unreached: a count is a small int */
    }
    if (closed == Py_False) {
        return 1;
    }
    result = PyObject_CallMethodNoArgs(sock, state->str_close);
    Py_XDECREF(result);
    return result == NULL ? -1 : 1;
}
#endif

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

#if !PYTHON2
    if ((status = slots_take(state, sock)) != 0) {
        *kind = REFERENCE_IO_REFS;
        return status < 0 ? -1 : 0;
    }
#endif
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

#if !PYTHON2
    int status = kind == REFERENCE_IO_REFS ? slots_release(state, sock) : 0;

    if (status != 0) {
        return status < 0 ? -1 : 0;
    }
#endif
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
