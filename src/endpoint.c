/* endpoint.c: see endpoint.h. */
#include "endpoint.h"

#include "paths.h"
#include "tls.h"

/* ---- The look-up ----------------------------------------------------------------------------- */

static inline PyObject *
method_name(const makefile_state *state, operation kind)
{
    return kind == OPERATION_READ ? state->str_recv_into : state->str_send;
}

static inline const PyMethodDef *
own_definition(const makefile_state *state, operation kind)
{
    return kind == OPERATION_READ ? state->csocket.recv_into : state->csocket.send;
}

#if PYTHON2
/* 2.7's socket.socket answers with a dummy once it is closed, while our file goes on: by the C
   socket that we hold, but only if that is what the sock answered with while it was open.  One that
   encrypted in methods of its own has lost them, and the dummy's error is right.  Takes the method
   that the sock answered with, and returns the one to use: a new reference, or NULL with an
   exception. */
static PyObject *
python2_method(SocketIO *self, PyObject *sock, PyObject *method, operation kind)
{
    const unsigned char bit = kind == OPERATION_READ ? 1 : 2;
    const PyMethodDef *own = own_definition(self->state, kind);
    int is_dummy = PyMethod_Check(method) && PyMethod_GET_SELF(method) != NULL &&
                   state_is_python2_closed(PyMethod_GET_SELF(method));

    if (is_dummy) {
        if (self->answered & bit) {
            Py_SETREF(method, PyObject_GetAttr(self->csocket, method_name(self->state, kind)));
        }
    }
    else if (csocket_of_method(&self->state->csocket, method, own) == self->csocket) {
        self->answered |= bit;
    }
    else {
        PyObject *csocket;

        if (object_get_optional_attr(sock, self->state->str_sock, &csocket) == ATTR_ERROR) {
            Py_DECREF(method);
            return NULL;
        }
        if (csocket == self->csocket) { /* still open */
            self->answered &= (unsigned char)~bit;
        }
        Py_XDECREF(csocket);
    }
    return method;
}
#endif

/* sock.recv_into or sock.send: a new reference, or NULL with an exception. */
static PyObject *
get_method(SocketIO *self, PyObject *sock, operation kind)
{
    PyObject *method = PyObject_GetAttr(sock, method_name(self->state, kind));

#if PYTHON2
    if (method != NULL && self->csocket != NULL) {
        method = python2_method(self, sock, method, kind);
    }
#endif
    return method;
}

#if PYTHON2
void
endpoint_learn(SocketIO *self, PyObject *sock)
{
    const operation kinds[] = {OPERATION_READ, OPERATION_WRITE};
    size_t i;

    self->answered = 0;
    for (i = 0; self->csocket != NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        PyObject *method = get_method(self, sock, kinds[i]);

        if (method == NULL) {
            PyErr_Clear(); /* the operation will say it */
        }
        Py_XDECREF(method);
    }
}
#else
void
endpoint_learn(SocketIO *self, PyObject *sock)
{
    (void)self, (void)sock;
}
#endif

/* ---- The argument ---------------------------------------------------------------------------- */

/* Sets the real method's exception for an argument whose `__buffer__`, in Python code, has refused,
   without asking that again: it speaks of the type alone. */
static void
raise_refusal(PyObject *method, PyObject *argument)
{
    const char *name = Py_TYPE(argument)->tp_name;
    PyObject *type = PyObject_CallFunction((PyObject *)&PyType_Type, "s(){}", name);
    PyObject *stand_in = type == NULL ? NULL : PyObject_CallNoArgs(type);
    PyObject *result = stand_in == NULL ? NULL : PyObject_CallOneArg(method, stand_in);

    Py_XDECREF(result);
    Py_XDECREF(stand_in);
    Py_XDECREF(type);
}

/* The kind of endpoint for an argument that the direct path cannot take, with the reason set. */
SELDOM static endpoint_kind
refuse_argument(endpoint *found, SocketIO *self, PyObject *sock, operation kind, PyObject *argument)
{
    if (!PYTHON2 && kind == OPERATION_WRITE) {
        return ENDPOINT_ERROR; /* `send` lets out the same */
    }
    PyErr_Clear();
    if (found->method == NULL && (found->method = get_method(self, sock, kind)) == NULL) {
        return ENDPOINT_ERROR;
    }
    if (has_python_buffer(argument)) {
        raise_refusal(found->method, argument);
        return ENDPOINT_ERROR;
    }
    return ENDPOINT_METHOD;
}

/* The kind of endpoint for this argument, where the sock's method is the interpreter's own. */
static inline endpoint_kind
take_argument(endpoint *found, SocketIO *self, PyObject *sock, operation kind, PyObject *argument)
{
    if (kind == OPERATION_WRITE &&
        PyBytes_CheckExact(argument)) { /* the usual one; the caller holds it */
        found->start = PyBytes_AS_STRING(argument);
        found->nbytes = PyBytes_GET_SIZE(argument);
        return ENDPOINT_DIRECT;
    }
    if (PyObject_GetBuffer(argument, &found->view,
                           kind == OPERATION_READ ? PyBUF_WRITABLE : PyBUF_SIMPLE) < 0) {
        return refuse_argument(found, self, sock, kind, argument);
    }
    found->has_view = 1;
    found->start = found->view.buf;
    found->nbytes = found->view.len;
    return ENDPOINT_DIRECT;
}

