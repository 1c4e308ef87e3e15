/* stream.c: see stream.h. */
#include "stream.h"

PyObject *
stream_get_field(SocketIO *self, PyObject **field, const char *name)
{
    PyObject *value;

    Py_BEGIN_CRITICAL_SECTION(self);
    value = Py_XNewRef(FIELD_LOAD(*field));
    Py_END_CRITICAL_SECTION();
    if (value == NULL) {
        PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute '%s'",
                     type_name((PyObject *)self), name);
    }
    return value;
}

void
stream_set_field(SocketIO *self, PyObject **field, PyObject *value)
{
    PyObject *old;

    (void)self; /* a GIL guards it, where there is one */
    Py_BEGIN_CRITICAL_SECTION(self);
    old = FIELD_LOAD(*field);
    FIELD_STORE(*field, Py_XNewRef(value));
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old); /* last: it may run any code */
}

int
stream_set_attribute(SocketIO *self, PyObject **field, PyObject *name, PyObject *value)
{
    if (!stream_is_exact(self)) {
        return PyObject_SetAttr((PyObject *)self, name, value);
    }
    stream_set_field(self, field, value);
    return 0;
}

int
stream_closed(SocketIO *self)
{
    PyObject *closed;
    int truth;

    if (stream_is_exact(self)) {
        return FIELD_LOAD(self->closed);
    }
    closed = PyObject_GetAttr((PyObject *)self, self->state->str_closed);
    truth = closed == NULL ? -1 : PyObject_IsTrue(closed);
    Py_XDECREF(closed);
    return truth;
}

/* Calls a method of no arguments for its exceptions. */
static int
call_check(SocketIO *self, PyObject *name)
{
    PyObject *result = PyObject_CallMethodNoArgs((PyObject *)self, name);

    Py_XDECREF(result);
    /* 2.7's own _checkClosed answers, and leaves set what a `closed` of Python code raised. */
    return result == NULL || (PYTHON2 && PyErr_Occurred()) ? -1 : 0;
}

PyObject *
stream_begin_by_name(SocketIO *self, operation wanted)
{
    const makefile_state *state = self->state;

    if (call_check(self, state->str_check_closed) < 0) {
        return NULL;
    }
    if (wanted == OPERATION_WRITE && call_check(self, state->str_check_writable) < 0) {
        return NULL;
    }
    if (wanted == OPERATION_READ) {
        PyObject *occurred;
        int truth;

        if (call_check(self, state->str_check_readable) < 0) {
            return NULL;
        }
        occurred = PyObject_GetAttr((PyObject *)self, state->str_timeout_occurred);
        truth = occurred == NULL ? -1 : PyObject_IsTrue(occurred);
        Py_XDECREF(occurred);
        if (truth > 0) {
            PyErr_SetString(PyExc_IOError, "cannot read from timed out object");
        }
        if (truth != 0) {
            return NULL;
        }
    }
    return PyObject_GetAttr((PyObject *)self, state->str_sock);
}

void
stream_poison(SocketIO *self)
{
    raised_exception raised;

    assert(PyErr_Occurred());
    raised_take(&raised);
    (void)stream_set_attribute(self, &self->timeout_occurred, self->state->str_timeout_occurred,
                               Py_True);
    raised_restore_as_context(&raised);
}

int
stream_is_own_method(SocketIO *self, PyObject *method, PyCFunction function)
{
    return PyCFunction_Check(method) && PyCFunction_GET_FUNCTION(method) == function &&
           PyCFunction_GET_SELF(method) == (PyObject *)self;
}
