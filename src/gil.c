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

/* Of the process; atomic, as interpreters may each have a GIL.  A lost change harms nobody. */
static int waits_between; /* moments, since so many brought nothing */
static int waits_to_come; /* before the next moment */

int
gil_is_kept_for_a_moment(const makefile_state *state)
{
#ifdef Py_GIL_DISABLED
    (void)state;
    return 0;
#else
    int to_come = __atomic_load_n(&waits_to_come, __ATOMIC_RELAXED);

    if (!gil_is_kept(state, 1)) {
        return 0;
    }
    if (to_come > 0) {
        __atomic_store_n(&waits_to_come, to_come - 1, __ATOMIC_RELAXED);
        return 0;
    }
    return 1;
#endif
}

void
gil_moment_ended(int brought_something)
{
    int between = __atomic_load_n(&waits_between, __ATOMIC_RELAXED);

    if (brought_something) {
        between /= 2; /* unreached: where the machine is too slow for an answer in time */
    }
    else if (between < MOST_WAITS_BETWEEN) {
        between = 2 * between + 1;
    }
    __atomic_store_n(&waits_between, between, __ATOMIC_RELAXED);
    __atomic_store_n(&waits_to_come, between, __ATOMIC_RELAXED);
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
