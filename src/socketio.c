/* socketio.c: SocketIO, the raw stream over a Python socket object.

   Every read and write goes the same way:

     begin_operation   is the stream open, has it the direction, did no read time out?  Gives the sock.
     endpoint_find     what does the sock answer to `recv_into` or `send` now, whoever put it there?
     transfer_recv, transfer_send
                       if that is the interpreter's own C method, its work is done on the C socket that it is bound to: the
                       direct path
     delegated_call    otherwise it is called: the delegating path

   Nothing about the sock is kept between operations, so nobody can tell the paths apart but by speed.

   The same holds for the stream itself.  Its state is in C fields, which the exact type reads directly; for a subclass, or an
   instance with attributes of its own, each method asks through Python, so that what is overridden is honoured.  `read` and
   `readall` look `readinto` up, and do its work in place only if what came back is ours. */
#include "socketio.h"

#include "reference.h"

typedef struct {
    PyObject_HEAD
    PyObject *dict;        /* the instance dict, or NULL: with weakreflist the layout of _io._RawIOBase */
    PyObject *weakreflist; /* */
    /* All owned.  NULL: not set yet, or deleted.  Any object may be put into them. */
    PyObject *sock;             /* the Python socket object; None once closed */
    PyObject *csocket;          /* 2.7: the C socket that keeps the descriptor open, or NULL */
    PyObject *mode;             /* "rb", "wb", "rwb" */
    PyObject *reading;          /* True, False */
    PyObject *writing;          /* True, False */
    PyObject *timeout_occurred; /* True: no read will be tried again */
    transfer_rest rest;
    char closed;
    char unfinished;         /* makefile() has not succeeded yet: closing takes the count back, and tells nobody */
    char wrapping;           /* a constructor of the interpreter's own Buffered types has it */
    unsigned char reference; /* reference_kind: how the sock counts this file */
    unsigned char own;       /* 2.7: for which method the sock last answered with csocket's own (see python2_method) */
} SocketIO;

/* The owned fields: what the collector sees, and what dies with the stream. */
#define SOCKETIO_FIELDS(X) X(sock) X(csocket) X(mode) X(reading) X(writing) X(timeout_occurred)

static PyObject *socketio_flush(PyObject *op, PyObject *unused);
static PyObject *socketio_readinto(PyObject *op, PyObject *buffer);
FASTCALL_PROTOTYPE(socketio_read);

/* ---- The stream's own state ------------------------------------------------------------------------------------- */

static inline int
is_exact(const SocketIO *self, const makefile_state *state)
{
    return (PyObject *)Py_TYPE(self) == state->socketio_type;
}

/* Can no method of this stream have been overridden, but on SocketIO itself? */
static inline int
is_plain(const SocketIO *self, const makefile_state *state)
{
    return is_exact(self, state) && (self->dict == NULL || PyDict_Size(self->dict) == 0);
}

/* A new reference to the field, or NULL with AttributeError, as for an attribute of that name. */
static PyObject *
field_get(SocketIO *self, PyObject **field, const char *name)
{
    PyObject *value;

    Py_BEGIN_CRITICAL_SECTION(self);
    value = Py_XNewRef(FIELD_LOAD(*field));
    Py_END_CRITICAL_SECTION();
    if (value == NULL) {
        PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute '%s'", type_name((PyObject *)self), name);
    }
    return value;
}

/* Sets the field to a new reference to value (NULL deletes it); what was in it goes last, since that may run any code. */
static void
field_set(SocketIO *self, PyObject **field, PyObject *value)
{
    PyObject *old;

    (void)self; /* a GIL guards it, where there is one */
    Py_BEGIN_CRITICAL_SECTION(self);
    old = FIELD_LOAD(*field);
    FIELD_STORE(*field, Py_XNewRef(value));
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
}

/* What Python's `self.name = value` does, without the detour for the exact type. */
static int
attribute_set(SocketIO *self, const makefile_state *state, PyObject **field, PyObject *name, PyObject *value)
{
    if (!is_exact(self, state)) {
        return PyObject_SetAttr((PyObject *)self, name, value);
    }
    field_set(self, field, value);
    return 0;
}

/* `self.closed` as Python sees it: 0, 1, or -1 with an exception. */
static int
stream_closed(SocketIO *self, const makefile_state *state)
{
    PyObject *closed;
    int truth;

    if (is_exact(self, state)) {
        return FIELD_LOAD(self->closed);
    }
    closed = PyObject_GetAttr((PyObject *)self, state->str_closed);
    truth = closed == NULL ? -1 : PyObject_IsTrue(closed);
    Py_XDECREF(closed);
    return truth;
}

