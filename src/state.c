/* state.c: see state.h. */
#include "state.h"

#if !HAVE_MODULE_STATE
static makefile_state static_state;
#endif

makefile_state *
state_of(PyTypeObject *type, destructor own_dealloc)
{
#if HAVE_MODULE_STATE
    PyObject *module;

    while (type->tp_dealloc != own_dealloc) {
        type = type->tp_base; /* ours is among them: only its tp_new comes here */
    }
    module = PyType_GetModule(type);
    return module == NULL ? NULL : PyModule_GetState(module);
#else
    (void)type, (void)own_dealloc;
    return &static_state;
#endif
}

makefile_state *
state_of_module(PyObject *module)
{
#if HAVE_MODULE_STATE
    makefile_state *state = PyModule_GetState(module);

    state->module = module;
    return state;
#else
    (void)module;
    return &static_state;
#endif
}

PyObject *
import_attribute(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *value = module == NULL ? NULL : PyObject_GetAttrString(module, name);

    Py_XDECREF(module);
    return value;
}

/* The module of this name of the interpreter that runs now: a new reference, or NULL with an
   exception. Not by an import while it is there: 2.7's makes it anew when it gets no memory to look
   it up. */
static PyObject *
find_module(PyObject *name)
{
    PyObject *modules = PyImport_GetModuleDict(); /* Borrowed */
    PyObject *module = modules == NULL              ? NULL
                       : PyDict_CheckExact(modules) ? dict_get(modules, name)
                                                    : PyObject_GetItem(modules, name);

    if (module == NULL) {
        PyErr_Clear(); /* an import says what is wrong */
        module = PyImport_Import(name);
    }
    return module;
}

PyObject *
state_io_module(const makefile_state *state)
{
    return find_module(state->str_io);
}

/* Attribute `name` of a module of the interpreter that runs now: a new reference, or NULL. */
static PyObject *
module_attribute(PyObject *module_name, PyObject *name)
{
    PyObject *module = find_module(module_name);
    PyObject *value = module == NULL ? NULL : PyObject_GetAttr(module, name);

    Py_XDECREF(module);
    return value;
}

/* ---- Exceptions ------------------------------------------------------------------------------ */

PyObject *
state_timeout_error(const makefile_state *state)
{
    return state->timeout_error != NULL
               ? Py_NewRef(state->timeout_error)
               : module_attribute(state->str_module_csocket, state->str_timeout);
}

PyObject *
state_unsupported_operation(const makefile_state *state)
{
    return module_attribute(state->str_io, state->str_unsupported_operation);
}

int
state_timeout_is_raised(const makefile_state *state)
{
    raised_exception raised;
    PyObject *timeout;
    int is_timeout;

    raised_take(&raised); /* an import must not find it set */
    timeout = module_attribute(state->str_module_socket, state->str_timeout);
    if (timeout == NULL) {
        PyErr_Clear(); /* at exit the module is gone */
        timeout = state_timeout_error(state);
    }
    if (timeout == NULL) {
        raised_drop(&raised);
        return -1;
    }
    raised_restore(&raised);
    is_timeout = raised_matches(timeout);
    Py_DECREF(timeout);
    return is_timeout;
}

void
state_raise_timeout(const makefile_state *state)
{
    PyObject *timeout = state_timeout_error(state);

    if (timeout != NULL) {
        PyErr_SetString(timeout, "timed out");
        Py_DECREF(timeout);
    }
}

void
state_raise_errno(const makefile_state *state, int number)
{
    PyObject *error = PYTHON2 ? module_attribute(state->str_module_csocket, state->str_error)
                              : Py_NewRef(PyExc_IOError);

    if (error != NULL) {
        errno = number;
        PyErr_SetFromErrno(error);
        Py_DECREF(error);
    }
}

#if PYTHON2
int
state_is_python2_socket(const makefile_state *state, PyObject *object)
{
    PyObject *wanted = module_attribute(state->str_module_socket, state->str_python2_socket);
    int is_one = wanted == NULL ? -1 : PyObject_TypeCheck(object, (PyTypeObject *)wanted);

    Py_XDECREF(wanted);
    return is_one;
}

int
state_is_python2_closed(PyObject *object)
{
    return strcmp(Py_TYPE(object)->tp_name, "_closedsocket") == 0;
}
#endif

/* ---- Looking up ------------------------------------------------------------------------------ */

