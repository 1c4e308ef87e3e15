/* compat.h: everything that differs between the Pythons, and the only place that looks at PY_VERSION_HEX.

   Each shim names the version from which it can go.  The rest of src/ is written for the newest spelling. */
#ifndef BACKPORTS_MAKEFILE_COMPAT_H
#define BACKPORTS_MAKEFILE_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#if PY_VERSION_HEX >= 0x03000000 && PY_VERSION_HEX < 0x030B0000 /* Python.h has it from 3.11 on */
#include <longintrepr.h>
#endif

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- What a version can carry ---------------------------------------------------------------------------------- */

#if PY_VERSION_HEX >= 0x030B0000 /* PyType_GetModuleByDef: a subclass of our type finds the module it came from */
#define HAVE_MODULE_STATE 1
#else
#define HAVE_MODULE_STATE 0
#endif

#if PY_VERSION_HEX >= 0x03090000 /* public vectorcall, and heap types whose instances visit their type */
#define HAVE_VECTORCALL 1
#define HAVE_TYPE_VISIT 1
#else
#define HAVE_VECTORCALL 0
#define HAVE_TYPE_VISIT 0
#endif

#if PY_VERSION_HEX >= 0x03000000 /* the collector finalises before it clears, and heap types come from a spec */
#define HAVE_FINALIZE 1
#else
#define HAVE_FINALIZE 0
#endif

#if PY_VERSION_HEX >= 0x030D0000
#define REPORTS_FINALIZER_ERRORS 1 /* always, through sys.unraisablehook */
#elif PY_VERSION_HEX >= 0x03080000
#define REPORTS_FINALIZER_ERRORS 2 /* in development mode, and in debug builds */
#else
#define REPORTS_FINALIZER_ERRORS 0
#endif

#if PY_VERSION_HEX >= 0x030A0000
#define WOULD_BLOCK_SOURCE BY_ERRNO /* where the interpreter's SocketIO looks for EAGAIN in a socket's error */
#define HAVE_TEXT_ENCODING 1
#else
#define WOULD_BLOCK_SOURCE BY_FIRST_ARGUMENT
#define HAVE_TEXT_ENCODING 0
#endif

#if PY_VERSION_HEX >= 0x03000000
#define PYTHON2 0
#else
#define PYTHON2 1
#endif

#if PY_VERSION_HEX >= 0x030C0000
#define MEMBER_SSIZE_T Py_T_PYSSIZET
#define MEMBER_READONLY Py_READONLY
#elif PY_VERSION_HEX >= 0x03000000
#include <structmember.h>
#define MEMBER_SSIZE_T T_PYSSIZET
#define MEMBER_READONLY READONLY
#endif

/* Not for others to see, or to put their own in place of. */
#if defined(__GNUC__)
#define INTERNAL __attribute__((visibility("hidden")))
#else
#define INTERNAL
#endif

/* For a function that a small read or write nearly always does without: it stays out of their way, and costs them no registers. */
#if defined(__GNUC__)
#define SELDOM __attribute__((noinline, cold))
#else
#define SELDOM
#endif

/* What always holds, and saves the compiler a check. */
#if defined(__GNUC__)
#define ASSUME(condition)            \
    do {                             \
        if (!(condition)) {          \
            __builtin_unreachable(); \
        }                            \
    } while (0)
#else
#define ASSUME(condition) ((void)0)
#endif

/* ---- Spelling, 2 and 3 ----------------------------------------------------------------------------------------- */

#if PYTHON2
#define Str_InternFromString PyString_InternFromString
#define Str_Format PyString_Format
#define Str_FromString PyString_FromString
#define Int_FromLong PyInt_FromLong
#define Int_FromSsize_t PyInt_FromSsize_t
/* EINTR comes out of Python 2's own methods; from 3.5 they try again themselves (PEP 475). */
#define RETRIES_DELEGATED_EINTR 1
#define SOCKET_ERROR_BASE PyExc_EnvironmentError
#else
#define Str_InternFromString PyUnicode_InternFromString
#define Str_Format PyUnicode_Format
#define Str_FromString PyUnicode_FromString
#define Int_FromLong PyLong_FromLong
#define Int_FromSsize_t PyLong_FromSsize_t
#define RETRIES_DELEGATED_EINTR 0
#define SOCKET_ERROR_BASE PyExc_OSError
#endif