/* Calls a method of no arguments for its exceptions. */
static int
call_check(PyObject *self, PyObject *name)
{
    PyObject *result = PyObject_CallMethodNoArgs(self, name);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

typedef enum { OPERATION_READ, OPERATION_WRITE, OPERATION_ANY } operation;

/* begin_operation for a stream that is not plain, or not fit for it: asks as the interpreter's own does, in its order, so
   that its words come out. */
SELDOM static PyObject *
begin_operation_by_name(SocketIO *self, const makefile_state *state, operation wanted)
{
    if (call_check((PyObject *)self, state->str_check_closed) < 0) {
        return NULL;
    }
    if (wanted == OPERATION_WRITE && call_check((PyObject *)self, state->str_check_writable) < 0) {
        return NULL;
    }
    if (wanted == OPERATION_READ) {
        PyObject *occurred;
        int truth;

        if (call_check((PyObject *)self, state->str_check_readable) < 0) {
            return NULL;
        }
        occurred = PyObject_GetAttr((PyObject *)self, state->str_timeout_occurred);
        truth = occurred == NULL ? -1 : PyObject_IsTrue(occurred);
        Py_XDECREF(occurred);
        if (truth != 0) {
            if (truth > 0) {
                PyErr_SetString(PyExc_IOError, "cannot read from timed out object");
            }
            return NULL;
        }
    }
    return PyObject_GetAttr((PyObject *)self, state->str_sock);
}

/* A new reference to the sock if the stream may do what is wanted, else NULL with the interpreter's own exception. */
static inline PyObject *
begin_operation(SocketIO *self, const makefile_state *state, operation wanted)
{
    PyObject *sock = NULL;

    Py_BEGIN_CRITICAL_SECTION(self);
    if (is_plain(self, state) && !FIELD_LOAD(self->closed)) {
        int fit = 1;

        if (wanted == OPERATION_READ) {
            fit = FIELD_LOAD(self->reading) == Py_True && FIELD_LOAD(self->timeout_occurred) == Py_False;
        }
        else if (wanted == OPERATION_WRITE) {
            fit = FIELD_LOAD(self->writing) == Py_True;
        }
        if (fit) {
            sock = Py_XNewRef(FIELD_LOAD(self->sock));
        }
    }
    Py_END_CRITICAL_SECTION();
    return sock != NULL ? sock : begin_operation_by_name(self, state, wanted);
}

/* After a read timed out no later one is tried: some of a message may be lost.  Keeps the exception that is set. */
static void
poison(SocketIO *self, const makefile_state *state)
{
    raised_exception raised;

    raised_take(&raised);
    (void)attribute_set(self, state, &self->timeout_occurred, state->str_timeout_occurred, Py_True);
    raised_restore_as_context(&raised);
}

/* ---- The sock's methods ----------------------------------------------------------------------------------------- */

/* What the sock answers to a method's name: something to call, or the C socket that the interpreter's own C method of that name
   would work on, so that its work can be done directly.  Both NULL: an exception is set. */
typedef struct {
    PyObject *method;  /* owned; NULL when it did not have to be made */
    PyObject *csocket; /* borrowed from the sock or the method; NULL: call the method */
} endpoint;

static inline int
endpoint_failed(endpoint found)
{
    return found.method == NULL && found.csocket == NULL;
}

/* The C socket that the method is bound to, borrowed, if it is the interpreter's own; else NULL. */
static PyObject *
method_csocket(PyObject *method, const csocket_method *own)
{
    return PyCFunction_Check(method) && ((PyCFunctionObject *)method)->m_ml == own->definition ? PyCFunction_GET_SELF(method)
                                                                                               : NULL;
}

#if PYTHON2
/* 2.7's socket.socket answers with a dummy once it is closed, while our file goes on: by the C socket that we hold, but only if that
   is what the sock answered with while it was open.  One that encrypted in methods of its own has lost them, and the dummy's error is
   right.  Takes the method that the sock answered with, and returns the one to use: a new reference, or NULL with an exception. */
static PyObject *
python2_method(PyObject *method, SocketIO *self, const makefile_state *state, PyObject *sock, PyObject *name,
               const csocket_method *own)
{
    const unsigned char bit = own == &state->transfer.methods.recv_into ? 1 : 2;

    if (PyMethod_Check(method) && PyMethod_GET_FUNCTION(method) == state->python2_dummy) {
        if (self->own & bit) {
            PyObject *dummy = method;

            method = PyObject_GetAttr(self->csocket, name);
            Py_DECREF(dummy);
        }
    }
    else if (method_csocket(method, own) == self->csocket) {
        self->own |= bit;
    }
    else {
        PyObject *csocket = PyObject_GetAttr(sock, state->str_sock);

        if (csocket == self->csocket) { /* still open */
            self->own &= (unsigned char)~bit;
        }
        PyErr_Clear();
        Py_XDECREF(csocket);
    }
    return method;
}
#endif

/* Would Python bind the C socket type's own method to the sock, whose classes nobody can change behind the interpreter's back?  Then
   the binding can be spared. */
SELDOM static int
search_own_method(const makefile_state *state, PyObject *sock, PyObject *name, csocket_method *own)
{
    PyTypeObject *type = Py_TYPE(sock), *csocket_type = (PyTypeObject *)state->csocket_type;
    type_memo memo;
    int found;

    if (!has_class_attributes_only(sock) || !PyObject_TypeCheck(sock, csocket_type)) {
        return 0;
    }
    memo = type_memorize(type, csocket_type);
    Py_XDECREF(type_find_before(type, csocket_type, name, &found));
    if (found != 0) {
        return 0;
    }
    own->heir = memo;
    return 1;
}

/* The same, without a search if the sock's type is the one that was searched last. */
static inline int
inherits_own_method(const makefile_state *state, PyObject *sock, PyObject *name, csocket_method *own)
{
    return type_is_remembered(&own->heir, Py_TYPE(sock), (PyTypeObject *)state->csocket_type) ||
           search_own_method(state, sock, name, own);
}

/* endpoint_find for a method that has to be bound. */
SELDOM static endpoint
endpoint_bind(SocketIO *self, const makefile_state *state, PyObject *sock, PyObject *name, csocket_method *own)
{
    endpoint found = {PyObject_GetAttr(sock, name), NULL};

#if PYTHON2
    if (found.method != NULL && self->csocket != NULL) {
        found.method = python2_method(found.method, self, state, sock, name, own);
    }
#else
    (void)self, (void)state;
#endif
    if (HAVE_DIRECT_PATH && found.method != NULL) {
        found.csocket = method_csocket(found.method, own);
    }
    return found;
}

/* Looks `name` up on the sock exactly as Python would. */
static inline endpoint
endpoint_find(SocketIO *self, const makefile_state *state, PyObject *sock, PyObject *name, csocket_method *own)
{
    endpoint found = {NULL, sock};

    return HAVE_DIRECT_PATH && inherits_own_method(state, sock, name, own) ? found
                                                                           : endpoint_bind(self, state, sock, name, own);
}

/* The method itself, when its work cannot be done directly after all: to be kept in the endpoint, whose reference it is; or NULL with an
   exception. */
static PyObject *
endpoint_method(endpoint found, PyObject *sock, PyObject *name)
{
    return found.method != NULL ? found.method : PyObject_GetAttr(sock, name);
}

/* Is this our own C function, bound to this very stream? */
static int
is_own_method(PyObject *method, SocketIO *self, PyCFunction function)
{
    return PyCFunction_Check(method) && PyCFunction_GET_FUNCTION(method) == function &&
           PyCFunction_GET_SELF(method) == (PyObject *)self;
}

typedef enum { BY_ERRNO, BY_FIRST_ARGUMENT } errno_source;

/* Is the exception that is set, and stays set, an error of the system with this number? */
static int
error_has_errno(const makefile_state *state, PyObject *number, errno_source source)
{
    raised_exception raised;
    PyObject *value = NULL;
    int same = 0;

    if (!raised_matches(SOCKET_ERROR_BASE)) {
        return 0;
    }
    raised_take(&raised);
    raised_normalize(&raised);
    if (source == BY_ERRNO) {
        value = PyObject_GetAttr(raised.value, state->str_errno_);
    }
    else {
        PyObject *args = PyObject_GetAttrString(raised.value, "args");

        if (args != NULL && PyTuple_Check(args) && PyTuple_GET_SIZE(args) > 0) {
            value = Py_NewRef(PyTuple_GET_ITEM(args, 0));
        }
        Py_XDECREF(args);
    }
    if (value != NULL) {
        same = PyObject_RichCompareBool(value, number, Py_EQ) > 0;
        Py_DECREF(value);
    }
    PyErr_Clear();
    raised_restore(&raised);
    return same;
}

/* Does the exception that came out of the sock say that it would block?  Then it is cleared.  Otherwise it stays set, and a time-out
   of a read has poisoned the stream. */
static int
error_would_block(SocketIO *self, const makefile_state *state, operation kind)
{
    if (kind == OPERATION_READ && raised_matches(state->timeout_error)) {
        poison(self, state);
        return 0;
    }
    if (!error_has_errno(state, state->would_block_errno, WOULD_BLOCK_SOURCE)) {
        return 0;
    }
    PyErr_Clear();
    return 1;
}

/* The result of an operation that the sock ended with an exception: a new reference to None, or NULL with the exception. */
static PyObject *
error_result(SocketIO *self, const makefile_state *state, operation kind)
{
    return error_would_block(self, state, kind) ? Py_NewRef(Py_None) : NULL;
}

#if RETRIES_DELEGATED_EINTR
/* Has the sock's own timeout, if it tells one, passed since then?  A call that is made again waits for all of it again, so that
   under a timer's signals it would never end. */
static int
timeout_has_passed(const makefile_state *state, PyObject *sock, long long began_ns)
{
    int found, passed = 0;
    PyObject *gettimeout = object_get_optional_attr(sock, state->str_gettimeout, &found);
    PyObject *timeout = gettimeout == NULL ? NULL : PyObject_CallNoArgs(gettimeout);

    if (timeout != NULL && PyNumber_Check(timeout)) {
        double timeout_s = PyFloat_AsDouble(timeout);

        passed = !PyErr_Occurred() && (double)(transfer_clock_ns() - began_ns) >= timeout_s * 1e9;
    }
    Py_XDECREF(timeout);
    Py_XDECREF(gettimeout);
    PyErr_Clear();
    return passed;
}
#endif

/* method(argument) of the sock, whose result is passed on untouched; a new reference to None when it says that it would block; or
   NULL with its exception. */
static PyObject *
delegated_call(SocketIO *self, const makefile_state *state, PyObject *sock, PyObject *method, PyObject *argument,
               operation kind)
{
#if RETRIES_DELEGATED_EINTR
    long long began_ns = transfer_clock_ns();
#else
    (void)sock;
#endif
    for (;;) {
        PyObject *result = PyObject_CallOneArg(method, argument);

        if (result != NULL) {
            return result;
        }
#if RETRIES_DELEGATED_EINTR
        if (error_has_errno(state, state->interrupted_errno, BY_FIRST_ARGUMENT)) {
            PyErr_Clear();
            if (PyErr_CheckSignals() < 0) {
                return NULL; /* unreached: a fake is Python code, in which the handler has run before */
            }
            if (!timeout_has_passed(state, sock, began_ns)) {
                continue;
            }
            PyErr_SetString(state->timeout_error, "timed out");
        }
#endif
        return error_result(self, state, kind);
    }
}

/* The last thing that a method does before it returns None for "would block": BufferedWriter reads errno after the call. */
static PyObject *
with_errno(PyObject *result)
{
    if (result == Py_None) {
        errno = EAGAIN;
    }
    return result;
}

/* 1: the memory that the direct path can use, to be released.  0, with no exception: the real method takes the argument in its own
   way, or has its own word for what is wrong with it, whatever that is: `recv_into`.  -1, with the exception that the real method would
   let out, a `__buffer__`'s in Python code (3.12) for one: `send`. */
static int
endpoint_buffer(PyObject *buffer, Py_buffer *view, int flags)
{
    if (flags == PyBUF_SIMPLE &&
        PyBytes_CheckExact(buffer)) { /* the usual one to write, which its owner's reference keeps as it is */
        view->obj = NULL;
        view->buf = PyBytes_AS_STRING(buffer);
        view->len = PyBytes_GET_SIZE(buffer);
        return 1;
    }
    if (PyObject_GetBuffer(buffer, view, flags) == 0) {
        return 1;
    }
    if (!PYTHON2 && flags == PyBUF_SIMPLE) {
        return -1; /* `send` has no words of its own */
    }
    PyErr_Clear();
    return 0;
}

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

/* transfer_recv for this stream: a time-out poisons it. */
static inline Py_ssize_t
direct_recv(SocketIO *self, makefile_state *state, PyObject *csocket, void *buffer, Py_ssize_t nbytes)
{
    Py_ssize_t received = transfer_recv(&state->transfer, csocket, buffer, nbytes, &self->rest);

    if (received == TRANSFER_ERROR && raised_matches(state->timeout_error)) {
        poison(self, state);
    }
    return received;
}

/* A new reference to an int for a transfer's outcome, to None for "would block", or NULL with an exception. */
static inline PyObject *
transfer_result(Py_ssize_t nbytes)
{
    if (nbytes >= 0) {
        return Int_FromSsize_t(nbytes);
    }
    return nbytes == TRANSFER_WOULD_BLOCK ? with_errno(Py_NewRef(Py_None)) : NULL;
}

PyDoc_STRVAR(readinto_doc,
             "readinto($self, buffer, /)\n--\n\n"
             "Receive once, into a writable bytes-like object.\n"
             "\n"
             "buffer: where the bytes go; at most len(buffer) in bytes are received.\n"
             "Returns the number of bytes, 0 at the end of the stream, or None if the socket is\n"
             "non-blocking and nothing is there.\n"
             "Raises ValueError if the file is closed, io.UnsupportedOperation (2.7: IOError) if it\n"
             "is not open for reading, socket.timeout when the socket's timeout, in seconds, has\n"
             "passed, OSError (2.7: IOError) at every read after that, and the socket's own errors.\n"
             "**Source:** socket.SocketIO.readinto of CPython 3.13, Lib/socket.py.");

static PyObject *
socketio_readinto(PyObject *op, PyObject *buffer)
{
    SocketIO *self = (SocketIO *)op;
    makefile_state *state = state_of(Py_TYPE(op));
    PyObject *sock, *result = NULL;
    endpoint recv_into;
    Py_buffer view;
    int direct;

    if (state == NULL || transfer_begin(&state->transfer) < 0 ||
        (sock = begin_operation(self, state, OPERATION_READ)) == NULL) {
        return NULL;
    }
    recv_into = endpoint_find(self, state, sock, state->str_recv_into, &state->transfer.methods.recv_into);
    direct = recv_into.csocket == NULL ? 0 : endpoint_buffer(buffer, &view, PyBUF_WRITABLE);
    if (direct > 0) {
        Py_ssize_t received = direct_recv(self, state, recv_into.csocket, view.buf, view.len);

        PyBuffer_Release(&view);
        Py_XDECREF(recv_into.method);
        Py_DECREF(sock);
        return transfer_result(received);
    }
    if (endpoint_failed(recv_into)) {
        result = error_result(self, state, OPERATION_READ);
    }
    else if ((recv_into.method = endpoint_method(recv_into, sock, state->str_recv_into)) != NULL) {
        result = delegated_call(self, state, sock, recv_into.method, buffer, OPERATION_READ);
    }
    Py_XDECREF(recv_into.method);
    Py_DECREF(sock);
    return with_errno(result);
}

/* The bytes that a readinto(scratch), which returned `result`, has put into the bytearray: a new reference, None for None, or NULL
   with an exception. */
static PyObject *
bytes_from_readinto(PyObject *scratch, PyObject *result)
{
    Py_ssize_t nbytes;

    if (result == Py_None) {
        return Py_NewRef(result);
    }
    nbytes = PyNumber_AsSsize_t(result, PyExc_ValueError);
    if (nbytes == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (nbytes < 0 || nbytes > PyByteArray_GET_SIZE(scratch)) {
        PyErr_Format(PyExc_ValueError, "readinto returned %zd outside buffer size %zd", nbytes, PyByteArray_GET_SIZE(scratch));
        return NULL;
    }
    return PyBytes_FromStringAndSize(PyByteArray_AS_STRING(scratch), nbytes);
}

/* The bytes of one read of up to nbytes through a method that is not ours to look into: `recv_into` of this sock, or, with NULL,
   somebody's `readinto`.  A new reference, to None if that gave None; or NULL with an exception. */
static PyObject *
read_through(SocketIO *self, const makefile_state *state, PyObject *sock, PyObject *method, Py_ssize_t nbytes)
{
    PyObject *scratch = PyByteArray_FromStringAndSize(NULL, nbytes);
    PyObject *count, *result = NULL;

    if (scratch == NULL) {
        return NULL;
    }
    count = sock != NULL ? delegated_call(self, state, sock, method, scratch, OPERATION_READ)
                         : PyObject_CallOneArg(method, scratch);
    if (count != NULL) {
        result = bytes_from_readinto(scratch, count);
        Py_DECREF(count);
    }
    Py_DECREF(scratch);
    return result;
}

/* What `read` and `readall` collect: bytes received straight into the object that they return. */
typedef struct {
    PyObject *bytes; /* owned, NULL while nothing was asked for; its size is the room there is */
    Py_ssize_t used;
} collected;

typedef enum { COLLECT_SOME, COLLECT_END, COLLECT_NONE, COLLECT_ERROR } collect_outcome;

/* Makes room for nbytes more; the room at least doubles when it is renewed, so that all copies together cost no more than one. */
static int
collected_reserve(collected *self, Py_ssize_t nbytes)
{
    Py_ssize_t room;

    if (self->bytes == NULL) {
        self->bytes = PyBytes_FromStringAndSize(NULL, nbytes);
        return self->bytes == NULL ? -1 : 0;
    }
    room = PyBytes_GET_SIZE(self->bytes);
    if (room - self->used >= nbytes) {
        return 0;
    }
    if (room > PY_SSIZE_T_MAX / 2 - nbytes) { /* unreached: there is not so much memory */
        PyErr_NoMemory();
        return -1;
    }
    return bytes_resize(&self->bytes, room + (room > nbytes ? room : nbytes));
}

/* Appends a bytes object that came by another way. */
static collect_outcome
collected_append(collected *self, PyObject *data)
{
    Py_ssize_t nbytes;

    if (data == Py_None) {
        return COLLECT_NONE;
    }
    if (!PyBytes_Check(data)) {
        PyErr_SetString(PyExc_TypeError, "read() should return bytes");
        return COLLECT_ERROR;
    }
    nbytes = PyBytes_GET_SIZE(data);
    if (nbytes == 0) {
        return COLLECT_END;
    }
    if (collected_reserve(self, nbytes) < 0) {
        return COLLECT_ERROR;
    }
    memcpy(PyBytes_AS_STRING(self->bytes) + self->used, PyBytes_AS_STRING(data), (size_t)nbytes);
    self->used += nbytes;
    return COLLECT_SOME;
}

/* The bytes object, cut to what was received: a new reference, or NULL with an exception. */
static PyObject *
collected_finish(collected *self)
{
    PyObject *bytes = self->bytes;

    self->bytes = NULL;
    if (bytes == NULL) {
        return PyBytes_FromStringAndSize(NULL, 0);
    }
    if (self->used != PyBytes_GET_SIZE(bytes)) {
        (void)bytes_resize(&bytes, self->used); /* sets it to NULL when it fails */
    }
    return bytes;
}

/* One read with our own readinto in place: of at least nbytes if `all`, else of at most nbytes. */
static collect_outcome
collect_own(SocketIO *self, makefile_state *state, collected *into, Py_ssize_t nbytes, int all)
{
    collect_outcome outcome = COLLECT_ERROR;
    endpoint recv_into = {NULL, NULL};
    PyObject *data, *sock = NULL;

    if (transfer_begin(&state->transfer) < 0 || (sock = begin_operation(self, state, OPERATION_READ)) == NULL) {
        goto done;
    }
    recv_into = endpoint_find(self, state, sock, state->str_recv_into, &state->transfer.methods.recv_into);
    if (endpoint_failed(recv_into)) {
        outcome = error_would_block(self, state, OPERATION_READ) ? COLLECT_NONE : COLLECT_ERROR;
        goto done;
    }
    if (recv_into.csocket != NULL) {
        Py_ssize_t received;

        if (collected_reserve(into, nbytes) < 0) {
            goto done;
        }
        if (all) {
            nbytes = PyBytes_GET_SIZE(into->bytes) - into->used;
        }
        received = direct_recv(self, state, recv_into.csocket, PyBytes_AS_STRING(into->bytes) + into->used, nbytes);
        if (received != TRANSFER_ERROR) {
            into->used += received > 0 ? received : 0;
            outcome = received > 0 ? COLLECT_SOME : received == 0 ? COLLECT_END : COLLECT_NONE;
        }
    }
    else if ((data = read_through(self, state, sock, recv_into.method, nbytes)) != NULL) {
        outcome = collected_append(into, data);
        Py_DECREF(data);
    }
done:
    Py_XDECREF(recv_into.method);
    Py_XDECREF(sock);
    return outcome;
}

/* One read of up to nbytes through whatever `readinto` is now. */
static collect_outcome
collect_readinto(SocketIO *self, makefile_state *state, collected *into, Py_ssize_t nbytes, int all)
{
    collect_outcome outcome = COLLECT_ERROR;
    PyObject *readinto = PyObject_GetAttr((PyObject *)self, state->str_readinto);
    PyObject *data;

    if (readinto == NULL) {
        return COLLECT_ERROR;
    }
    if (is_own_method(readinto, self, socketio_readinto)) {
        outcome = collect_own(self, state, into, nbytes, all);
    }
    else if ((data = read_through(self, state, NULL, readinto, nbytes)) != NULL) {
        outcome = collected_append(into, data);
        Py_DECREF(data);
    }
    Py_DECREF(readinto);
    return outcome;
}

/* One read of readall(), through whatever `read` is now. */
static collect_outcome
collect_read(SocketIO *self, makefile_state *state, collected *into)
{
    collect_outcome outcome = COLLECT_ERROR;
    PyObject *read = PyObject_GetAttr((PyObject *)self, state->str_read);
    PyObject *nbytes, *data;

    if (read == NULL) {
        return COLLECT_ERROR;
    }
    if (is_own_method(read, self, (PyCFunction)(void (*)(void))socketio_read_method)) {
        outcome = collect_readinto(self, state, into, state->chunk_nbytes, 1);
    }
    else if ((nbytes = Int_FromSsize_t(state->chunk_nbytes)) != NULL) {
        data = PyObject_CallOneArg(read, nbytes);
        Py_DECREF(nbytes);
        if (data != NULL) {
            outcome = collected_append(into, data);
            Py_DECREF(data);
        }
    }
    Py_DECREF(read);
    return outcome;
}

PyDoc_STRVAR(read_doc,
             "read($self, size=-1, /)\n--\n\n"
             "Receive once, at most size bytes; without a size, or with -1, all that comes.\n"
             "\n"
             "size: an int, in bytes.\n"
             "Returns bytes, b'' at the end of the stream, or None if the socket is non-blocking and\n"
             "nothing is there.  Raises what readinto() raises, and MemoryError.\n"
             "**Source:** io.RawIOBase.read of CPython 3.13, Modules/_io/iobase.c.");

static PyObject *
socketio_read(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    makefile_state *state = state_of(Py_TYPE(op));
    collected into = {NULL, 0};
    PyObject *result = NULL;
    Py_ssize_t size = -1;

    if (state == NULL) {
        return NULL; /* unreached: see state_of */
    }
    if (nargs > 1 || (nargs == 1 && !exact_int_as_ssize(args[0], &size))) {
        /* Not the common call: the interpreter's own judges the arguments, and calls our readinto or readall. */
        PyObject *all_args = PyTuple_New(nargs + 1);
        Py_ssize_t i;

        if (all_args == NULL) {
            return NULL; /* unreached: small tuples have a free list */
        }
        PyTuple_SET_ITEM(all_args, 0, Py_NewRef(op));
        for (i = 0; i < nargs; i++) {
            PyTuple_SET_ITEM(all_args, i + 1, Py_NewRef(args[i]));
        }
        result = PyObject_CallObject(state->raw_read, all_args);
        Py_DECREF(all_args);
        return result;
    }
    if (size < 0) {
        return with_errno(PyObject_CallMethodNoArgs(op, state->str_readall));
    }
    if (size > PY_SSIZE_T_MAX - 4096) {
        return PyErr_NoMemory(); /* bytes would call it an overflow */
    }
    switch (collect_readinto((SocketIO *)op, state, &into, size, 0)) {
        case COLLECT_SOME:
        case COLLECT_END:
            result = collected_finish(&into);
            break;
        case COLLECT_NONE:
            result = Py_NewRef(Py_None);
            break;
        case COLLECT_ERROR:
            break;
    }
    Py_XDECREF(into.bytes);
    return with_errno(result);
}

FASTCALL_METHOD(socketio_read)

PyDoc_STRVAR(readall_doc,
             "readall($self, /)\n--\n\n"
             "Receive until the end of the stream.\n"
             "\n"
             "Returns bytes: all that came before the end, or before a non-blocking socket had nothing\n"
             "more; None if it had nothing at all.  Raises what readinto() raises; what was received\n"
             "before is then lost.\n"
             "**Source:** io.RawIOBase.readall of CPython 3.13, Modules/_io/iobase.c.");

static PyObject *
socketio_readall(PyObject *op, PyObject *unused)
{
    makefile_state *state = state_of(Py_TYPE(op));
    collected into = {NULL, 0};
    collect_outcome outcome;
    PyObject *result = NULL;

    (void)unused;
    if (state == NULL) {
        return NULL; /* unreached: see state_of */
    }
    for (;;) {
        outcome = collect_read((SocketIO *)op, state, &into);
        if (outcome == COLLECT_ERROR && error_has_errno(state, state->interrupted_errno, BY_ERRNO)) {
            PyErr_Clear(); /* a fake's: the interpreter's own goes on after it here, and only here */
        }
        else if (outcome != COLLECT_SOME) {
            break;
        }
    }
    if (outcome == COLLECT_NONE && into.used == 0) {
        result = Py_NewRef(Py_None);
    }
    else if (outcome != COLLECT_ERROR) {
        result = collected_finish(&into);
    }
    Py_XDECREF(into.bytes);
    return with_errno(result);
}

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

/* The number of bytes in what sendall() is given, or -1 with an exception if it is no buffer. */
static Py_ssize_t
buffer_nbytes(PyObject *buffer)
{
    Py_buffer view;
    Py_ssize_t nbytes;

    if (PyObject_GetBuffer(buffer, &view, PyBUF_FULL_RO) == 0) {
        nbytes = view.len;
        PyBuffer_Release(&view);
        return nbytes;
    }
#if PYTHON2
    {
        const void *start;

        PyErr_Clear();
        if (PyUnicode_Check(buffer)) { /* a socket takes it in the default encoding */
            PyObject *encoded = PyUnicode_AsEncodedString(buffer, NULL, NULL);

            nbytes = encoded == NULL ? -1 : PyString_GET_SIZE(encoded);
            Py_XDECREF(encoded);
            return nbytes;
        }
        if (PyObject_AsReadBuffer(buffer, &start, &nbytes) == 0) { /* array.array, buffer */
            return nbytes;
        }
    }
#endif
    return -1;
}

/* write() for a sock that has no `send`: sendall(buffer), and then all of it was taken.  It is never called again, since how much
   went out before an error is unknown.  What is no buffer is for sendall to refuse. */
static PyObject *
write_by_sendall(const makefile_state *state, PyObject *sendall, PyObject *buffer)
{
    Py_ssize_t nbytes = buffer_nbytes(buffer); /* first: sendall may run code that changes it */
    raised_exception no_buffer;
    PyObject *result;

    raised_take(&no_buffer);
    result = PyObject_CallOneArg(sendall, buffer);
    if (result == NULL) {
        raised_drop(&no_buffer);
        if (error_has_errno(state, state->would_block_errno, WOULD_BLOCK_SOURCE)) {
            PyErr_Clear();
            Py_RETURN_NONE;
        }
        return NULL;
    }
    Py_DECREF(result);
    if (nbytes < 0) {
        raised_restore(&no_buffer);
        return NULL;
    }
    return Int_FromSsize_t(nbytes);
}

/* write() through the `send` that the sock answered with, whose reference it takes. */
static inline PyObject *
write_by_send(SocketIO *self, makefile_state *state, PyObject *sock, endpoint send, PyObject *buffer)
{
    PyObject *result = NULL;
    Py_buffer view;
    int direct = send.csocket == NULL ? 0 : endpoint_buffer(buffer, &view, PyBUF_SIMPLE);

    if (direct > 0) {
        Py_ssize_t sent = transfer_send(&state->transfer, send.csocket, view.buf, view.len, &self->rest);

        PyBuffer_Release(&view);
        Py_XDECREF(send.method);
        return transfer_result(sent);
    }
    if (direct < 0) {
        result = error_result(self, state, OPERATION_WRITE);
    }
    else if ((send.method = endpoint_method(send, sock, state->str_send)) != NULL) {
        result = delegated_call(self, state, sock, send.method, buffer, OPERATION_WRITE);
    }
    Py_XDECREF(send.method);
    return result;
}

/* Is it for want of a `send` that the look-up failed, whose exception was taken?  Not if there is one that is not ready, as before a
   handshake; and a socket of the interpreter's has one.  -1 with another exception. */
static int
lacks_send(const makefile_state *state, PyObject *sock)
{
    int found;
    PyObject *send;

    if (PyObject_TypeCheck(sock, (PyTypeObject *)state->csocket_type) ||
        (PYTHON2 && PyObject_TypeCheck(sock, (PyTypeObject *)state->python2_socket))) {
        return 0;
    }
    send = object_get_optional_attr((PyObject *)Py_TYPE(sock), state->str_send, &found);
    Py_XDECREF(send);
    return found < 0 ? -1 : !found;
}

PyDoc_STRVAR(write_doc,
             "write($self, buffer, /)\n--\n\n"
             "Send a bytes-like object.\n"
             "\n"
             "Returns the number of bytes that were taken, or None if the socket is non-blocking and\n"
             "takes none.  On the interpreter's own C socket all are sent, unless it would block, its\n"
             "timeout, in seconds for the whole, passes, or a signal comes: then the count tells how many.\n"
             "Any other socket gets one send(buffer), whose result is returned, or sendall(buffer) if it\n"
             "has no send.\n"
             "Raises ValueError if the file is closed, io.UnsupportedOperation (2.7: IOError) if it is not\n"
             "open for writing, socket.timeout, and the socket's own errors, all only when nothing was sent.\n"
             "**Source:** socket.SocketIO.write and socket.socket.sendall of CPython 3.13.");

static PyObject *
socketio_write(PyObject *op, PyObject *buffer)
{
    SocketIO *self = (SocketIO *)op;
    makefile_state *state = state_of(Py_TYPE(op));
    PyObject *sock, *result = NULL;
    endpoint send;

    if (state == NULL || transfer_begin(&state->transfer) < 0 ||
        (sock = begin_operation(self, state, OPERATION_WRITE)) == NULL) {
        return NULL;
    }
    send = endpoint_find(self, state, sock, state->str_send, &state->transfer.methods.send);
    if (!endpoint_failed(send)) {
        result = write_by_send(self, state, sock, send, buffer);
    }
    else if (raised_matches(PyExc_AttributeError)) {
        raised_exception no_send;
        PyObject *sendall = NULL;
        int found;

        raised_take(&no_send);
        if (lacks_send(state, sock) > 0) {
            sendall = object_get_optional_attr(sock, state->str_sendall, &found);
        }
        if (sendall != NULL) {
            raised_drop(&no_send);
            result = write_by_sendall(state, sendall, buffer);
            Py_DECREF(sendall);
        }
        else {
            raised_restore_as_context(&no_send);
        }
    }
    else {
        result = error_result(self, state, OPERATION_WRITE);
    }
    Py_DECREF(sock);
    return with_errno(result);
}

/* ---- Being asked ------------------------------------------------------------------------------------------------ */

/* `readable`, `writable`: what the field holds, once it is clear that the stream is open. */
static PyObject *
direction_get(SocketIO *self, int for_reading)
{
    makefile_state *state = state_of(Py_TYPE(self));
    int closed = state == NULL ? -1 : stream_closed(self, state);

    if (closed != 0) {
        if (closed > 0) {
            PyErr_SetString(PyExc_ValueError, "I/O operation on closed socket.");
        }
        return NULL;
    }
    if (!is_exact(self, state)) {
        return PyObject_GetAttr((PyObject *)self, for_reading ? state->str_reading : state->str_writing);
    }
    return for_reading ? field_get(self, &self->reading, "_reading") : field_get(self, &self->writing, "_writing");
}

PyDoc_STRVAR(readable_doc,
             "readable($self, /)\n--\n\n"
             "Return True if the file was opened for reading.  Raises ValueError if it is closed.\n"
             "**Source:** socket.SocketIO.readable of CPython 3.13.");

static PyObject *
socketio_readable(PyObject *op, PyObject *unused)
{
    (void)unused;
    return direction_get((SocketIO *)op, 1);
}

PyDoc_STRVAR(writable_doc,
             "writable($self, /)\n--\n\n"
             "Return True if the file was opened for writing.  Raises ValueError if it is closed.\n"
             "**Source:** socket.SocketIO.writable of CPython 3.13.");

static PyObject *
socketio_writable(PyObject *op, PyObject *unused)
{
    (void)unused;
    return direction_get((SocketIO *)op, 0);
}

PyDoc_STRVAR(seekable_doc,
             "seekable($self, /)\n--\n\n"
             "Return False.  Raises ValueError if the file is closed.\n"
             "**Source:** socket.SocketIO.seekable of CPython 3.13.");

static PyObject *
socketio_seekable(PyObject *op, PyObject *unused)
{
    makefile_state *state = state_of(Py_TYPE(op));
    int closed = state == NULL ? -1 : stream_closed((SocketIO *)op, state);

    (void)unused;
    if (closed < 0) {
        return NULL;
    }
    if (closed) {
        PyErr_SetString(PyExc_ValueError, "I/O operation on closed socket.");
        return NULL;
    }
    Py_RETURN_FALSE;
}

PyDoc_STRVAR(tell_doc,
             "tell($self, /)\n--\n\n"
             "Raise io.UnsupportedOperation: a socket has no position.\n"
             "**Source:** io.IOBase.tell of CPython 3.13.");

static PyObject *
socketio_tell(PyObject *op, PyObject *unused)
{
    makefile_state *state = state_of(Py_TYPE(op));
    PyObject *unsupported;

    (void)unused;
    if (((SocketIO *)op)->wrapping) {
        return Int_FromLong(0); /* where it takes itself to be after an exception */
    }
    if (state == NULL) {
        return NULL; /* unreached: see state_of */
    }
    if (!is_plain((SocketIO *)op, state)) {
        return PyObject_CallMethod(op, "seek", "ii", 0, 1);
    }
    unsupported = io_unsupported_operation(state);
    if (unsupported != NULL) {
        PyErr_SetObject(unsupported, state->str_seek);
        Py_DECREF(unsupported);
    }
    return NULL;
}

PyDoc_STRVAR(fileno_doc,
             "fileno($self, /)\n--\n\n"
             "Return the file descriptor of the socket, an int.  Raises ValueError if the file is closed.\n"
             "**Source:** socket.SocketIO.fileno of CPython 3.13.");

static PyObject *
socketio_fileno(PyObject *op, PyObject *unused)
{
    SocketIO *self = (SocketIO *)op;
    makefile_state *state = state_of(Py_TYPE(op));
    PyObject *sock, *result;

    (void)unused;
    if (state == NULL || (sock = begin_operation(self, state, OPERATION_ANY)) == NULL) {
        return NULL;
    }
#if PYTHON2
    if (self->csocket != NULL) {
        /* `fileno` is not among the methods that socket.socket keeps on the instance: look where it would look. */
        PyObject *inner = PyObject_GetAttr(sock, state->str_sock);

        if (inner == NULL) {
            PyErr_Clear();
        }
        else if ((PyObject *)Py_TYPE(inner) == state->python2_closed) {
            Py_DECREF(sock);
            sock = Py_NewRef(self->csocket);
        }
        Py_XDECREF(inner);
    }
#endif
    result = PyObject_CallMethodNoArgs(sock, state->str_fileno);
    Py_DECREF(sock);
    return result;
}

PyDoc_STRVAR(flush_doc,
             "flush($self, /)\n--\n\n"
             "Do nothing: nothing is held back here.  Raises ValueError if the file is closed.\n"
             "**Source:** io.IOBase.flush of CPython 3.13.");

static PyObject *
socketio_flush(PyObject *op, PyObject *unused)
{
    (void)unused;
    if (FIELD_LOAD(((SocketIO *)op)->closed)) {
        PyErr_SetString(PyExc_ValueError, "I/O operation on closed file.");
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(reduce_doc,
             "__reduce__($self, /)\n--\n\n"
             "Raise TypeError: an open stream can be neither pickled nor copied.");

static PyObject *
socketio_reduce(PyObject *op, PyObject *unused)
{
    (void)unused;
    PyErr_Format(PyExc_TypeError, "cannot pickle '%.100s' object", type_name(op));
    return NULL;
}

/* ---- Closing ---------------------------------------------------------------------------------------------------- */

/* Marks the stream closed.  1 for the one caller that did it, who then owes the sock its release; 0 if it was. */
static int
claim_close(SocketIO *self)
{
    int was_closed;

    Py_BEGIN_CRITICAL_SECTION(self);
    was_closed = FIELD_LOAD(self->closed);
    FIELD_STORE(self->closed, 1);
    Py_END_CRITICAL_SECTION();
    return !was_closed;
}

/* Gives the reference on the sock back, and lets go of it.  0, or -1 with the sock's exception, and then the sock is kept. */
static int
release_sock(SocketIO *self, makefile_state *state)
{
    PyObject *sock =
        is_exact(self, state) ? field_get(self, &self->sock, "_sock") : PyObject_GetAttr((PyObject *)self, state->str_sock);
    int status;

    if (sock == NULL) {
        return -1;
    }
    if (self->unfinished) {
        reference_restore(state, sock, (reference_kind)self->reference);
        status = 0;
    }
    else {
        status = reference_release(state, sock, (reference_kind)self->reference);
    }
    if (status == 0) {
        field_set(self, &self->csocket, NULL);
        status = attribute_set(self, state, &self->sock, state->str_sock, Py_None);
    }
    Py_DECREF(sock);
    return status;
}

PyDoc_STRVAR(close_doc,
             "close($self, /)\n--\n\n"
             "Close the file, and tell the socket so, once: the socket itself is closed only when it was\n"
             "asked to and this was its last file.  A second close does nothing.\n"
             "Raises what an overridden flush, and the socket's _decref_socketios(), raise; the file is\n"
             "closed all the same.\n"
             "**Source:** socket.SocketIO.close of CPython 3.13.");

static PyObject *
socketio_close(PyObject *op, PyObject *unused)
{
    SocketIO *self = (SocketIO *)op;
    makefile_state *state = state_of(Py_TYPE(op));
    raised_exception flush_error;
    int closed = state == NULL ? -1 : stream_closed(self, state);

    (void)unused;
    if (closed != 0) {
        if (closed < 0) {
            return NULL;
        }
        Py_RETURN_NONE;
    }
    if (!is_plain(self, state)) {
        PyObject *flush = PyObject_GetAttr(op, state->str_flush);

        if (flush != NULL && !is_own_method(flush, self, socketio_flush)) { /* ours has nothing to flush */
            PyObject *result = PyObject_CallNoArgs(flush);

            Py_XDECREF(result);
        }
        Py_XDECREF(flush);
    }
    raised_take(&flush_error);
    if (claim_close(self)) {
        (void)release_sock(self, state);
    }
    raised_restore_as_context(&flush_error);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Was the stream ever given a sock? */
static int
has_sock(SocketIO *self, const makefile_state *state)
{
    int found = self->sock != NULL;

    if (!found && !is_exact(self, state)) { /* it may be kept where a subclass says */
        PyObject *sock = object_get_optional_attr((PyObject *)self, state->str_sock, &found);

        Py_XDECREF(sock);
    }
    return found != 0;
}

/* Closes a stream that nobody refers to any more, as the interpreter's own finalizer does, and lets no exception out. */
static void
socketio_finalize(PyObject *op)
{
    SocketIO *self = (SocketIO *)op;
    raised_exception raised;
    makefile_state *state;
    PyObject *close = NULL, *result;
    int closed;

    if (self->closed && self->dict == NULL) {
        return;
    }
    raised_take(&raised);
    state = state_of(Py_TYPE(op));
    closed = state == NULL ? -1 : stream_closed(self, state);
    if (closed == 0) {
        close = PyObject_GetAttr(op, state->str_close);
    }
    if (close == NULL || (is_own_method(close, self, socketio_close) && !has_sock(self, state))) {
        PyErr_Clear(); /* unusable, closed, or never made: nothing is owed */
    }
    else {
        result = PyObject_CallNoArgs(close);
        Py_XDECREF(result);
        if (result == NULL) {
            if (state->reports_finalizer_errors) {
                PyErr_WriteUnraisable(op);
            }
            else {
                PyErr_Clear();
            }
        }
    }
    Py_XDECREF(close);
    raised_restore(&raised);
}

/* ---- Life ------------------------------------------------------------------------------------------------------- */

static int
socketio_traverse(PyObject *op, visitproc visit, void *arg)
{
    SocketIO *self = (SocketIO *)op;

#if HAVE_TYPE_VISIT
    Py_VISIT(Py_TYPE(op));
#endif
    Py_VISIT(self->dict);
#define VISIT(field) Py_VISIT(self->field);
    SOCKETIO_FIELDS(VISIT)
#undef VISIT
    return 0;
}

static int
socketio_clear(PyObject *op)
{
    SocketIO *self = (SocketIO *)op;

#if !HAVE_FINALIZE
    socketio_finalize(op); /* this collector clears without asking */
#endif
    Py_CLEAR(self->dict);
#define CLEAR(field) Py_CLEAR(self->field);
    SOCKETIO_FIELDS(CLEAR)
#undef CLEAR
    return 0;
}

static void
socketio_dealloc(PyObject *op)
{
    SocketIO *self = (SocketIO *)op;

    PyObject_GC_UnTrack(op);
    TRASHCAN_BEGIN(op, socketio_dealloc) /* a chain of streams, each the next one's sock, must not take the stack */
    PyObject_GC_Track(op);               /* a finalizer may bring it back */
    if (object_finalize_from_dealloc(op, socketio_finalize) == 0) {
        PyObject_GC_UnTrack(op);
        if (self->weakreflist != NULL) {
            PyObject_ClearWeakRefs(op);
        }
        Py_CLEAR(self->dict);
#define CLEAR(field) Py_CLEAR(self->field);
        SOCKETIO_FIELDS(CLEAR)
#undef CLEAR
        object_free(op, socketio_dealloc);
    }
    TRASHCAN_END(op)
}

/* The modes that SocketIO takes, in the interpreter's order, and what they come to. */
static int
parse_mode(const makefile_state *state, PyObject *mode, int *reading, int *writing)
{
    const struct {
        PyObject *spelling;
        int reading, writing;
    } modes[] = {{state->str_r, 1, 0},  {state->str_w, 0, 1},  {state->str_rw, 1, 1},
                 {state->str_rb, 1, 0}, {state->str_wb, 0, 1}, {state->str_rwb, 1, 1}};
    PyObject *message, *format;
    size_t i;

    for (i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        int same = PyObject_RichCompareBool(mode, modes[i].spelling, Py_EQ);

        if (same != 0) {
            *reading = modes[i].reading;
            *writing = modes[i].writing;
            return same < 0 ? -1 : 0;
        }
    }
    format = Str_FromString("invalid mode: %r");
    message = format == NULL ? NULL : Str_Format(format, mode);
    if (message != NULL) {
        PyErr_SetObject(PyExc_ValueError, message);
    }
    Py_XDECREF(message);
    Py_XDECREF(format);
    return -1;
}

static PyObject *
mode_name(const makefile_state *state, int reading, int writing)
{
    return reading && writing ? state->str_rwb : writing ? state->str_wb : state->str_rb;
}

/* Holds the C socket of a sock that does not count its files, and learns which of its methods are that one's own. */
static void
hold_csocket(SocketIO *self, makefile_state *state, PyObject *sock)
{
    PyObject *csocket = reference_csocket(state, sock);

    field_set(self, &self->csocket, csocket);
#if PYTHON2
    if (csocket != NULL) {
        const struct {
            PyObject *name;
            csocket_method *own;
        } used[] = {{state->str_recv_into, &state->transfer.methods.recv_into},
                    {state->str_send, &state->transfer.methods.send}};
        endpoint found;
        size_t i;

        for (i = 0; i < sizeof used / sizeof used[0]; i++) {
            found = endpoint_find(self, state, sock, used[i].name, used[i].own);
            if (endpoint_failed(found)) {
                PyErr_Clear(); /* the operation will say it */
            }
            Py_XDECREF(found.method);
        }
    }
#endif
    Py_XDECREF(csocket);
}

/* The work of __init__, with its arguments held. */
static int
socketio_reset(SocketIO *self, makefile_state *state, PyObject *sock, PyObject *mode)
{
    int reading, writing;

    if (parse_mode(state, mode, &reading, &writing) < 0) {
        return -1;
    }
    hold_csocket(self, state, sock);
    self->reference = REFERENCE_NONE;
    if (attribute_set(self, state, &self->sock, state->str_sock, sock) < 0 ||
        attribute_set(self, state, &self->mode, state->str_mode_, mode_name(state, reading, writing)) < 0 ||
        attribute_set(self, state, &self->reading, state->str_reading, reading ? Py_True : Py_False) < 0 ||
        attribute_set(self, state, &self->writing, state->str_writing, writing ? Py_True : Py_False) < 0 ||
        attribute_set(self, state, &self->timeout_occurred, state->str_timeout_occurred, Py_False) < 0) {
        return -1;
    }
    return 0;
}

static int
socketio_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"sock", "mode", NULL};
    makefile_state *state = state_of(Py_TYPE(op));
    PyObject *sock, *mode;
    int status;

    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "OO:SocketIO", names, &sock, &mode)) {
        return -1;
    }
    Py_INCREF(sock); /* the caller's dict of keywords may be emptied meanwhile */
    Py_INCREF(mode);
    status = socketio_reset((SocketIO *)op, state, sock, mode);
    Py_DECREF(mode);
    Py_DECREF(sock);
    return status;
}

static PyObject *
socketio_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs; /* a subclass's __init__ may take anything */
    return type->tp_alloc(type, 0);
}

