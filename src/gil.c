/* gil.c: see gil.h. */
#include "gil.h"

#include "paths.h"
#include "signals.h"

static int
is_only_interpreter(void)
{
#if GIL_IS_ASKED_FOR_BY_OTHER_INTERPRETERS
    return 1;
#else
    return FIRST_INTERPRETER_IS_MAIN();
#endif
}

int
gil_check(makefile_state *state)
{
    PyObject *result;

    assert(!PyErr_Occurred());
    COUNT_PATH(check);
    if (signals_raise_deferred(state) < 0) {
        return -1;
    }
#if PYTHON2
    if (PyErr_CheckSignals() < 0) {
        return -1;
    }
#endif
    FIELD_STORE(state->is_only_interpreter, is_only_interpreter());
    EXPECT_INTERPRETER_CHECK();
    result = PyObject_CallNoArgs(state->interpreter_check);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

#if HAVE_DIRECT_PATH
#include <pthread.h>

int gil_transfers_under_way;

/* The threads of the parent are not in the child of a fork. */
static void
forget_transfers(void)
{
    __atomic_store_n(&gil_transfers_under_way, 0, __ATOMIC_RELAXED);
}

void
gil_setup(makefile_state *state)
{
    static int done; /* atomic: interpreters with a GIL of their own may come at the same moment */

    state->is_only_interpreter = is_only_interpreter();
    if (!__atomic_exchange_n(&done, 1, __ATOMIC_RELAXED)) {
        (void)pthread_atfork(NULL, NULL, forget_transfers);
    }
}

PyThreadState *
gil_release(void)
{
    COUNT_PATH(gil_given_up);
    __atomic_add_fetch(&gil_transfers_under_way, 1, __ATOMIC_RELAXED);
    return PyEval_SaveThread();
}

void
gil_acquire(PyThreadState *thread)
{
    PyEval_RestoreThread(thread);
    assert(__atomic_load_n(&gil_transfers_under_way, __ATOMIC_RELAXED) > 0);
    __atomic_sub_fetch(&gil_transfers_under_way, 1, __ATOMIC_RELAXED);
}

#else

void
gil_setup(makefile_state *state)
{
    (void)state;
}

#endif
