/* _makefile.c: the extension module backports.makefile._makefile.

   The package gives a socket, or an object that is like one, Python 3's makefile().  The Text and
   Buffered objects are the interpreter's own; what is here is the raw stream under them, SocketIO,
   and the function that puts them together.

   The rooms, and the way of a byte through them.  Each calls those to its right and below, and none
   calls back up, but for the sock's own methods in Python.

       _makefile.c ----> makefile.c --> TextIOWrapper --> BufferedReader ...   (the interpreter's)
       module, init      arguments,              |
             |           composing               v
             |               |      +--------- socketio.c ----------+   the type, closing, its life
             |               |      |              |                |
             |               |   reading.c     writing.c       reference.c   who counts open files
             |               |      |              |
             |               |      +- endpoint.c -+   direct, or the sock's own method?
             |               |            |       |
             |               |      direct|       |delegating
             |               |            v       v
             |               |      transfer.c   sock.recv_into(buffer), sock.send(buffer)
             |               |       |   |   |       or tls.c: what ssl.SSLSocket's own do
             |               |   gil.c   |  signals.c
             v               v           v
          state.c: what is looked up once     csocket.c: the interpreter's C socket
          compat.h: what differs between the Pythons

   The two paths.  At every operation endpoint.c looks up `recv_into` or `send` on the sock, as
   Python would.  If what comes back is the interpreter's own C method, its work is done directly on
   the descriptor of the C socket that it is bound to: with a timeout that is one system call in the
   place of two, and the GIL is kept for what is ready.  Otherwise that is called; where it is
   ssl.SSLSocket's own function of Python, the object in C that it would call is called at once.
   Nothing about the sock is kept from one operation to the next, so nobody can tell the paths apart
   but by speed; and a TLS socket is never read past its own methods.

   Who owns what.

       module <---- type SocketIO <---- stream ----> sock, the Python socket object
         |                                |              |
       state                              |              +-- its counter of open files: += 1 when
         |                                |                  makefile() made the stream, and told
         +-- borrowed by the stream, -----+                  once when it closes (reference.c)
             which holds the module

   A stream owns its sock until it is closed, and never the descriptor: to close that is the sock's
   business, when it was asked to close and its last file is.

   The GIL.  What does not wait keeps it; what waits gives it up, a read after a moment in which the
   answer may come; and every 32 operations the interpreter looks whether anybody wants something:
   see gil.h. */
#include "gil.h"
#include "makefile.h"
#include "paths.h"
#include "socketio.h"
#include "state.h"

/* Registers `type` with the abstract class, if it is one that takes it: install() puts our own
   there. */
static int
register_with(const char *module_name, const char *name, PyObject *type)
{
    PyObject *abstract = import_attribute(module_name, name), *str_register = NULL, *method = NULL;
    PyObject *registered = NULL;
    attr_found found = ATTR_ERROR;

    if (abstract != NULL && (str_register = Str_FromString("register")) != NULL) {
        found = object_get_optional_attr(abstract, str_register, &method);
    }
    if (method != NULL) {
        registered = PyObject_CallOneArg(method, type);
        found = registered == NULL ? ATTR_ERROR : ATTR_FOUND;
    }
    Py_XDECREF(registered);
    Py_XDECREF(method);
    Py_XDECREF(str_register);
    Py_XDECREF(abstract);
    return found == ATTR_ERROR ? -1 : 0;
}

/* isinstance() says yes to what programs ask for.  At every import: each interpreter has abstract
   classes of its own. */
static int
register_type(const makefile_state *state)
{
    if (register_with("io", "RawIOBase", state->socketio_type) < 0) {
        return -1;
    }
    return PYTHON2 ? 0 : register_with("socket", "SocketIO", state->socketio_type);
}

static int
make_types(makefile_state *state, PyObject *module)
{
    PyTypeObject *raw_io_base = (PyTypeObject *)import_attribute("_io", "_RawIOBase");

    if (raw_io_base != NULL) {
        state->socketio_type = (PyObject *)socketio_type_new(module, raw_io_base);
        Py_DECREF(raw_io_base);
    }
    if (state->socketio_type != NULL) {
        state->socketio_version = class_version_of((PyTypeObject *)state->socketio_type);
    }
    if (state->socketio_type == NULL ||
        (state->callable_type = (PyObject *)makefile_type_new(module)) == NULL ||
        (state->backport_makefile = makefile_new(state)) == NULL) {
        return -1;
    }
    return 0;
}

static int
add_object(PyObject *module, const char *name, PyObject *value)
{
    Py_INCREF(value);
    if (PyModule_AddObject(module, name, value) < 0) {
        Py_DECREF(value);
        return -1;
    }
    return 0;
}

/* 0, or -1 with an exception set. */
static int
module_exec(PyObject *module)
{
    makefile_state *state = state_of_module(module);

    gil_setup(state);
    if (state->backport_makefile == NULL &&
        (state_fill(state) < 0 || make_types(state, module) < 0)) {
        if (!HAVE_MODULE_STATE) {
            state_clear(state); /* the next import begins anew; a module takes its state with it */
        }
        return -1;
    }
    if (state_refresh(state) < 0 || register_type(state) < 0 ||
        add_object(module, "SocketIO", state->socketio_type) < 0 ||
        add_object(module, "backport_makefile", state->backport_makefile) < 0) {
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(module_doc, "The C implementation of backports.makefile.");

#if PYTHON2
PyMODINIT_FUNC
init_makefile(void)
{
    PyObject *module = Py_InitModule3("_makefile", path_methods(), module_doc);

    if (module != NULL) {
        (void)module_exec(module);
    }
}
#else
#if HAVE_MODULE_STATE
static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    makefile_state *state = PyModule_GetState(module);

    return state == NULL ? 0 : state_traverse(state, visit, arg);
}

/* No m_clear: a stream that the collector took apart together with the module may still close
   itself. The types' own clear breaks the cycle. */
static void
module_free(void *module)
{
    makefile_state *state = PyModule_GetState(module);

    if (state != NULL) {
        state_clear(state);
    }
}
#endif

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, SLOT_FUNCTION(module_exec)},
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_MOD_GIL_NOT_USED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef makefile_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "backports.makefile._makefile",
    .m_doc = module_doc,
    .m_slots = module_slots,
#if HAVE_MODULE_STATE
    .m_size = sizeof(makefile_state),
    .m_traverse = module_traverse,
    .m_free = module_free,
#endif
};

PyMODINIT_FUNC
PyInit__makefile(void)
{
    makefile_module.m_methods = path_methods();
    return PyModuleDef_Init(&makefile_module);
}
#endif
