/* signals.h: what is raised while bytes have been sent whose number is not told yet.

   The caller of a write has to learn how many bytes went out.  So what a handler raises after the
   first of them is put by: the write returns its count, and the exception follows with the stream's
   next operation, or with the next look of the interpreter that is at another instruction than the
   one that called the write (a pending call).  Only the main thread runs handlers.

   A BufferedWriter goes on by itself after a part of its bytes; nothing has to be put by for it. */
#ifndef BACKPORTS_MAKEFILE_SIGNALS_H
#define BACKPORTS_MAKEFILE_SIGNALS_H

#include "state.h"

/* Runs the handlers of signals that came.  Returns 1 if one of them raised, which is put by; else
   0.  No exception is set afterwards. */
INTERNAL int signals_serve_deferring(makefile_state *state);

/* Raises what was put by in this thread and interpreter.  0 if there is none, -1 with the
   exception. */
INTERNAL int signals_raise_deferred(makefile_state *state);

#endif