PyObject *
socketio_open(makefile_state *state, PyObject *sock, int reading, int writing)
{
    PyTypeObject *type = (PyTypeObject *)state->socketio_type;
    SocketIO *self = (SocketIO *)type->tp_alloc(type, 0);
    reference_kind reference;

    if (self == NULL) {
        return NULL;
    }
    if (reference_take(state, sock, &reference) < 0) {
        Py_DECREF(self); /* it has no sock yet, so dies silently */
        return NULL;
    }
    self->reference = (unsigned char)reference;
    self->unfinished = 1;
    hold_csocket(self, state, sock);
    self->mode = Py_NewRef(mode_name(state, reading, writing));
    self->reading = Py_NewRef(reading ? Py_True : Py_False);
    self->writing = Py_NewRef(writing ? Py_True : Py_False);
    self->timeout_occurred = Py_NewRef(Py_False);
    self->sock = Py_NewRef(sock);
    return (PyObject *)self;
}

void
socketio_set_wrapping(PyObject *raw, int wrapping)
{
    ((SocketIO *)raw)->wrapping = (char)wrapping;
}

void
socketio_finish(PyObject *raw)
{
    ((SocketIO *)raw)->unfinished = 0;
}

void
socketio_abandon(makefile_state *state, PyObject *raw, PyObject *sock)
{
    SocketIO *self = (SocketIO *)raw;

    if (!claim_close(self)) {
        return; /* code that ran meanwhile has closed it, and so given the reference back */
    }
    reference_restore(state, sock, (reference_kind)self->reference);
    field_set(self, &self->sock, Py_None);
    field_set(self, &self->csocket, NULL);
}

