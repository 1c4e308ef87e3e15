/* transfer.h: bytes through the descriptor of the interpreter's C socket.

   The direct path of SocketIO.  Everything that has to do with a system call is here: the attempt,
   the wait, the deadline.  Nothing here knows of streams, and nothing outside makes a system call.

   What holds for every function here: it is called with the GIL, which it gives up as gil.h says,
   and with no exception set.  The caller owns the C socket and the buffer, and keeps both until it
   returns. Another thread may close or detach the socket meanwhile: the descriptor is read
   immediately before each system call, after the GIL was given up.  EINTR runs the handlers of
   signals and is tried again with the time that is left. */
#ifndef BACKPORTS_MAKEFILE_TRANSFER_H
#define BACKPORTS_MAKEFILE_TRANSFER_H

#include "state.h"

/* What a stream's transfers leave for its next ones.  All 0: nothing. */
typedef struct {
    /* A send returned a part of its bytes when its timeout had passed. */
    long long stalled_ns; /* monotonic: since when no byte was taken; 0: there is no such send */
    long long ended_ns;   /* monotonic: when it returned */
    PyObject *csocket;    /* Borrowed, only compared: whose this is */
    int error;            /* an errno that the kernel tells once, met after some bytes were sent */
    unsigned char operations; /* since the interpreter's last check: see gil.h */
    int instruction;          /* 2.7: the interpreter's, when the last receive was made */
} transfer_history;

enum { TRANSFER_ERROR = -1, TRANSFER_WOULD_BLOCK = -2 };

/* Receives once into `buffer`, waiting as the socket's timeout allows.  Returns the number of bytes
   (0: end of stream, or nbytes is 0, for which there is no system call), TRANSFER_WOULD_BLOCK, or
   TRANSFER_ERROR with an exception set. */
INTERNAL Py_ssize_t transfer_recv(makefile_state *state, PyObject *csocket, void *buffer,
                                  Py_ssize_t nbytes, transfer_history *history);

/* Sends until all is taken, the socket would block, its timeout has passed over the whole, a signal
   came, or, after some bytes, the socket has an error to tell.  Returns how many bytes were taken,
   if any were (or nbytes is 0); else TRANSFER_WOULD_BLOCK, or TRANSFER_ERROR with an exception set.
   What a handler of a signal raises after the first byte is put by (signals.h), so the count is
   told.  `caller_goes_on`: a part is as good, and whoever wants the thread is heard before the
   rest. */
INTERNAL Py_ssize_t transfer_send(makefile_state *state, PyObject *csocket, const void *buffer,
                                  Py_ssize_t nbytes, int caller_goes_on, transfer_history *history);

#endif
