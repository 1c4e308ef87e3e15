/* reference.h: the reference that an open file holds on its Python socket object.

   Who counts, and how the count goes down again, depends on the socket; the table is in reference.c. */
#ifndef BACKPORTS_MAKEFILE_REFERENCE_H
#define BACKPORTS_MAKEFILE_REFERENCE_H

#include "state.h"

typedef enum {
    REFERENCE_NONE,          /* nothing was counted: SocketIO made directly, or a socket that is held by being held */
    REFERENCE_MAKEFILE_REFS, /* sock._makefile_refs, of a sock with _decref_socketios() */
    REFERENCE_BY_CLOSE,      /* sock._makefile_refs, of a sock without: its close() counts down */
    REFERENCE_IO_REFS        /* sock._io_refs */
} reference_kind;

/* Counts one more file on `sock` and tells where.  0, or -1 with an exception set and nothing counted. */
INTERNAL int reference_take(makefile_state *state, PyObject *sock, reference_kind *kind);

/* Takes back what reference_take counted, for a file that never came to be.  Nothing is closed but the interpreter's own socket whose
   last file this was, if it was closed before.  An exception that is set stays. */
INTERNAL void reference_restore(makefile_state *state, PyObject *sock, reference_kind kind);

/* Tells `sock` that a file of it was closed, which may close the socket.  0, or -1 with an exception set. */
INTERNAL int reference_release(makefile_state *state, PyObject *sock, reference_kind kind);

/* 2.7: the C socket that keeps the descriptor of this `socket.socket` open, a new reference.  NULL with no exception when
   there is none to hold. */
INTERNAL PyObject *reference_csocket(makefile_state *state, PyObject *sock);

#endif