/* An int of exactly that type that fits: returns 1 and sets *value, else 0, never with an exception. */
static inline int
exact_int_as_ssize(PyObject *object, Py_ssize_t *value)
{
#if PYTHON2
    if (PyInt_CheckExact(object)) {
        *value = PyInt_AS_LONG(object);
        return 1;
    }
#endif
    if (!PyLong_CheckExact(object)) {
        return 0;
    }
    *value = PyLong_AsSsize_t(object);
    if (*value == -1 && PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    return 1;
}

static inline int
is_int(PyObject *object)
{
#if PYTHON2
    return PyInt_Check(object) || PyLong_Check(object);
#else
    return PyLong_Check(object);
#endif
}

/* The value of an int object that fits. */
static inline long
int_as_long(PyObject *object)
{
#if PYTHON2
    return PyInt_AS_LONG(object);
#elif PY_VERSION_HEX >= 0x030C0000
    return PyUnstable_Long_IsCompact((PyLongObject *)object) ? (long)PyUnstable_Long_CompactValue((PyLongObject *)object)
                                                             : PyLong_AsLong(object);
#else
    return Py_SIZE(object) == 1 ? (long)((PyLongObject *)object)->ob_digit[0] : PyLong_AsLong(object);
#endif
}

/* ---- Names that are younger than some version ------------------------------------------------------------------ */

#if PY_VERSION_HEX < 0x030A0000 && !defined(Py_NewRef)
static inline PyObject *
Py_NewRef(PyObject *object)
{
    Py_INCREF(object);
    return object;
}
#endif

#if PY_VERSION_HEX < 0x030A0000 && !defined(Py_XNewRef)
static inline PyObject *
Py_XNewRef(PyObject *object)
{
    Py_XINCREF(object);
    return object;
}
#endif

#if PY_VERSION_HEX < 0x03090000
#define PyObject_CallNoArgs(callable) PyObject_CallObject((callable), NULL)
#define PyObject_CallOneArg(callable, arg) PyObject_CallFunctionObjArgs((callable), (arg), NULL)
#define PyObject_CallMethodNoArgs(self, name) PyObject_CallMethodObjArgs((self), (name), NULL)
#endif

/* callable(*args): PyObject_Vectorcall without keywords, from 3.9 on. */
static inline PyObject *
object_call(PyObject *callable, PyObject *const *args, Py_ssize_t nargs)
{
#if HAVE_VECTORCALL
    return PyObject_Vectorcall(callable, args, (size_t)nargs, NULL);
#else
    PyObject *tuple = PyTuple_New(nargs), *result;
    Py_ssize_t i;

    if (tuple == NULL) {
        return NULL; /* unreached: small tuples have a free list */
    }
    for (i = 0; i < nargs; i++) {
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    }
    result = PyObject_CallObject(callable, tuple);
    Py_DECREF(tuple);
    return result;
#endif
}

/* dict[key], a new reference; NULL, where it is missing with no exception. */
static inline PyObject *
dict_get(PyObject *dict, PyObject *key)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *value;

    (void)PyDict_GetItemRef(dict, key, &value);
    return value;
#elif PYTHON2
    return Py_XNewRef(PyDict_GetItem(dict, key));
#else
    return Py_XNewRef(PyDict_GetItemWithError(dict, key));
#endif
}

#if PY_VERSION_HEX < 0x030C0000
#define PyType_GetDict(type) Py_XNewRef((type)->tp_dict)
#endif

#ifndef Py_BEGIN_CRITICAL_SECTION /* 3.13; without it there is a GIL, which guards the fields of an object */
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

/* Fields that another thread may write while this one reads; plain where a GIL orders the two. */
#ifdef Py_GIL_DISABLED
#define FIELD_LOAD(lvalue) __atomic_load_n(&(lvalue), __ATOMIC_RELAXED)
#define FIELD_STORE(lvalue, value) __atomic_store_n(&(lvalue), (value), __ATOMIC_RELAXED)
#else
#define FIELD_LOAD(lvalue) (lvalue)
#define FIELD_STORE(lvalue, value) ((lvalue) = (value))
#endif

/* Documented and public in spite of its name. */
#define bytes_resize _PyBytes_Resize

/* ---- What types have under a name, and how that is remembered --------------------------------------------------- */