/* ---- The type --------------------------------------------------------------------------------------------------- */

/* What `_sock` and its like are: attributes that any object can be put into. */
typedef struct {
    const char *name;
    size_t offset;
} field_attribute;

static const field_attribute sock_attribute = {"_sock", offsetof(SocketIO, sock)};
static const field_attribute mode_attribute = {"_mode", offsetof(SocketIO, mode)};
static const field_attribute reading_attribute = {"_reading", offsetof(SocketIO, reading)};
static const field_attribute writing_attribute = {"_writing", offsetof(SocketIO, writing)};
static const field_attribute timeout_occurred_attribute = {"_timeout_occurred", offsetof(SocketIO, timeout_occurred)};

static PyObject *
attribute_getter(PyObject *op, void *closure)
{
    const field_attribute *attribute = closure;

    return field_get((SocketIO *)op, (PyObject **)(void *)((char *)op + attribute->offset), attribute->name);
}

static int
attribute_setter(PyObject *op, PyObject *value, void *closure)
{
    const field_attribute *attribute = closure;
    PyObject **field = (PyObject **)(void *)((char *)op + attribute->offset);

    if (value == NULL) { /* deleting what is not there */
        PyObject *old = field_get((SocketIO *)op, field, attribute->name);

        if (old == NULL) {
            return -1;
        }
        Py_DECREF(old);
    }
    field_set((SocketIO *)op, field, value);
    return 0;
}

