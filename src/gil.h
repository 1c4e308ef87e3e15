/* gil.h: who has the GIL while bytes move.

   A thread that gives the GIL up beside one that computes gets it back only when the interpreter's
   switch interval has passed: a read that takes one microsecond then takes five thousand.

       own stream, data ready        ours, data ready

       |read|--- gives up ---|       |read|read|read|read| ... |check|
            |computes 5 ms   |                                  | asked? then it gives up
                             |read|--                           |computes 5 ms   |
                                                                                 |read|read|...

   So there are four rules.

   1. What does not wait keeps the GIL, whatever the size of its buffer: a receive of what the
      kernel has, and a send that the kernel takes.  A thread whose data is always ready is one that
      computes, and shares as threads that compute do.

   2. What waits gives the GIL up.  So does a send while another transfer is in a system call
      without it: where both ends are on one machine a send does the receiver's work as well, and
      threads that answer each other would stand in line for it.

   3. A receive that has to wait keeps the GIL for a moment first, if no other transfer is in a
      system call without it.  A server on the same machine answers within that moment, and a client
      that has given the GIL up beside a thread that computes has it back after a switch interval:

       own stream                                ours

       |send|read|-- gives up ---|               |send|read, waits|send|read, waits| ...  |check|
                 |computes 5 ms  |                      answered|      answered|           asked?
                   answered      |read|

      Where the answer needs the GIL itself, of a thread of this process, or comes later, the moment
      is lost.  So after one that brought nothing the next waits of the process give the GIL up at
      once: 1 of them, then 3, 7, up to MOST_WAITS_BETWEEN; half as many after one that brought
      something.

   4. Loops in C (`list(stream)`, a readline over many receives) never come to the place where the
      interpreter looks whether anybody wants something.  So every OPERATIONS_PER_CHECK operations
      of a stream, and before each wait, we call a function of Python that does nothing.  That call
      is the interpreter's own check: it gives the GIL up if another thread has asked for it, runs
      handlers of signals and pending calls, raises asynchronous exceptions, and stops for the
      collector on a build without a GIL.  It comes before anything is moved, so that an exception
      loses nothing.

      On 2.7 nobody can ask: who wants the GIL has to be awake when it is free, which a check is for
      a tenth of a microsecond.  So there a receive in a loop in C gives it up, as its own does.

   No thread is woken or waited for: who wants the GIL asks the interpreter for it after its switch
   interval, and gets it at the next check. */
#ifndef BACKPORTS_MAKEFILE_GIL_H
#define BACKPORTS_MAKEFILE_GIL_H

#include "state.h"

/* A ready read takes about a microsecond, so that a thread that asks for the GIL waits some tens of
   microseconds for a check, of 5,000 that it has waited already; a check takes 2 % of the reads'
   time. */
#define OPERATIONS_PER_CHECK 32

/* The interpreter's check.  0, or -1 with an exception set.  Called with none set. */
INTERNAL int gil_check(makefile_state *state);

/* The same now and then: `operations` counts a stream's since the last one. */
static inline int
gil_check_now_and_then(makefile_state *state, unsigned char *operations)
{
    unsigned char count = (unsigned char)(FIELD_LOAD(*operations) + 1);

    if (count < OPERATIONS_PER_CHECK) {
        FIELD_STORE(*operations, count);
        return 0;
    }
    FIELD_STORE(*operations, 0);
    return gil_check(state);
}

/* Makes the next operation of this stream check. */
static inline void
gil_check_next(unsigned char *operations)
{
    FIELD_STORE(*operations, OPERATIONS_PER_CHECK - 1);
}

/* Atomic: the transfers of the process that are in a system call without the GIL. */
INTERNAL extern int gil_transfers_under_way;

/* May a call that does not wait keep the GIL?  Before 3.13 a thread of another interpreter cannot
   ask for the GIL that it shares with this one: then it is given up each time. */
static inline int
gil_is_kept(const makefile_state *state, int sends)
{
#if defined(Py_GIL_DISABLED) || !HAVE_DIRECT_PATH
    (void)state, (void)sends;
    return 1;
#else
    return state->is_only_interpreter &&
           !(sends && __atomic_load_n(&gil_transfers_under_way, __ATOMIC_RELAXED) > 0);
#endif
}

/* 2.7: is a loop in C at work?  It is if the interpreter has run no instruction since `instruction`
   was noted here last. */
static inline int
gil_loop_is_of_c(int *instruction)
{
#if PYTHON2
    int now = INSTRUCTIONS_TO_CHECK() + 1, before = *instruction; /* 0: none was noted */

    *instruction = now;
    return now == before;
#else
    (void)instruction;
    return 0;
#endif
}

/* A request and its answer on one machine take 30 to 100 microseconds.  In a process whose other
   threads answer, each moment is lost: one in 256 waits costs half a microsecond a wait. */
#define MOMENT_NS 100000
#define MOST_WAITS_BETWEEN 255

/* Does this wait begin with a moment in which the GIL is kept?  gil_moment_ended() afterwards. */
INTERNAL int gil_is_kept_for_a_moment(const makefile_state *state);
INTERNAL void gil_moment_ended(int brought_something);

/* Gives it up for a system call, and takes it back. */
INTERNAL PyThreadState *gil_release(void);
INTERNAL void gil_acquire(PyThreadState *thread);

/* For each module, before all else. */
INTERNAL void gil_setup(makefile_state *state);

#endif