static int
intern_names(makefile_state *state)
{
#define INTERN(name, spelling)                                          \
    if ((state->str_##name = Str_InternFromString(spelling)) == NULL) { \
        return -1;                                                      \
    }
    STATE_NAMES(INTERN)
#undef INTERN
    state->one = Int_FromLong(1);
    state->zero = Int_FromLong(0);
    state->would_block_errno = Int_FromLong(EAGAIN);
    state->interrupted_errno = Int_FromLong(EINTR);
    return state->interrupted_errno == NULL ? -1
                                            : 0; /* small ints: all are there, or none is made */
}

static int
find_io(makefile_state *state)
{
    PyObject *size = NULL;

    if ((HAVE_TEXT_ENCODING &&
         (state->text_encoding = import_attribute("io", "text_encoding")) == NULL) ||
        (state->buffered_reader = import_attribute("_io", "BufferedReader")) == NULL ||
        (state->buffered_writer = import_attribute("_io", "BufferedWriter")) == NULL ||
        (state->buffered_rw_pair = import_attribute("_io", "BufferedRWPair")) == NULL ||
        (size = import_attribute("_io", "DEFAULT_BUFFER_SIZE")) == NULL) {
        return -1;
    }
    state->chunk_nbytes = PyNumber_AsSsize_t(size, PyExc_OverflowError);
    Py_DECREF(size);
    return PyErr_Occurred() ? -1 : 0;
}

#if !PYTHON2
/* Does the function count in the way that reference.c knows: is it a function of the socket module
   that uses these names and no others?  1, 0, or -1 with an exception. */
static int
is_known_decref(const makefile_state *state, PyObject *function, PyObject *socket_module)
{
    PyObject *names, *used;
    int known;

    if (!PyFunction_Check(function) || PyFunction_GET_CLOSURE(function) != NULL ||
        PyFunction_GET_GLOBALS(function) != PyModule_GetDict(socket_module)) {
        return 0;
    }
    names = PyTuple_Pack(3, state->str_io_refs, state->str_closed_, state->str_close);
    used = names == NULL ? NULL : PyObject_GetAttrString(PyFunction_GET_CODE(function), "co_names");
    known = used == NULL ? -1 : PyObject_RichCompareBool(used, names, Py_EQ);
    Py_XDECREF(used);
    Py_XDECREF(names);
    return known;
}
#endif

/* How socket.socket counts its files down.  What something else was put in the place of stays
   NULL. */
static int
find_socket_counter(makefile_state *state)
{
    int status = 0;
#if !PYTHON2
    PyObject *module = PyImport_ImportModule("socket"), *decref = NULL;
    PyObject *socket = module == NULL ? NULL : PyObject_GetAttrString(module, "socket");

    status = socket == NULL
                 ? -1
                 : (int)object_get_optional_attr(socket, state->str_decref_socketios, &decref);
    Py_XSETREF(state->socket_decref, decref);
    Py_CLEAR(state->socket_decref_code);
    if (status > 0) {
        status = PyModule_Check(module) ? is_known_decref(state, decref, module) : 0;
    }
    if (status > 0) {
        state->socket_decref_code = Py_NewRef(PyFunction_GET_CODE(decref));
    }
    Py_XDECREF(socket);
    Py_XDECREF(module);
#else
    (void)state;
#endif
    return status < 0 ? -1 : 0;
}

static int
find_finalizer_reporting(makefile_state *state)
{
    state->reports_finalizer_errors = REPORTS_FINALIZER_ERRORS == 1;
#if REPORTS_FINALIZER_ERRORS == 2
#ifdef Py_DEBUG
    state->reports_finalizer_errors = 1;
#else
    {
        PyObject *flags = PySys_GetObject("flags"); /* Borrowed */
        PyObject *dev_mode = flags == NULL ? NULL : PyObject_GetAttrString(flags, "dev_mode");

        if (flags == NULL) {
            PyErr_NoMemory(); /* PySys_GetObject does not say so */
        }
        state->reports_finalizer_errors = dev_mode == NULL ? -1 : PyObject_IsTrue(dev_mode);
        Py_XDECREF(dev_mode);
    }
#endif
#endif
    return state->reports_finalizer_errors < 0 ? -1 : 0;
}

int
state_fill(makefile_state *state)
{
    if (intern_names(state) < 0 || find_io(state) < 0 ||
        (state->interpreter_check =
             import_attribute("backports.makefile._check", "interpreter_check")) == NULL ||
        (state->raw_read = import_attribute("_io", "_RawIOBase")) == NULL) {
        return -1;
    }
    Py_SETREF(state->raw_read, PyObject_GetAttr(state->raw_read, state->str_read));
    if (state->raw_read == NULL || csocket_learn(&state->csocket) < 0 ||
        find_finalizer_reporting(state) < 0) {
        return -1;
    }
    if (HAVE_MODULE_STATE &&
        ((state->timeout_error = import_attribute("_socket", "timeout")) == NULL ||
         (state->counts_refs = import_attribute("backports.makefile._inspect", "counts_refs")) ==
             NULL ||
         (state->tls_known_functions =
              import_attribute("backports.makefile._tls", "known_functions")) == NULL)) {
        return -1;
    }
    return 0;
}

int
state_refresh(makefile_state *state)
{
    return find_socket_counter(state);
}

int
state_traverse(makefile_state *state, visitproc visit, void *arg)
{
#define VISIT_NAME(name, spelling) Py_VISIT(state->str_##name);
#define VISIT_OBJECT(name) Py_VISIT(state->name);
    STATE_NAMES(VISIT_NAME)
    STATE_OBJECTS(VISIT_OBJECT)
#undef VISIT_NAME
#undef VISIT_OBJECT
    Py_VISIT(state->csocket.type);
    return 0;
}

void
state_clear(makefile_state *state)
{
#define CLEAR_NAME(name, spelling) Py_CLEAR(state->str_##name);
#define CLEAR_OBJECT(name) Py_CLEAR(state->name);
    STATE_NAMES(CLEAR_NAME)
    STATE_OBJECTS(CLEAR_OBJECT)
#undef CLEAR_NAME
#undef CLEAR_OBJECT
    Py_CLEAR(state->csocket.type);
}
