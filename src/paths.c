/* paths.c: see paths.h. */
#include "paths.h"

#ifdef MAKEFILE_COUNT_PATHS
unsigned long path_counts[N_PATHS];

static PyObject *
get_path_counts(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
#define FORMAT(name) "sk"
#define VALUE(name) , #name, path_counts[PATH_##name]
    return Py_BuildValue("{" PATHS(FORMAT) "}" PATHS(VALUE));
}

PyMethodDef *
path_methods(void)
{
    static PyMethodDef methods[] = {
        {"path_counts", get_path_counts, METH_NOARGS, NULL},
        {NULL, NULL, 0, NULL},
    };

    return methods;
}
#else
typedef int nothing; /* ISO C wants a declaration in each file */
#endif
