/* stream.h: the fields of a SocketIO, and what its methods ask of it before they work.

   The exact type reads its C fields directly.  For a subclass, or an instance with attributes of
   its own, each method asks through Python, so that what is overridden is honoured. */
#ifndef BACKPORTS_MAKEFILE_STREAM_H
#define BACKPORTS_MAKEFILE_STREAM_H

#include "gil.h"
#include "state.h"
#include "transfer.h"

typedef struct {
    PyObject_HEAD
    PyObject *dict;        /* Owned: the instance dict, or NULL; with weakreflist the layout of */
    PyObject *weakreflist; /* _io._RawIOBase.  Borrowed references */
    /* Owned.  NULL: not set yet, or deleted.  Any object may be put into them. */
    PyObject *sock;             /* the Python socket object; None once closed */
    PyObject *csocket;          /* 2.7: the C socket that keeps the descriptor open, or NULL */
    PyObject *mode;             /* "rb", "wb", "rwb" */
    PyObject *reading;          /* True, False */
    PyObject *writing;          /* True, False */
    PyObject *timeout_occurred; /* True: no read will be tried again */
    makefile_state *state;      /* Owned by its module, of which the stream holds a reference */
    transfer_history history;
    char closed;
    char unfinished; /* makefile() is at work: closing takes the count back, and tells nobody */
    char wrapping;   /* a constructor of the interpreter's own Buffered types has it */
    unsigned char reference; /* reference_kind: how the sock counts this file */
    unsigned char answered;  /* 2.7: for which methods the sock answers with csocket's own */
} SocketIO;

/* The owned fields that the collector sees. */
#define STREAM_FIELDS(X) X(sock) X(csocket) X(mode) X(reading) X(writing) X(timeout_occurred)

typedef enum { OPERATION_READ, OPERATION_WRITE, OPERATION_ANY } operation;

/* Methods hold their stream and their argument: who calls may only borrow them (functools.partial
   does), and let them go meanwhile.  errno is set last, since to let go may run any code: where a
   method returns None for "would block", BufferedWriter reads errno after the call. */
static inline PyObject *
method_result(PyObject *result)
{
    if (result == Py_None) {
        errno = EAGAIN;
    }
    return result;
}

#define METHOD_NOARGS(name, function)              \
    PyObject *name(PyObject *op, PyObject *unused) \
    {                                              \
        PyObject *result;                          \
                                                   \
        (void)unused;                              \
        Py_INCREF(op);                             \
        result = function((SocketIO *)op);         \
        Py_DECREF(op);                             \
        return method_result(result);              \
    }

#define METHOD_O(name, function)                     \
    PyObject *name(PyObject *op, PyObject *argument) \
    {                                                \
        PyObject *result;                            \
                                                     \
        Py_INCREF(op);                               \
        Py_INCREF(argument);                         \
        result = function((SocketIO *)op, argument); \
        Py_DECREF(argument);                         \
        Py_DECREF(op);                               \
        return method_result(result);                \
    }

/* Is it of exactly our type, on which nobody has set anything? */
static inline int
stream_is_exact(const SocketIO *self)
{
    return (PyObject *)Py_TYPE(self) == self->state->socketio_type &&
           class_version(Py_TYPE(self)) == self->state->socketio_version;
}

/* Can no method of this stream have been overridden? */
static inline int
stream_is_plain(const SocketIO *self)
{
    return stream_is_exact(self) && (self->dict == NULL || PyDict_Size(self->dict) == 0);
}

/* A new reference to the field, or NULL with AttributeError, as for an attribute of that name. */
INTERNAL PyObject *stream_get_field(SocketIO *self, PyObject **field, const char *name);

/* Sets the field to a new reference to value (NULL deletes it). */
INTERNAL void stream_set_field(SocketIO *self, PyObject **field, PyObject *value);

/* What Python's `self.name = value` does, without the detour for the exact type.  0, or -1. */
INTERNAL int stream_set_attribute(SocketIO *self, PyObject **field, PyObject *name,
                                  PyObject *value);

/* `self.closed` as Python sees it: 0, 1, or -1 with an exception. */
INTERNAL int stream_closed(SocketIO *self);

/* Has a stream that is plain and open the direction, and did no read time out? */
static inline int
stream_is_fit(const SocketIO *self, operation wanted)
{
    switch (wanted) {
        case OPERATION_READ:
            return FIELD_LOAD(self->reading) == Py_True &&
                   FIELD_LOAD(self->timeout_occurred) == Py_False;
        case OPERATION_WRITE:
            return FIELD_LOAD(self->writing) == Py_True;
        case OPERATION_ANY:
            break;
    }
    return 1;
}

/* stream_begin for a stream that is not plain, or not fit: asks as the interpreter's own does, in
   its order, so that its words come out. */
INTERNAL SELDOM PyObject *stream_begin_by_name(SocketIO *self, operation wanted);

/* An operation begins.  A new reference to the sock if the stream is open, has the direction, and
   no read timed out; else NULL with the interpreter's own exception, or what its check raised
   (gil.h). */
static inline PyObject *
stream_begin(SocketIO *self, operation wanted)
{
    PyObject *sock = NULL;

    if (gil_check_now_and_then(self->state, &self->history.operations) < 0) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(self);
    if (stream_is_plain(self) && !FIELD_LOAD(self->closed) && stream_is_fit(self, wanted)) {
        sock = Py_XNewRef(FIELD_LOAD(self->sock));
    }
    Py_END_CRITICAL_SECTION();
    return sock != NULL ? sock : stream_begin_by_name(self, wanted);
}

/* After a read timed out no later one is tried: a part of a message may be lost.  Keeps the
   exception that is set. */
INTERNAL void stream_poison(SocketIO *self);

/* Is this our own C function, bound to this very stream? */
INTERNAL int stream_is_own_method(SocketIO *self, PyObject *method, PyCFunction function);

#endif
