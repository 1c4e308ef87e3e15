/* socketio.h: SocketIO, the raw stream over a Python socket object, as its type and to
   makefile(). */
#ifndef BACKPORTS_MAKEFILE_SOCKETIO_H
#define BACKPORTS_MAKEFILE_SOCKETIO_H

#include "state.h"

/* Makes the type.  A new reference, or NULL with an exception: ImportError where the interpreter's
   _io._RawIOBase does not look as SocketIO continues it. */
INTERNAL PyTypeObject *socketio_type_new(PyObject *module, PyTypeObject *raw_io_base);

/* An open stream of exactly our type, with its reference on the sock taken.  A new reference, or
   NULL with an exception set and nothing counted.  Until socketio_finish(), whatever closes it
   takes the count back without a word to the sock's own close(). */
INTERNAL PyObject *socketio_open(makefile_state *state, PyObject *sock, int reading, int writing);
INTERNAL void socketio_finish(PyObject *raw);

/* Tells the stream whether a constructor of the interpreter's own Buffered types has it.  That asks
   `tell` where it is, and nobody else can meanwhile: it is spared the exception, which it would
   throw away. */
INTERNAL void socketio_set_wrapping(PyObject *raw, int wrapping);

/* Undoes socketio_open(state, sock, ...) for a file that never came to be, if that was not done
   yet.  An exception that is set stays. */
INTERNAL void socketio_abandon(makefile_state *state, PyObject *raw, PyObject *sock);

#endif
