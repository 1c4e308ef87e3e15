/* csocket.c: see csocket.h. */
#include "csocket.h"

/* Finds the C method `name` of the type.  NULL with an exception set if there is none that
   stays. */
static PyMethodDef *
find_method(PyTypeObject *type, PyTypeObject *descriptor_type, const char *name)
{
    PyObject *descriptor = PyObject_GetAttrString((PyObject *)type, name);
    PyMethodDef *definition = NULL;

    if (descriptor == NULL) {
        return NULL;
    }
    if (Py_TYPE(descriptor) == descriptor_type && type_is_immutable(type)) {
        definition = ((PyMethodDescrObject *)descriptor)->d_method;
    }
    else { /* unreached: some later Python's */
        PyErr_Format(PyExc_ImportError, "_socket.socket.%s is not a C method that stays", name);
    }
    Py_DECREF(descriptor); /* the type keeps it */
    return definition;
}

static int
find_methods(csocket_knowledge *known)
{
    /* 2.7 does not export the type of method descriptors. */
    PyObject *append = PyObject_GetAttrString((PyObject *)&PyList_Type, "append");
    PyMethodDef *gettimeout;

    if (append == NULL) {
        return -1;
    }
    Py_DECREF(append);
    if ((known->recv_into = find_method(known->type, Py_TYPE(append), "recv_into")) == NULL ||
        (known->send = find_method(known->type, Py_TYPE(append), "send")) == NULL ||
        (gettimeout = find_method(known->type, Py_TYPE(append), "gettimeout")) == NULL) {
        return -1;
    }
    if (gettimeout->ml_flags != METH_NOARGS) { /* unreached: some later Python's */
        PyErr_SetString(PyExc_ImportError, "_socket.socket.gettimeout takes arguments");
        return -1;
    }
    known->gettimeout = gettimeout->ml_meth;
    return 0;
}

/* Does the field of a new C socket have what fileno() says, before and after this method, which
   ends it?  What the method returns is given to `close`, if there is one.  1, 0, or -1 with an
   exception. */
static int
field_follows(const csocket_knowledge *known, const char *method, PyObject *close)
{
    PyObject *csocket = PyObject_CallObject((PyObject *)known->type, NULL);
    PyObject *number = csocket == NULL ? NULL : PyObject_CallMethod(csocket, "fileno", NULL);
    int same =
        number == NULL ? -1 : csocket_descriptor(known, csocket) == (int)PyLong_AsLong(number);
    PyObject *result = same < 0 ? NULL : PyObject_CallMethod(csocket, (char *)method, NULL);
    PyObject *closed = result == NULL || close == NULL ? NULL : PyObject_CallOneArg(close, result);

    if (result == NULL || (close != NULL && closed == NULL)) {
        same = -1;
    }
    else if (csocket_descriptor(known, csocket) != -1) {
        same = 0; /* unreached: some later Python's */
    }
    Py_XDECREF(closed);
    Py_XDECREF(result);
    Py_XDECREF(number);
    Py_XDECREF(csocket);
    return same;
}

/* The same for all that ends one. */
static int
verify_field(const csocket_knowledge *known)
{
    int same = field_follows(known, "close", NULL);
#if !PYTHON2
    if (same > 0) {
        PyObject *os = PyImport_ImportModule("os");
        PyObject *close = os == NULL ? NULL : PyObject_GetAttrString(os, "close");

        same = close == NULL ? -1 : field_follows(known, "detach", close);
        Py_XDECREF(close);
        Py_XDECREF(os);
    }
#endif
    return same;
}

/* Where the descriptor is: the first field of the object, as _socket's own methods take it.  A
   machine that has no socket to look at gets no direct path; only want of memory, and what is no
   error, come out. */
static int
find_descriptor(csocket_knowledge *known)
{
    int same;

    known->descriptor_at = (Py_ssize_t)sizeof(PyObject);
    same = verify_field(known);
    if (same > 0) {
        return 0;
    }
    known->descriptor_at = 0;
    if (same < 0) {
        if (!raised_matches(PyExc_Exception) || raised_matches(PyExc_MemoryError)) {
            return -1;
        }
        PyErr_Clear();
    }
    return 0;
}

int
csocket_learn_class(csocket_knowledge *known, PyTypeObject *type)
{
    const char *const names[] = {"recv_into", "send"};
    uint64_t version = class_version_of(type);
    PyObject *key, *value;
    Py_ssize_t position = 0;
    size_t i;

    COUNT_PATH(class_searched);
    while (PyDict_Next(type->tp_dict, &position, &key, &value)) {
        if (!Str_CheckExact(key)) {
            return 0; /* an odd key may change its mind about being the name */
        }
        for (i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (Str_EqualsAscii(key, names[i])) {
                return 0;
            }
        }
    }
    known->unchanged_version = version;
    return 1;
}

int
csocket_learn(csocket_knowledge *known)
{
    PyObject *module = PyImport_ImportModule("_socket");

    if (module == NULL) {
        return -1;
    }
    known->type = (PyTypeObject *)PyObject_GetAttrString(module, "socket");
    Py_DECREF(module);
    if (known->type == NULL || find_methods(known) < 0) {
        return -1;
    }
    return HAVE_DIRECT_PATH ? find_descriptor(known) : 0;
}
