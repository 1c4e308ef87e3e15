/* endpoint.h: what a stream's sock answers with, at every operation anew.

   The one place that decides: the direct path, or the sock's own method.  Nothing about the sock is
   kept between operations, so nobody can tell the paths apart but by speed. */
#ifndef BACKPORTS_MAKEFILE_ENDPOINT_H
#define BACKPORTS_MAKEFILE_ENDPOINT_H

#include "stream.h"

typedef enum {
    ENDPOINT_ERROR,  /* an exception is set */
    ENDPOINT_DIRECT, /* do the work of the interpreter's own method on `csocket` */
    ENDPOINT_METHOD  /* call `method` */
} endpoint_kind;

typedef struct {
    PyObject *csocket; /* Borrowed from the sock or the method; with ENDPOINT_DIRECT */
    void *start;       /* Borrowed from the argument, with ENDPOINT_DIRECT, */
    Py_ssize_t nbytes; /* which has so many */
    PyObject *method;  /* Owned; NULL when it did not have to be made */
    int has_view;
    Py_buffer view; /* Owned, if `has_view` */
} endpoint;

/* Looks up the sock's `recv_into` (for OPERATION_READ) or `send` exactly as Python would.  `buffer`
   is the argument that it is for, or NULL.  An argument that the direct path cannot take is handed
   to the method, so that its own result or error comes out.  endpoint_release() afterwards, in any
   case. */
INTERNAL endpoint_kind endpoint_find(endpoint *found, SocketIO *self, PyObject *sock,
                                     operation kind, PyObject *buffer);

static inline void
endpoint_release(endpoint *found)
{
    if (found->has_view) {
        PyBuffer_Release(&found->view);
    }
    Py_XDECREF(found->method);
}

/* method(argument) of the sock.  Its result, untouched; a new reference to None where its error
   says that it would block; or NULL with its exception. */
INTERNAL PyObject *endpoint_call(SocketIO *self, PyObject *sock, PyObject *method,
                                 PyObject *argument, operation kind);

/* What an operation comes to whose sock raised the exception that is set: a new reference to None
   for "would block", or NULL with the exception.  A read that timed out has poisoned the stream. */
INTERNAL PyObject *endpoint_error_result(SocketIO *self, operation kind);

typedef enum { BY_ERRNO, BY_FIRST_ARGUMENT } errno_source;

/* Is the exception that is set, and stays set, an error of the system with this number?  0 also
   where looking at it raised another, which is set then. */
INTERNAL int endpoint_error_is(const makefile_state *state, PyObject *number, errno_source source);

/* A new reference to an int for what a transfer returned, to None for "would block", or NULL. */
INTERNAL PyObject *endpoint_transfer_result(Py_ssize_t nbytes);

/* 2.7: learns for which methods a sock that is not counted answers with the C socket's own. */
INTERNAL void endpoint_learn(SocketIO *self, PyObject *sock);

#endif