/* Can no class of a Python program's change the attributes of this one? */
static inline int
type_is_immutable(PyTypeObject *type)
{
#ifdef Py_TPFLAGS_IMMUTABLETYPE /* 3.10 */
    return (type->tp_flags & Py_TPFLAGS_IMMUTABLETYPE) != 0;
#else
    return (type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0;
#endif
}

/* What the classes that come before `end` (NULL: all) in the type's order of look-up have under this name, as it is: a new reference,
   or NULL.  *found is then 0 where none has it, and -1 where `end` is no class of the type or where it cannot be told, as without a GIL.
   No exception is set afterwards.  `_PyType_Lookup` in public words. */
static inline PyObject *
type_find_before(PyTypeObject *type, PyTypeObject *end, PyObject *name, int *found)
{
    PyObject *value = NULL;
#ifndef Py_GIL_DISABLED                       /* there, another thread may be changing the classes */
    PyObject *mro = Py_XNewRef(type->tp_mro); /* an odd key's __eq__ may assign __bases__ */
    Py_ssize_t i;

    *found = mro == NULL || end != NULL ? -1 : 0; /* when it comes to the end of all */
    for (i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro) && value == NULL; i++) {
        PyObject *base = PyTuple_GET_ITEM(mro, i), *dict;

        if (base == (PyObject *)end) {
            *found = 0;
            break;
        }
        if (!PyType_Check(base)) {
            *found = -1; /* unreached: 2.7's old-style classes, under a C socket that has slots alone */
            break;
        }
        dict = PyType_GetDict((PyTypeObject *)base);
        value = dict == NULL ? NULL : dict_get(dict, name);
        Py_XDECREF(dict);
        if (PyErr_Occurred()) {
            *found = -1;
            break;
        }
    }
    if (value != NULL) {
        *found = 1;
    }
    Py_XDECREF(mro);
    PyErr_Clear();
#else
    (void)type, (void)end, (void)name;
    *found = -1;
#endif
    return value;
}

/* A type as it is: what it has under each name in the classes that come before `end` in its order of look-up, and whether these are
   found in Python's usual way.  No other type is ever remembered by the same, nor this one once something changed. */
typedef struct {
    uint64_t version;
    PyObject *mro; /* borrowed, only compared; NULL: none is remembered */
} type_memo;

#if PYTHON2 || defined(Py_GIL_DISABLED)
#define type_version(type, end) ((void)(type), (void)(end), (uint64_t)0)
#elif PY_VERSION_HEX >= 0x030C0000
#define type_version(type, end) ((void)(end), (uint64_t)(type)->tp_version_tag)
#else
/* The type's own is used again after sys._clear_type_cache().  That of its dict is not (PEP 509), and tells all of a type that derives
   from `end` and nothing else, as that does from `object`: neither of them changes. */
static inline uint64_t
type_version(PyTypeObject *type, PyTypeObject *end)
{
    PyObject *mro = type->tp_mro;

    return mro != NULL && PyTuple_GET_SIZE(mro) == 3 && PyTuple_GET_ITEM(mro, 1) == (PyObject *)end &&
                   PyTuple_GET_ITEM(mro, 0) == (PyObject *)type
               ? ((PyDictObject *)type->tp_dict)->ma_version_tag
               : 0;
}
#endif

/* Is it the type that is remembered, with nothing changed?  (A `__bases__` that was undone leaves a version of what it was meanwhile,
   but the order of look-up is the old one.) */
static inline int
type_is_remembered(const type_memo *memo, PyTypeObject *type, PyTypeObject *end)
{
    return memo->mro != NULL && memo->mro == type->tp_mro && memo->version == type_version(type, end);
}

/* Can nothing change what is found in the classes before `end` without the type's version?  There, a key's __eq__ may change its mind,
   and a metaclass may have put in a class that is none of its bases. */
static inline int
type_version_tells(PyTypeObject *type, PyTypeObject *end)
{
    PyObject *mro = type->tp_mro, *key, *value;
    int tells = 1;
    Py_ssize_t i;

    for (i = 0; tells && i < PyTuple_GET_SIZE(mro) && PyTuple_GET_ITEM(mro, i) != (PyObject *)end; i++) {
        PyObject *base = PyTuple_GET_ITEM(mro, i), *dict;
        Py_ssize_t position = 0;

        if (Py_TYPE(base) != &PyType_Type) {
            return 0;
        }
        dict = PyType_GetDict((PyTypeObject *)base);
        while (tells && dict != NULL && PyDict_Next(dict, &position, &key, &value)) {
            tells = PyUnicode_CheckExact(key);
        }
        Py_XDECREF(dict);
    }
    return tells;
}