endpoint_kind
endpoint_find(endpoint *found, SocketIO *self, PyObject *sock, operation kind, PyObject *buffer)
{
    csocket_knowledge *csocket = &self->state->csocket;

    assert(!PyErr_Occurred());
    found->method = NULL;
    found->has_view = 0;
    found->csocket = sock;
    if (!csocket_methods_are_inherited(csocket, sock)) {
        found->method = get_method(self, sock, kind);
        if (found->method == NULL) {
            return ENDPOINT_ERROR;
        }
        found->csocket =
            csocket_of_method(csocket, found->method, own_definition(self->state, kind));
        if (found->csocket == NULL) {
            return ENDPOINT_METHOD;
        }
    }
    return buffer == NULL ? ENDPOINT_DIRECT : take_argument(found, self, sock, kind, buffer);
}

/* ---- The call -------------------------------------------------------------------------------- */

int
endpoint_error_is(const makefile_state *state, PyObject *number, errno_source source)
{
    raised_exception raised;
    PyObject *value = NULL, *args = NULL;
    int same = 0;

    if (!raised_matches(SOCKET_ERROR_BASE)) {
        return 0;
    }
    raised_take(&raised);
    raised_normalize(&raised);
    if (source == BY_ERRNO) {
        value = PyObject_GetAttr(raised.value, state->str_errno_);
        same = value == NULL ? -1 : 0;
    }
    else if ((args = PyObject_GetAttrString(raised.value, "args")) == NULL) {
        same = -1;
    }
    else if (PyTuple_Check(args) && PyTuple_GET_SIZE(args) > 0) {
        value = Py_NewRef(PyTuple_GET_ITEM(args, 0));
    }
    Py_XDECREF(args);
    if (value != NULL) { /* the interpreter looks whether it is in a set */
        same = PyObject_Hash(value) == -1 ? -1 : PyObject_RichCompareBool(value, number, Py_EQ);
    }
    Py_XDECREF(value);
    raised_restore_as_context(&raised);
    return same < 0 ? 0 : same;
}

PyObject *
endpoint_error_result(SocketIO *self, operation kind)
{
    assert(PyErr_Occurred());
    if (kind == OPERATION_READ) {
        int is_timeout = state_timeout_is_raised(self->state);

        if (is_timeout > 0) {
            stream_poison(self);
        }
        if (is_timeout != 0) {
            return NULL;
        }
    }
    if (!endpoint_error_is(self->state, self->state->would_block_errno, WOULD_BLOCK_SOURCE)) {
        return NULL;
    }
    PyErr_Clear();
    Py_RETURN_NONE;
}

#if RETRIES_DELEGATED_EINTR
/* Has the sock's own timeout, if it tells one, passed since then?  A call that is made again waits
   for all of it again, so that under a timer's signals it would never end. */
static int
timeout_has_passed(const makefile_state *state, PyObject *sock, long long began_ns)
{
    PyObject *gettimeout, *timeout = NULL;
    int passed = 0;

    if (object_get_optional_attr(sock, state->str_gettimeout, &gettimeout) == ATTR_FOUND) {
        timeout = PyObject_CallNoArgs(gettimeout);
        Py_DECREF(gettimeout);
    }
    if (timeout != NULL && PyNumber_Check(timeout)) {
        double timeout_s = PyFloat_AsDouble(timeout);

        passed = !PyErr_Occurred() && (double)(clock_ns() - began_ns) >= timeout_s * 1e9;
    }
    Py_XDECREF(timeout);
    PyErr_Clear(); /* a sock that cannot tell has none */
    return passed;
}
#endif

PyObject *
endpoint_call(SocketIO *self, PyObject *sock, PyObject *method, PyObject *argument, operation kind)
{
#if RETRIES_DELEGATED_EINTR
    long long began_ns = clock_ns();
#else
    (void)sock;
#endif
    if (kind == OPERATION_READ && FIELD_LOAD(self->history.stalled_ns) != 0) {
        FIELD_STORE(self->history.stalled_ns, 0); /* as in transfer_recv */
    }
    for (;;) {
        PyObject *result;

        if (tls_transfer(self->state, method, argument, kind, &result)) {
            if (kind == OPERATION_READ) { /* it may have waited, without the GIL */
                gil_check_next(&self->history.operations);
            }
        }
        else {
            COUNT_PATH(method);
            result = PyObject_CallOneArg(method, argument);
        }
        if (result != NULL) {
            return result;
        }
#if RETRIES_DELEGATED_EINTR
        if (endpoint_error_is(self->state, self->state->interrupted_errno, BY_FIRST_ARGUMENT)) {
            PyErr_Clear();
            if (PyErr_CheckSignals() < 0) {
                return NULL;
            }
            if (!timeout_has_passed(self->state, sock, began_ns)) {
                continue;
            }
            state_raise_timeout(self->state);
        }
#endif
        return endpoint_error_result(self, kind);
    }
}

PyObject *
endpoint_transfer_result(Py_ssize_t nbytes)
{
    assert((nbytes == TRANSFER_ERROR) == (PyErr_Occurred() != NULL));
    if (nbytes >= 0) {
        return Int_FromSsize_t(nbytes);
    }
    return nbytes == TRANSFER_WOULD_BLOCK ? Py_NewRef(Py_None) : NULL;
}
