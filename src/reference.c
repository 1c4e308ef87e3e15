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
/* Is what the type has under each name what the state has, whose keys are plain? */
static int
has_own_counter(const makefile_state *state, PyTypeObject *type)
{
    const struct {
        PyObject *name, *own;
    } used[] = {{state->str_decref_socketios, state->socket_decref},
                {state->str_io_refs, state->socket_io_refs},
                {state->str_closed_, state->socket_closed}};
    int own = 1;
    size_t i;

    for (i = 0; own && i < sizeof used / sizeof used[0]; i++) {
        PyObject *found = type_find(type, used[i].name);

        own = found == used[i].own;
        Py_XDECREF(found); /* only compared */
    }
    return own;
}

/* Does the sock count its files in socket.socket's own slots, with nothing overridden?  Then nobody can tell whether they were read by
   name, nor who counted down. */
static int
counts_in_slots(makefile_state *state, PyObject *sock)
{
    PyTypeObject *type = Py_TYPE(sock), *csocket_type = (PyTypeObject *)state->csocket_type;
    uint64_t version = type_version(type, csocket_type);

    if (state->socket_code == NULL || PyFunction_GET_CODE(state->socket_decref) != state->socket_code) {
        return 0;
    }
    if (version == 0 || version != state->counts_with) {
        if (!has_class_attributes_only(sock) || type->tp_setattro != PyObject_GenericSetAttr ||
            !PyObject_TypeCheck(sock, csocket_type)) {
            return 0;
        }
        type_give_version(type);
        version = type_version(type, csocket_type);
        if (version == 0 || !type_version_tells(type, csocket_type) || !has_own_counter(state, type)) {
            return 0;
        }
        state->counts_with = version;
    }
    return 1;
}

static PyObject *
slot_get(PyObject *sock, PyObject *descriptor)
{
    return PyMember_GetOne((const char *)sock, ((PyMemberDescrObject *)descriptor)->d_member);
}

static int
slot_set(PyObject *sock, PyObject *descriptor, PyObject *value)
{
    return PyMember_SetOne((char *)sock, ((PyMemberDescrObject *)descriptor)->d_member, value);
}

/* sock._io_refs = operation(sock._io_refs, 1) */
static int
slots_count_by(makefile_state *state, PyObject *sock, binaryfunc operation)
{
    PyObject *value = slot_get(sock, state->socket_io_refs);
    PyObject *counted = value == NULL ? NULL : operation(value, state->one);
    int status = counted == NULL ? -1 : slot_set(sock, state->socket_io_refs, counted);

    Py_XDECREF(counted);
    Py_XDECREF(value);
    return status;
}

/* sock._decref_socketios() */
static int
slots_release(makefile_state *state, PyObject *sock)
{
    PyObject *value = slot_get(sock, state->socket_io_refs), *result;
    Py_ssize_t count;
    int truth = value == NULL                       ? -1
                : exact_int_as_ssize(value, &count) ? count > 0
                                                    : PyObject_RichCompareBool(value, state->zero, Py_GT);

    Py_XDECREF(value);
    if (truth < 0 || (truth && slots_count_by(state, sock, PyNumber_InPlaceSubtract) < 0)) {
        return -1;
    }
    value = slot_get(sock, state->socket_closed);
    truth = value == NULL ? -1 : PyObject_IsTrue(value);
    Py_XDECREF(value);
    if (truth <= 0) {
        return truth;
    }
    result = PyObject_CallMethodNoArgs(sock, state->str_close);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
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
    if (counts_in_slots(state, sock)) {
        *kind = REFERENCE_IO_REFS;
        return slots_count_by(state, sock, PyNumber_InPlaceAdd);
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
    if (kind == REFERENCE_IO_REFS && counts_in_slots(state, sock)) {
        return slots_release(state, sock);
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
