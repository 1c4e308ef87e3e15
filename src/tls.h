/* tls.h: what ssl.SSLSocket's own `recv_into` and `send` do, without their frames.

   Both are functions of Python that hand the work to an object in C, the sock's `_sslobj`.  Where a
   sock answers with one of them, and nothing that they use was changed in the class or in the
   object, `_sslobj` is called at once. */
#ifndef BACKPORTS_MAKEFILE_TLS_H
#define BACKPORTS_MAKEFILE_TLS_H

#include "stream.h"

/* Before 3.9 the state is the process's, and functions are one interpreter's; without a GIL another
   thread may be changing the class. */
#if HAVE_MODULE_STATE && !defined(Py_GIL_DISABLED)
#define HAVE_TLS_PATH 1
#else
#define HAVE_TLS_PATH 0
#endif

#if HAVE_TLS_PATH
/* method(argument), if the method is ssl.SSLSocket's own: 1, and *result is a new reference, or
   NULL with an exception.  0 if the method has to be called. */
INTERNAL int tls_transfer(makefile_state *state, PyObject *method, PyObject *argument,
                          operation kind, PyObject **result);
#else
#define tls_transfer(state, method, argument, kind, result) 0
#endif

#endif
