/* transfer.h: bytes through the descriptor of the interpreter's C socket.

   The direct path of SocketIO.  Everything that has to do with a system call is here: the attempt, the wait, the deadline,
   signals, and who holds the GIL meanwhile.  Nothing here knows of streams, and nothing outside makes a system call. */
#ifndef BACKPORTS_MAKEFILE_TRANSFER_H
#define BACKPORTS_MAKEFILE_TRANSFER_H

#include "compat.h"

/* The one switch of the direct path.  Elsewhere everything is delegated to the socket's own methods, until it was tested
   there: MSG_DONTWAIT has to be honoured by recv and by send. */
#ifdef __linux__
#define HAVE_DIRECT_PATH 1
#else
#define HAVE_DIRECT_PATH 0
#endif

/* One of the interpreter's own methods of `_socket.socket`: by what it is known once bound, and the last type that was seen to inherit
   it. */
typedef struct {
    PyMethodDef *definition;
    type_memo heir;
} csocket_method;

/* Those by which a C socket is known and asked. */
typedef struct {
    csocket_method recv_into, send;
    PyCFunction fileno;     /* int fileno(csock, NULL) */
    PyCFunction gettimeout; /* float or None gettimeout(csock, NULL) */
} csocket_methods;

/* How long transfers have kept the GIL at a stretch, so that other threads get their turn. */
typedef struct {
    int until_look;      /* operations that may go by before one looks at signals, and at the clock if the GIL was kept */
    int kept;            /* an attempt has kept it since the last look, and none gave it up after that */
    long long began_ns;  /* monotonic: the first look since a transfer gave it up, 0 before it; */
    long long dense_ns;  /* since when looks follow each other closely; */
    long long looked_ns; /* and the last one */
    unsigned int forks;  /* as many as led to the process in which the next two were counted */
    int moving;          /* atomic: transfers that gave it up for a system call which does not wait */
    int returning;       /* atomic: transfers that are through with their system call, and wait for it */
} gil_turn;

/* What transfers need besides the socket and the bytes.  One per interpreter. */
typedef struct {
    csocket_methods methods;
    gil_turn turn;
    PyObject *timeout_error; /* borrowed: raised with "timed out" when the deadline has passed */
    PyObject *socket_error;  /* borrowed: raised with errno and text */
} transfer_context;

/* What a send that ended early leaves for the next transfer of its stream.  All 0: nothing. */
typedef struct {
    long long stalled_ns; /* monotonic: since when no byte was taken, if the timeout has passed since then; */
    long long ended_ns;   /* and when the send ended */
    int error;            /* the errno that ended it; the kernel tells it only once */
} transfer_rest;

enum { TRANSFER_ERROR = -1, TRANSFER_WOULD_BLOCK = -2 };

/* Once per process, before the first transfer; more often does no harm. */
INTERNAL void transfer_setup(void);

/* Lets other threads have the GIL if it was kept for long, and runs the handlers of signals that came.  0, or -1 with what one of them
   raised. */
INTERNAL SELDOM int transfer_look(transfer_context *context);

/* The same now and then: the loops of io that call us do not look at signals, and what waits does each time.  It is the first thing that
   an operation does, so that what others change meanwhile holds for this one. */
static inline int
transfer_begin(transfer_context *context)
{
#if !HAVE_DIRECT_PATH
    (void)context;
    return 0; /* the socket's own methods look */
#elif defined(Py_GIL_DISABLED)
    return transfer_look(context);
#else
    return --context->turn.until_look > 0 ? 0 : transfer_look(context);
#endif
}

/* Receives once into `buffer`, waiting as the socket's timeout allows.  Returns the number of bytes (0: end of stream, or
   nbytes is 0, for which there is no system call), TRANSFER_WOULD_BLOCK, or TRANSFER_ERROR with an exception set.
   Called with the GIL, which it may release; the caller keeps csock and buffer alive. */
INTERNAL Py_ssize_t transfer_recv(transfer_context *context, PyObject *csock, void *buffer, Py_ssize_t nbytes,
                                  transfer_rest *rest);

/* Sends until all is taken, the socket would block, its timeout has passed over the whole, a signal came, or, after some bytes, the
   socket has an error to tell.  Returns how many bytes were taken, if any were (or nbytes is 0); else TRANSFER_WOULD_BLOCK, or
   TRANSFER_ERROR with an exception set.  No Python code runs once a byte was taken, so the count cannot be lost.  GIL and ownership
   as above. */
INTERNAL Py_ssize_t transfer_send(transfer_context *context, PyObject *csock, const void *buffer, Py_ssize_t nbytes,
                                  transfer_rest *rest);

/* The monotonic clock that the deadlines are on, in nanoseconds; 0 without a direct path. */
INTERNAL long long transfer_clock_ns(void);

#endif