/* What to remember the type by, as it is now: to be taken before it is looked at. */
static inline type_memo
type_memorize(PyTypeObject *type, PyTypeObject *end)
{
    type_memo memo = {0, NULL};

#if PY_VERSION_HEX >= 0x030C0000 && !defined(Py_GIL_DISABLED)
    (void)PyUnstable_Type_AssignVersionTag(type); /* a type that has changed too often gets none */
#endif
    if (type_version(type, end) != 0 && type_version_tells(type, end)) {
        memo.version = type_version(type, end);
        memo.mro = type->tp_mro;
    }
    return memo;
}

/* Do the object's attributes come from its classes alone, found there in Python's usual way? */
static inline int
has_class_attributes_only(PyObject *object)
{
    return Py_TYPE(object)->tp_getattro == PyObject_GenericGetAttr && Py_TYPE(object)->tp_dictoffset == 0;
}

/* ---- Errors and look-ups that tell "absent" ---------------------------------------------------------------------- */

/* PyErr_ExceptionMatches, which on 2.7 needs memory to tell, and says no where there is none. */
static inline int
raised_matches(PyObject *wanted)
{
#if PYTHON2
    PyObject *type = PyErr_Occurred();

    return type != NULL && PyType_Check(type) && PyType_IsSubtype((PyTypeObject *)type, (PyTypeObject *)wanted);
#else
    return PyErr_ExceptionMatches(wanted);
#endif
}

/* The attribute, or NULL: *found tells "absent" (0, no exception) from an error (-1, exception set).  3.13 has it. */
static inline PyObject *
object_get_optional_attr(PyObject *object, PyObject *name, int *found)
{
    PyObject *value = NULL;
#if PY_VERSION_HEX >= 0x030D0000
    *found = PyObject_GetOptionalAttr(object, name, &value);
#elif PY_VERSION_HEX >= 0x03070000 && PY_VERSION_HEX < 0x030C0000
    *found = _PyObject_LookupAttr(object, name, &value);
#else
    if (has_class_attributes_only(object)) { /* no public look-up before 3.13 spares the exception for "absent" */
        Py_XDECREF(type_find_before(Py_TYPE(object), NULL, name, found));
        if (*found == 0) {
            return NULL;
        }
    }
    value = PyObject_GetAttr(object, name);
    *found = value != NULL ? 1 : -1;
    if (value == NULL && raised_matches(PyExc_AttributeError)) {
        PyErr_Clear();
        *found = 0;
    }
#endif
    return value;
}

/* ---- The exception in flight: taken, looked at, put back.  3.12 has one object for it. -------------------------- */

#if PY_VERSION_HEX >= 0x030C0000
typedef struct {
    PyObject *value;
} raised_exception;

static inline void
raised_take(raised_exception *raised)
{
    raised->value = PyErr_GetRaisedException();
}

/* Makes `value` the exception object itself, as it always is from 3.12 on. */
static inline void
raised_normalize(raised_exception *raised)
{
    (void)raised;
}

static inline void
raised_restore(raised_exception *raised)
{
    PyErr_SetRaisedException(raised->value);
    raised->value = NULL;
}

static inline void
raised_drop(raised_exception *raised)
{
    Py_CLEAR(raised->value);
}
#else
typedef struct {
    PyObject *type, *value, *traceback;
} raised_exception;

static inline void
raised_take(raised_exception *raised)
{
    PyErr_Fetch(&raised->type, &raised->value, &raised->traceback);
}

static inline void
raised_normalize(raised_exception *raised)
{
    if (raised->type == NULL) {
        return;
    }
    PyErr_NormalizeException(&raised->type, &raised->value, &raised->traceback);
#if !PYTHON2
    if (raised->traceback != NULL) {
        PyException_SetTraceback(raised->value, raised->traceback);
    }
#endif
}

static inline void
raised_restore(raised_exception *raised)
{
    PyErr_Restore(raised->type, raised->value, raised->traceback);
    raised->type = raised->value = raised->traceback = NULL;
}

static inline void
raised_drop(raised_exception *raised)
{
    Py_CLEAR(raised->type);
    Py_CLEAR(raised->value);
    Py_CLEAR(raised->traceback);
}
#endif

