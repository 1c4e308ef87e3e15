/* makefile.h: backport_makefile, the function that is a method too. */
#ifndef BACKPORTS_MAKEFILE_MAKEFILE_H
#define BACKPORTS_MAKEFILE_MAKEFILE_H

#include "state.h"

/* Makes the type of the function.  A new reference, or NULL with an exception set. */
INTERNAL PyTypeObject *makefile_type_new(PyObject *module);

/* Makes the function, when the state has its type.  A new reference, or NULL with an exception
   set. */
INTERNAL PyObject *makefile_new(makefile_state *state);

#endif
