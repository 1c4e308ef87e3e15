/* csocket.h: what is known of the interpreter's own C socket, `_socket.socket`. */
#ifndef BACKPORTS_MAKEFILE_CSOCKET_H
#define BACKPORTS_MAKEFILE_CSOCKET_H

#include "compat.h"
#include "paths.h"

/* The one switch of the direct path.  Elsewhere every operation calls the socket's own methods,
   until that was tested there: MSG_DONTWAIT has to be honoured by recv and by send. */
#ifdef __linux__
#define HAVE_DIRECT_PATH 1
#else
#define HAVE_DIRECT_PATH 0
#endif

typedef struct {
    PyTypeObject *type;       /* Owned: _socket.socket */
    PyMethodDef *recv_into;   /* Borrowed from the type, which is immutable */
    PyMethodDef *send;        /* Borrowed */
    PyCFunction gettimeout;   /* float or None gettimeout(csocket, NULL) */
    Py_ssize_t descriptor_at; /* bytes from the object's start; 0: not known, no direct path */
    uint64_t
        unchanged_version; /* of the class that was seen last to inherit both methods; 0: none */
} csocket_knowledge;

/* Looks everything up.  0, or -1 with an exception set. */
INTERNAL int csocket_learn(csocket_knowledge *known);

/* The C socket that the method is bound to, borrowed, if it is the interpreter's own method of this
   definition and its work can be done directly; else NULL. */
static inline PyObject *
csocket_of_method(const csocket_knowledge *known, PyObject *method, const PyMethodDef *definition)
{
    return HAVE_DIRECT_PATH && known->descriptor_at != 0 && PyCFunction_Check(method) &&
                   ((PyCFunctionObject *)method)->m_ml == definition
               ? PyCFunction_GET_SELF(method)
               : NULL;
}

/* The descriptor as it is at this moment, -1 for a closed socket.  Needs no GIL, and is read after
   that was given up: a number read before may be another socket's by then. */
static inline int
csocket_descriptor(const csocket_knowledge *known, PyObject *csocket)
{
    const char *at = (const char *)csocket + known->descriptor_at;

#if defined(__GNUC__)
    return __atomic_load_n((const int *)(const void *)at, __ATOMIC_RELAXED);
#else
    return *(const volatile int *)(const void *)at;
#endif
}

/* Does the object derive from the C socket by one class of Python, with attributes found in
   Python's usual way and none of its own, as a socket.socket does?  Then only that class can put
   something before the C socket's methods. */
static inline int
csocket_is_below_one_class(const csocket_knowledge *known, PyObject *object)
{
#ifdef Py_GIL_DISABLED
    (void)known, (void)object; /* another thread may be changing the classes */
    return 0;
#else
    PyTypeObject *type = Py_TYPE(object);
    PyObject *mro = type->tp_mro;

    return type->tp_getattro == PyObject_GenericGetAttr && type->tp_dictoffset == 0 &&
           mro != NULL && PyTuple_GET_SIZE(mro) == 3 &&
           PyTuple_GET_ITEM(mro, 0) == (PyObject *)type &&
           PyTuple_GET_ITEM(mro, 1) == (PyObject *)known->type;
#endif
}

/* csocket_methods_are_inherited for a class that is not the one remembered. */
INTERNAL SELDOM int csocket_learn_class(csocket_knowledge *known, PyTypeObject *type);

/* Are `recv_into` and `send` of this object what _socket.socket has under these names: is its class
   the C socket's, or the one class below, without such names?  socket.socket is remembered by its
   version, which changes with every change of it and is no other class's.  An exception is never
   set. */
static inline int
csocket_methods_are_inherited(csocket_knowledge *known, PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);

    if (!HAVE_DIRECT_PATH || known->descriptor_at == 0) {
        return 0;
    }
    if (!csocket_is_below_one_class(known, object)) {
        return type == known->type;
    }
    if (known->unchanged_version != 0 && known->unchanged_version == class_version(type)) {
        COUNT_PATH(class_remembered);
        return 1;
    }
    return csocket_learn_class(known, type);
}

#endif
