/* reading.c: bytes out of the sock.

   read and readall look `readinto` up as Python would, and readall `read`; they do its work in
   place only if what comes back is our own C method. */
#include "reading.h"

#include "endpoint.h"

/* A block of memory of this size or more may be a mapping of its own: one that was made so large
   and then cut to a short message would keep the mapping, and a page at least. */
#define MAPPED_NBYTES (128 * 1024)

/* transfer_recv for this stream: a timeout poisons it. */
static inline Py_ssize_t
receive(SocketIO *self, PyObject *csocket, void *buffer, Py_ssize_t nbytes)
{
    Py_ssize_t received = transfer_recv(self->state, csocket, buffer, nbytes, &self->history);

    if (received == TRANSFER_ERROR && state_timeout_is_raised(self->state) > 0) {
        stream_poison(self);
    }
    return received;
}

/* ---- readinto -------------------------------------------------------------------------------- */

const char readinto_doc[] =
    "readinto($self, buffer, /)\n--\n\n"
    "Receive once, into a writable bytes-like object.\n"
    "\n"
    "buffer: where the bytes go; at most len(buffer) in bytes are received.\n"
    "Returns the number of bytes, 0 at the end of the stream, or None if the socket is\n"
    "non-blocking and nothing is there.\n"
    "Raises ValueError if the file is closed, io.UnsupportedOperation (2.7: IOError) if it\n"
    "is not open for reading, socket.timeout when the socket's timeout, in seconds, has\n"
    "passed, OSError (2.7: IOError) at every read after that, and the socket's own errors.\n"
    "**Source:** socket.SocketIO.readinto of CPython 3.15, Lib/socket.py.";

static inline PyObject *
stream_readinto(SocketIO *self, PyObject *buffer)
{
    PyObject *sock = stream_begin(self, OPERATION_READ), *result = NULL;
    endpoint recv_into;

    if (sock == NULL) {
        return NULL;
    }
    switch (endpoint_find(&recv_into, self, sock, OPERATION_READ, buffer)) {
        case ENDPOINT_DIRECT:
            result = endpoint_transfer_result(
                receive(self, recv_into.csocket, recv_into.start, recv_into.nbytes));
            break;
        case ENDPOINT_METHOD:
            result = endpoint_call(self, sock, recv_into.method, buffer, OPERATION_READ);
            break;
        case ENDPOINT_ERROR:
            result = endpoint_error_result(self, OPERATION_READ);
            break;
    }
    endpoint_release(&recv_into);
    Py_DECREF(sock);
    return result;
}

METHOD_O(socketio_readinto, stream_readinto)

/* ---- What read and readall collect ----------------------------------------------------------- */

/* Bytes that are received straight into the object that is returned. */
typedef struct {
    PyObject *bytes; /* Owned; NULL while nothing was asked for; its size is the room there is */
    Py_ssize_t used;
} collected;

typedef enum { COLLECT_SOME, COLLECT_END, COLLECT_NONE, COLLECT_ERROR } collect_outcome;

/* Makes room for nbytes more.  The room grows by half when it is renewed, so that all copies
   together cost no more than a few.  0, or -1 with an exception. */