static PyObject *
closed_getter(PyObject *op, void *unused)
{
    (void)unused;
    return PyBool_FromLong(FIELD_LOAD(((SocketIO *)op)->closed));
}

/* io's own close() marks a stream closed by giving it this attribute, and its presence is what the methods of io look for. */
static PyObject *
iobase_closed_getter(PyObject *op, void *unused)
{
    (void)unused;
    if (FIELD_LOAD(((SocketIO *)op)->closed)) {
        Py_RETURN_TRUE;
    }
    PyErr_SetString(PyExc_AttributeError, "__IOBase_closed");
    return NULL;
}

static int
iobase_closed_setter(PyObject *op, PyObject *value, void *unused)
{
    (void)unused;
    FIELD_STORE(((SocketIO *)op)->closed, value != NULL);
    return 0;
}

static PyObject *
mode_getter(PyObject *op, void *unused)
{
    SocketIO *self = (SocketIO *)op;
    makefile_state *state = state_of(Py_TYPE(op));

    (void)unused;
    if (state == NULL) {
        return NULL; /* unreached: see state_of */
    }
    return is_exact(self, state) ? field_get(self, &self->mode, "_mode") : PyObject_GetAttr(op, state->str_mode_);
}

static PyObject *
name_getter(PyObject *op, void *unused)
{
    makefile_state *state = state_of(Py_TYPE(op));
    int closed = state == NULL ? -1 : stream_closed((SocketIO *)op, state);

    (void)unused;
    if (closed < 0) {
        return NULL;
    }
    return closed ? Int_FromLong(-1) : PyObject_CallMethodNoArgs(op, state->str_fileno);
}

