/* paths.h: which way the operations of this process went, counted for the tests.

   Compiled in only where MAKEFILE_COUNT_PATHS is defined; the module has path_counts() then. */
#ifndef BACKPORTS_MAKEFILE_PATHS_H
#define BACKPORTS_MAKEFILE_PATHS_H

#include "compat.h"

#ifdef MAKEFILE_COUNT_PATHS
#define PATHS(X)                                                             \
    X(direct)           /* operations on the descriptor */                   \
    X(method)           /* operations by the sock's own method */            \
    X(tls)              /* operations by the C object of an ssl.SSLSocket */ \
    X(class_remembered) /* a class that is known to inherit both methods */  \
    X(class_searched)   /* a class that was searched for them */             \
    X(gil_kept)         /* system calls with the GIL */                      \
    X(gil_given_up)     /* system calls without it, waits among them */      \
    X(moment)           /* waits that began with the GIL */                  \
    X(check)            /* checks of the interpreter */

#define PATH(name) PATH_##name,
enum { PATHS(PATH) N_PATHS };
#undef PATH

INTERNAL extern unsigned long path_counts[N_PATHS];

#define COUNT_PATH(name) ((void)__atomic_add_fetch(&path_counts[PATH_##name], 1, __ATOMIC_RELAXED))

/* path_counts(): a dict of what was counted, by name. */
INTERNAL PyMethodDef *path_methods(void);
#else
#define COUNT_PATH(name) ((void)0)
#define path_methods() NULL
#endif

#endif
