/* reference.h: the reference that an open file holds on its Python socket object.

   Who counts, and how the count goes down again, depends on the socket; the table is in
   reference.c. */
#ifndef BACKPORTS_MAKEFILE_REFERENCE_H
#define BACKPORTS_MAKEFILE_REFERENCE_H

#include "state.h"

typedef enum {
    REFERENCE_NONE, /* nothing is counted: SocketIO made directly, or the sock is just held */
    REFERENCE_MAKEFILE_REFS, /* sock._makefile_refs */
    REFERENCE_IO_REFS        /* sock._io_refs */
} reference_kind;

/* Counts one more file on `sock` and tells where.  0, or -1 with an exception and nothing
   counted. */
INTERNAL int reference_take(makefile_state *state, PyObject *sock, reference_kind *kind);

/* Takes back what reference_take counted, for a file that never came to be.  Nothing is closed but
   the interpreter's own socket whose last file this was, if it was closed before.  An exception
   that is set stays, but for one that is no error (KeyboardInterrupt), which gets it as its
   context. */
INTERNAL void reference_restore(makefile_state *state, PyObject *sock, reference_kind kind);

/* Tells `sock` that a file of it was closed, which may close the socket.  0, or -1 with an
   exception. */
INTERNAL int reference_release(makefile_state *state, PyObject *sock, reference_kind kind);

/* 2.7: the C socket that keeps the descriptor of this `socket.socket` open: *csocket is a new
   reference, or NULL for a sock that counts its files, and elsewhere.  0, or -1 with an
   exception. */
INTERNAL int reference_csocket(makefile_state *state, PyObject *sock, PyObject **csocket);

#endif