static PyGetSetDef socketio_getset[] = {
    {"closed", closed_getter, NULL, "True once the file is closed.", NULL},
    {"__IOBase_closed", iobase_closed_getter, iobase_closed_setter, "There once the file is closed.", NULL},
    {"mode", mode_getter, NULL, "'rb', 'wb' or 'rwb'.", NULL},
    {"name", name_getter, NULL, "The file descriptor, an int; -1 once the file is closed.", NULL},
    {"_sock", attribute_getter, attribute_setter, "The Python socket object; None once the file is closed.",
     (void *)&sock_attribute},
    {"_mode", attribute_getter, attribute_setter, "What mode returns.", (void *)&mode_attribute},
    {"_reading", attribute_getter, attribute_setter, "What readable() returns.", (void *)&reading_attribute},
    {"_writing", attribute_getter, attribute_setter, "What writable() returns.", (void *)&writing_attribute},
    {"_timeout_occurred", attribute_getter, attribute_setter, "True once a read has timed out.",
     (void *)&timeout_occurred_attribute},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef socketio_methods[] = {
    {"readinto", socketio_readinto, METH_O, readinto_doc},
    FASTCALL_METHOD_DEF("read", socketio_read, read_doc),
    {"readall", socketio_readall, METH_NOARGS, readall_doc},
    {"write", socketio_write, METH_O, write_doc},
    {"readable", socketio_readable, METH_NOARGS, readable_doc},
    {"writable", socketio_writable, METH_NOARGS, writable_doc},
    {"seekable", socketio_seekable, METH_NOARGS, seekable_doc},
    {"tell", socketio_tell, METH_NOARGS, tell_doc},
    {"fileno", socketio_fileno, METH_NOARGS, fileno_doc},
    {"flush", socketio_flush, METH_NOARGS, flush_doc},
    {"close", socketio_close, METH_NOARGS, close_doc},
    {"__reduce__", socketio_reduce, METH_NOARGS, reduce_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(socketio_doc,
             "SocketIO(sock, mode)\n--\n\n"
             "The raw stream over a socket object, which backport_makefile() composes with io's buffers.\n"
             "\n"
             "sock: the socket object; what is needed of it is what is used: recv_into() to read, send() or\n"
             "sendall() to write, fileno() if asked, _decref_socketios() when the file is closed.\n"
             "mode: 'r', 'w' or 'rw', with or without 'b'; ValueError otherwise.\n"
             "The socket's count of open files is not touched by making one; closing it calls\n"
             "_decref_socketios(), if there is one.\n"
             "**Source:** socket.SocketIO of CPython 3.6 to 3.13, Lib/socket.py.");

static PyType_Slot socketio_slots[] = {
    {Py_tp_dealloc, SLOT_FUNCTION(socketio_dealloc)},
    {Py_tp_traverse, SLOT_FUNCTION(socketio_traverse)},
    {Py_tp_clear, SLOT_FUNCTION(socketio_clear)},
#if HAVE_FINALIZE
    {Py_tp_finalize, SLOT_FUNCTION(socketio_finalize)},
#endif
    {Py_tp_init, SLOT_FUNCTION(socketio_init)},
    {Py_tp_new, SLOT_FUNCTION(socketio_new)},
    {Py_tp_methods, socketio_methods},
    {Py_tp_getset, socketio_getset},
    {Py_tp_doc, (void *)socketio_doc},
    {0, NULL},
};

static PyType_Spec socketio_spec = {
    "backports.makefile.SocketIO",
    sizeof(SocketIO),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_FINALIZE,
    socketio_slots,
};

PyTypeObject *
socketio_type_new(PyObject *module, PyTypeObject *raw_io_base)
{
    static PyTypeObject storage; /* 2.7 */

    return type_from_spec(module, &socketio_spec, raw_io_base, &storage);
}

int
socketio_check_base(PyTypeObject *raw_io_base)
{
    if (raw_io_base->tp_basicsize == (Py_ssize_t)offsetof(SocketIO, sock) &&
        raw_io_base->tp_dictoffset == (Py_ssize_t)offsetof(SocketIO, dict) &&
        raw_io_base->tp_weaklistoffset == (Py_ssize_t)offsetof(SocketIO, weakreflist)) {
        return 0;
    }
    /* unreached: some later Python's */
    PyErr_SetString(PyExc_ImportError, "this interpreter's io.RawIOBase is not laid out as this extension expects");
    return -1;
}