/* Puts back what was taken.  If an exception was set meanwhile, that one stays, with the older as its context. */
static inline void
raised_restore_as_context(raised_exception *raised)
{
    raised_exception newer;

    if (!PyErr_Occurred()) {
        raised_restore(raised);
        return;
    }
    raised_take(&newer); /* before anything is normalised: without memory that would put another in its place */
#if !PYTHON2
    raised_normalize(raised);
    raised_normalize(&newer);
    if (raised->value != NULL && newer.value != raised->value) {
        PyException_SetContext(newer.value, Py_NewRef(raised->value));
    }
#endif
    raised_restore(&newer);
    raised_drop(raised);
}

/* ---- Methods that take positional arguments only: METH_FASTCALL as it is from 3.7 on ----------------------------- */

#if PY_VERSION_HEX >= 0x03070000
#define FASTCALL_PROTOTYPE(function) static PyObject *function##_method(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
#define FASTCALL_METHOD(function)                                                               \
    static PyObject *function##_method(PyObject *self, PyObject *const *args, Py_ssize_t nargs) \
    {                                                                                           \
        return function(self, args, nargs);                                                     \
    }
#define FASTCALL_METHOD_DEF(name, function, doc)                                 \
    {                                                                            \
        name, (PyCFunction)(void (*)(void))function##_method, METH_FASTCALL, doc \
    }
#else
#define FASTCALL_PROTOTYPE(function) static PyObject *function##_method(PyObject *self, PyObject *args)
#define FASTCALL_METHOD(function)                                                  \
    static PyObject *function##_method(PyObject *self, PyObject *args)             \
    {                                                                              \
        return function(self, &PyTuple_GET_ITEM(args, 0), PyTuple_GET_SIZE(args)); \
    }
#define FASTCALL_METHOD_DEF(name, function, doc)   \
    {                                              \
        name, function##_method, METH_VARARGS, doc \
    }
#endif

/* A function in a slot: ISO C knows no way from a function pointer to `void *` but through an integer. */
#define SLOT_FUNCTION(function) ((void *)(uintptr_t)(function))

/* The name of an object's type, without the module that C types carry in front. */
static inline const char *
type_name(PyObject *object)
{
    const char *name = Py_TYPE(object)->tp_name;
    const char *dot = strrchr(name, '.');

    return dot == NULL ? name : dot + 1;
}

/* ---- Types: a spec makes a heap type on 3, and fills a static type on 2.7 --------------------------------------- */

#if PYTHON2
enum {
    Py_tp_dealloc = 1,
    Py_tp_traverse,
    Py_tp_clear,
    Py_tp_init,
    Py_tp_new,
    Py_tp_methods,
    Py_tp_getset,
    Py_tp_doc,
    Py_tp_repr,
    Py_tp_call,
    Py_tp_descr_get
};

typedef struct {
    int slot;
    void *pfunc;
} PyType_Slot;

typedef struct {
    const char *name;
    int basicsize;
    int itemsize;
    unsigned int flags;
    PyType_Slot *slots;
} PyType_Spec;

#define Py_TPFLAGS_HAVE_FINALIZE 0

static inline int
type_fill(PyTypeObject *type, const PyType_Spec *spec, PyTypeObject *base)
{
    const PyType_Slot *slot;

    if (type->tp_flags & Py_TPFLAGS_READY) {
        return 0; /* made by an earlier import */
    }
    Py_REFCNT(type) = 1;
    type->tp_basicsize = spec->basicsize;
    type->tp_itemsize = spec->itemsize;
    type->tp_flags = spec->flags;
    type->tp_base = base;
    for (slot = spec->slots; slot->slot != 0; slot++) {
        void *pfunc = slot->pfunc;
        switch (slot->slot) {
            case Py_tp_dealloc:
                type->tp_dealloc = (destructor)(uintptr_t)pfunc;
                break;
            case Py_tp_traverse:
                type->tp_traverse = (traverseproc)(uintptr_t)pfunc;
                break;
            case Py_tp_clear:
                type->tp_clear = (inquiry)(uintptr_t)pfunc;
                break;
            case Py_tp_init:
                type->tp_init = (initproc)(uintptr_t)pfunc;
                break;
            case Py_tp_new:
                type->tp_new = (newfunc)(uintptr_t)pfunc;
                break;
            case Py_tp_methods:
                type->tp_methods = pfunc;
                break;
            case Py_tp_getset:
                type->tp_getset = pfunc;
                break;
            case Py_tp_doc:
                type->tp_doc = pfunc;
                break;
            case Py_tp_repr:
                type->tp_repr = (reprfunc)(uintptr_t)pfunc;
                break;
            case Py_tp_call:
                type->tp_call = (ternaryfunc)(uintptr_t)pfunc;
                break;
            case Py_tp_descr_get:
                type->tp_descr_get = (descrgetfunc)(uintptr_t)pfunc;
                break;
            default: /* unreached: the specs have no other slots */
                PyErr_BadInternalCall();
                return -1;
        }
    }
    type->tp_name = spec->name;
    return PyType_Ready(type);
}
#endif