static int
collected_reserve(collected *self, Py_ssize_t nbytes)
{
    Py_ssize_t room, more;

    if (self->bytes == NULL) {
        self->bytes = PyBytes_FromStringAndSize(NULL, nbytes);
        return self->bytes == NULL ? -1 : 0;
    }
    room = PyBytes_GET_SIZE(self->bytes);
    if (room - self->used >= nbytes) {
        return 0;
    }
    more = room / 2 > nbytes ? room / 2 : nbytes;
    if (room > PY_SSIZE_T_MAX - more) { /* unreached: there is not so much memory */
        PyErr_NoMemory();
        return -1;
    }
    return bytes_resize(&self->bytes, room + more);
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

/* The bytes object of what was received, and no larger: a new reference, or NULL with an
   exception. */
static PyObject *
collected_finish(collected *self)
{
    PyObject *bytes = self->bytes;

    assert(self->used <= (bytes == NULL ? 0 : PyBytes_GET_SIZE(bytes)));
    if (bytes == NULL || self->used < MAPPED_NBYTES) {
        if (bytes == NULL || self->used != PyBytes_GET_SIZE(bytes)) {
            return PyBytes_FromStringAndSize(bytes == NULL ? NULL : PyBytes_AS_STRING(bytes),
                                             self->used);
        }
    }
    self->bytes = NULL;
    if (self->used != PyBytes_GET_SIZE(bytes)) {
        (void)bytes_resize(&bytes, self->used); /* sets it to NULL when it fails */
    }
    return bytes;
}

/* The bytes that a readinto(scratch), which returned `count`, has put into the bytearray of nbytes:
   a new reference, None for None, or NULL with an exception. */
static PyObject *
bytes_from_readinto(PyObject *scratch, PyObject *count, Py_ssize_t nbytes)
{
    Py_ssize_t used;

    if (count == Py_None) {
        return Py_NewRef(count);
    }
    used = PyNumber_AsSsize_t(count, PyExc_ValueError);
    if (used == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (used < 0 || used > nbytes || used > PyByteArray_GET_SIZE(scratch)) {
        PyErr_Format(PyExc_ValueError, "readinto returned %zd outside buffer size %zd", used,
                     nbytes);
        return NULL;
    }
    return bytes_from_bytearray(scratch, used);
}

/* The bytes of one read of up to nbytes through a method that is not ours to look into: `recv_into`
   of this sock, or, with sock NULL, somebody's `readinto`.  A new reference, to None if that gave
   None; or NULL with an exception. */
static PyObject *
read_through(SocketIO *self, PyObject *sock, PyObject *method, Py_ssize_t nbytes)
{
    PyObject *scratch = PyByteArray_FromStringAndSize(NULL, nbytes), *count, *result = NULL;

    if (scratch == NULL) {
        return NULL;
    }
    count = sock != NULL ? endpoint_call(self, sock, method, scratch, OPERATION_READ)
                         : PyObject_CallOneArg(method, scratch);
    if (count != NULL) {
        result = bytes_from_readinto(scratch, count, nbytes);
        Py_DECREF(count);
    }
    Py_DECREF(scratch);
    return result;
}

/* read_through, appended. */
static collect_outcome
collect_through(SocketIO *self, PyObject *sock, PyObject *method, collected *into,
                Py_ssize_t nbytes)
{
    PyObject *data = read_through(self, sock, method, nbytes);
    collect_outcome outcome = data == NULL ? COLLECT_ERROR : collected_append(into, data);

    Py_XDECREF(data);
    return outcome;
}

/* One receive on the direct path, of at least nbytes if `all`, else of at most nbytes. */
static inline collect_outcome
collect_direct(SocketIO *self, PyObject *csocket, collected *into, Py_ssize_t nbytes, int all)
{
    Py_ssize_t received;

    if (collected_reserve(into, nbytes) < 0) {
        return COLLECT_ERROR;
    }
    if (all) {
        nbytes = PyBytes_GET_SIZE(into->bytes) - into->used;
    }
    received = receive(self, csocket, PyBytes_AS_STRING(into->bytes) + into->used, nbytes);
    assert(received <= nbytes && (received == TRANSFER_ERROR) == (PyErr_Occurred() != NULL));
    if (received > 0) {
        into->used += received;
        return COLLECT_SOME;
    }
    return received == 0                      ? COLLECT_END
           : received == TRANSFER_WOULD_BLOCK ? COLLECT_NONE
                                              : COLLECT_ERROR;
}

/* One read with our own readinto in place. */
static collect_outcome
collect_own(SocketIO *self, collected *into, Py_ssize_t nbytes, int all)
{
    PyObject *sock = stream_begin(self, OPERATION_READ), *would_block;
    collect_outcome outcome = COLLECT_ERROR;
    endpoint recv_into;

    if (sock == NULL) {
        return COLLECT_ERROR;
    }
    switch (endpoint_find(&recv_into, self, sock, OPERATION_READ, NULL)) {
        case ENDPOINT_DIRECT:
            outcome = collect_direct(self, recv_into.csocket, into, nbytes, all);
            break;
        case ENDPOINT_METHOD:
            outcome = collect_through(self, sock, recv_into.method, into, nbytes);
            break;
        case ENDPOINT_ERROR:
            would_block = endpoint_error_result(self, OPERATION_READ);
            outcome = would_block == NULL ? COLLECT_ERROR : COLLECT_NONE;
            Py_XDECREF(would_block);
            break;
    }
    endpoint_release(&recv_into);
    Py_DECREF(sock);
    return outcome;
}

/* One read of up to nbytes through whatever `readinto` is now. */
static collect_outcome
collect_readinto(SocketIO *self, collected *into, Py_ssize_t nbytes, int all)
{
    PyObject *method = PyObject_GetAttr((PyObject *)self, self->state->str_readinto);
    collect_outcome outcome;

    if (method == NULL) {
        return COLLECT_ERROR;
    }
    if (stream_is_own_method(self, method, socketio_readinto)) {
        outcome = collect_own(self, into, nbytes, all);
    }
    else {
        outcome = collect_through(self, NULL, method, into, nbytes);
    }
    Py_DECREF(method);
    return outcome;
}

/* One read of readall(), through whatever `read` is now. */
static collect_outcome
collect_read(SocketIO *self, collected *into)
{
    PyObject *read = PyObject_GetAttr((PyObject *)self, self->state->str_read);
    Py_ssize_t chunk_nbytes = self->state->chunk_nbytes;
    collect_outcome outcome = COLLECT_ERROR;
    PyObject *size, *data;

    if (read == NULL) {
        return COLLECT_ERROR;
    }
    if (stream_is_own_method(self, read, FASTCALL_FUNCTION(socketio_read))) {
        outcome = collect_readinto(self, into, chunk_nbytes, 1);
    }
    else if ((size = Int_FromSsize_t(chunk_nbytes)) != NULL) {
        data = PyObject_CallOneArg(read, size);
        Py_DECREF(size);
        outcome = data == NULL ? COLLECT_ERROR : collected_append(into, data);
        Py_XDECREF(data);
    }
    Py_DECREF(read);
    return outcome;
}

/* ---- read ------------------------------------------------------------------------------------ */

const char read_doc[] =
    "read($self, size=-1, /)\n--\n\n"
    "Receive once, at most size bytes; without a size, or with -1, all that comes.\n"
    "\n"
    "size: an int, in bytes.\n"
    "Returns bytes, b'' at the end of the stream, or None if the socket is non-blocking and\n"
    "nothing is there.  Raises what readinto() raises, and MemoryError.\n"
    "**Source:** io.RawIOBase.read of CPython 3.15, Modules/_io/iobase.c.";

/* The size that read() was given: 1; 0 where the interpreter's own has to judge the arguments; -1
   with an exception. */
static int
parse_size(PyObject *const *args, Py_ssize_t nargs, Py_ssize_t *size)
{
    *size = -1;
    if (nargs == 0 || (nargs == 1 && exact_int_as_ssize(args[0], size))) {
        return 1;
    }
    return nargs == 1 ? size_argument(args[0], size) : 0;
}

/* The interpreter's own read, for arguments that it will refuse. */
static PyObject *
read_refused(SocketIO *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *all_args = PyTuple_New(nargs + 1), *result;
    Py_ssize_t i;

    if (all_args == NULL) {
        return NULL;
    }
    PyTuple_SET_ITEM(all_args, 0, Py_NewRef((PyObject *)self));
    for (i = 0; i < nargs; i++) {
        PyTuple_SET_ITEM(all_args, i + 1, Py_NewRef(args[i]));
    }
    result = PyObject_CallObject(self->state->raw_read, all_args);
    Py_DECREF(all_args);
    return result;
}

static inline PyObject *
stream_read(SocketIO *self, PyObject *const *args, Py_ssize_t nargs)
{
    collected into = {NULL, 0};
    PyObject *result = NULL;
    Py_ssize_t size;
    int parsed = parse_size(args, nargs, &size);

    if (parsed <= 0) {
        return parsed < 0 ? NULL : read_refused(self, args, nargs);
    }
    if (size < 0) {
        return PyObject_CallMethodNoArgs((PyObject *)self, self->state->str_readall);
    }
    if (check_read_size(size) < 0) {
        return NULL;
    }
    switch (collect_readinto(self, &into, size, 0)) {
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
    return result;
}

static PyObject *
held_read(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *result;

    Py_INCREF(op);
    result = stream_read((SocketIO *)op, args, nargs);
    Py_DECREF(op);
    return method_result(result);
}

FASTCALL_METHOD(socketio_read, held_read)

/* ---- readall --------------------------------------------------------------------------------- */

const char readall_doc[] =
    "readall($self, /)\n--\n\n"
    "Receive until the end of the stream.\n"
    "\n"
    "Returns bytes: all that came before the end, or before a non-blocking socket had nothing\n"
    "more; None if it had nothing at all.  Raises what readinto() raises; what was received\n"
    "before is then lost.\n"
    "**Source:** io.RawIOBase.readall of CPython 3.15, Modules/_io/iobase.c.";

static PyObject *
stream_readall(SocketIO *self)
{
    const makefile_state *state = self->state;
    collected into = {NULL, 0};
    collect_outcome outcome;
    PyObject *result = NULL;

    for (;;) {
        outcome = collect_read(self, &into);
        if (outcome == COLLECT_ERROR &&
            endpoint_error_is(state, state->interrupted_errno, BY_ERRNO)) {
            PyErr_Clear(); /* a fake's: the interpreter's own goes on after it here, and only here
                            */
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
    return result;
}

METHOD_NOARGS(socketio_readall, stream_readall)
