/* writing.c: bytes into the sock. */
#include "writing.h"

#include "endpoint.h"

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

/* write() for a sock that has no `send`: sendall(buffer), and then all of it was taken.  It is
   never called again, since how much went out before an error is unknown.  What is no buffer is for
   sendall to refuse. */
static PyObject *
write_by_sendall(SocketIO *self, PyObject *sendall, PyObject *buffer)
{
    Py_ssize_t nbytes = buffer_nbytes(buffer); /* first: sendall may run code that changes it */
    raised_exception no_buffer;
    PyObject *result;

    raised_take(&no_buffer);
    result = PyObject_CallOneArg(sendall, buffer);
    if (result == NULL) {
        raised_drop(&no_buffer);
        return endpoint_error_result(self, OPERATION_WRITE);
    }
    Py_DECREF(result);
    if (nbytes < 0) {
        raised_restore(&no_buffer);
        return NULL;
    }
    return Int_FromSsize_t(nbytes);
}

/* Has the sock no `send` at all?  Not if there is one that is not ready, as before a handshake; and
   a socket of the interpreter's has one.  1, 0, or -1 with an exception. */
static int
lacks_send(const makefile_state *state, PyObject *sock)
{
    PyObject *send;
    attr_found found;

    if (PyObject_TypeCheck(sock, state->csocket.type)) {
        return 0;
    }
#if PYTHON2
    {
        int is_socket = state_is_python2_socket(state, sock);

        if (is_socket != 0) {
            return is_socket < 0 ? -1 : 0;
        }
    }
#endif
    found = object_get_optional_attr((PyObject *)Py_TYPE(sock), state->str_send, &send);
    Py_XDECREF(send);
    return found == ATTR_ERROR ? -1 : found == ATTR_ABSENT;
}

/* write() where `send` was not found, with an AttributeError set. */
SELDOM static PyObject *
write_without_send(SocketIO *self, PyObject *sock, PyObject *buffer)
{
    PyObject *sendall = NULL, *result;
    raised_exception no_send;

    raised_take(&no_send);
    if (lacks_send(self->state, sock) > 0) {
        (void)object_get_optional_attr(sock, self->state->str_sendall, &sendall);
    }
    if (sendall == NULL) {
        raised_restore_as_context(&no_send);
        return NULL;
    }
    raised_drop(&no_send);
    result = write_by_sendall(self, sendall, buffer);
    Py_DECREF(sendall);
    return result;
}

const char write_doc[] =
    "write($self, buffer, /)\n--\n\n"
    "Send a bytes-like object.\n"
    "\n"
    "Returns the number of bytes that were taken, or None if the socket is non-blocking and\n"
    "takes none.  On the interpreter's own C socket all are sent, unless it would block, its\n"
    "timeout, in seconds for the whole, passes, or a signal comes: then the count tells how many.\n"
    "What a signal's handler raises after the first byte follows with the next operation.\n"
    "Any other socket gets one send(buffer), whose result is returned, or sendall(buffer) if it\n"
    "has no send.\n"
    "Raises ValueError if the file is closed, io.UnsupportedOperation (2.7: IOError) if it is not\n"
    "open for writing, socket.timeout, and the socket's own errors, all only when nothing was "
    "sent.\n"
    "**Source:** socket.SocketIO.write and socket.socket.sendall of CPython 3.15.";

/* Is it lent by a BufferedWriter?  That sends the rest by itself, as the interpreter's own streams
   want it.  It makes a memoryview of memory that no object has; Python code cannot. */
static inline int
is_lent_by_a_writer(PyObject *buffer)
{
    return PyMemoryView_Check(buffer) && PyMemoryView_GET_BUFFER(buffer)->obj == NULL;
}

static inline PyObject *
stream_write(SocketIO *self, PyObject *buffer)
{
    PyObject *sock = stream_begin(self, OPERATION_WRITE), *result = NULL;
    endpoint send;

    if (sock == NULL) {
        return NULL;
    }
    switch (endpoint_find(&send, self, sock, OPERATION_WRITE, buffer)) {
        case ENDPOINT_DIRECT:
            result = endpoint_transfer_result(
                transfer_send(self->state, send.csocket, send.start, send.nbytes,
                              is_lent_by_a_writer(buffer), &self->history));
            break;
        case ENDPOINT_METHOD:
            result = endpoint_call(self, sock, send.method, buffer, OPERATION_WRITE);
            break;
        case ENDPOINT_ERROR:
            result = send.method == NULL && raised_matches(PyExc_AttributeError)
                         ? write_without_send(self, sock, buffer)
                         : endpoint_error_result(self, OPERATION_WRITE);
            break;
    }
    endpoint_release(&send);
    Py_DECREF(sock);
    return result;
}

METHOD_O(socketio_write, stream_write)