/* A new reference to the type the spec describes, derived from `base` (NULL: object); NULL with an exception.  On 2.7 it is
   `storage`, which lives as long as the process. */
static inline PyTypeObject *
type_from_spec(PyObject *module, PyType_Spec *spec, PyTypeObject *base, PyTypeObject *storage)
{
    PyObject *type;
#if PYTHON2

    (void)module;
    type = type_fill(storage, spec, base) < 0 ? NULL : Py_NewRef((PyObject *)storage);
#elif HAVE_MODULE_STATE

    (void)storage;
    type = PyType_FromModuleAndSpec(module, spec, (PyObject *)base);
#else
    PyObject *bases = base == NULL ? NULL : PyTuple_Pack(1, base);

    (void)storage, (void)module;
    if (base != NULL && bases == NULL) {
        return NULL; /* unreached: small tuples have a free list */
    }
    type = PyType_FromSpecWithBases(spec, bases);
    Py_XDECREF(bases);
#endif
    if (type == NULL && !PyErr_Occurred()) {
        PyErr_NoMemory(); /* some versions forget to say so */
    }
    return (PyTypeObject *)type;
}

/* Frees the memory of an object whose fields are gone, and the reference that a heap type's instance holds to its type.
   Up to 3.7 `subtype_dealloc` drops that reference itself when it called us for a subclass. */
static inline void
object_free(PyObject *self, destructor own_dealloc)
{
    PyTypeObject *type = Py_TYPE(self);
#if PYTHON2
    (void)own_dealloc;
    type->tp_free(self);
#elif PY_VERSION_HEX < 0x03080000
    int owned = type->tp_dealloc == own_dealloc;
    type->tp_free(self);
    if (owned) {
        Py_DECREF(type);
    }
#else
    (void)own_dealloc;
    type->tp_free(self);
    Py_DECREF(type);
#endif
}

/* Around the deallocation of an untracked container, so that a long chain of them is not taken apart by recursion. */
#ifdef Py_TRASHCAN_BEGIN /* 3.8 */
#define TRASHCAN_BEGIN(op, own_dealloc) Py_TRASHCAN_BEGIN(op, own_dealloc)
#define TRASHCAN_END(op) Py_TRASHCAN_END
#else
#define TRASHCAN_BEGIN(op, own_dealloc) Py_TRASHCAN_SAFE_BEGIN(op)
#define TRASHCAN_END(op) Py_TRASHCAN_SAFE_END(op)
#endif

/* Runs `finalize` on an object whose count has reached zero.  -1: it was brought back to life, and stays. */
static inline int
object_finalize_from_dealloc(PyObject *self, destructor finalize)
{
#if HAVE_FINALIZE
    (void)finalize; /* it is the type's tp_finalize, or a subclass's __del__ that replaced it */
    return PyObject_CallFinalizerFromDealloc(self);
#else
    Py_ssize_t refcnt;

    Py_REFCNT(self) = 1;
    finalize(self);
    refcnt = --Py_REFCNT(self);
    if (refcnt == 0) {
        return 0;
    }
    _Py_NewReference(self);
    Py_REFCNT(self) = refcnt;
    if (Py_TYPE(self)->tp_flags & Py_TPFLAGS_HEAPTYPE) {
        Py_INCREF(Py_TYPE(self)); /* subtype_dealloc drops it when we return */
    }
    return -1;
#endif
}

/* Does another thread of this interpreter exist?  Then the GIL may be wanted. */
static inline int
other_threads_exist(void)
{
    PyThreadState *own = PyThreadState_Get();
#if PY_VERSION_HEX >= 0x03090000
    PyInterpreterState *interpreter = PyThreadState_GetInterpreter(own);
#else
    PyInterpreterState *interpreter = own->interp;
#endif
    return PyInterpreterState_ThreadHead(interpreter) != own || PyThreadState_Next(own) != NULL;
}

#endif
