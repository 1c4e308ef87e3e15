/* embedding CODE: runs CODE in the main interpreter, in a second one and in the main one again;
   then, after Py_Finalize and Py_Initialize, in a new main one and in a second one there.  Exit
   status 0: each ran without an exception. */
#include <stdio.h>

typedef struct thread_state thread_state;
extern void Py_Initialize(void);
extern void Py_Finalize(void);
extern thread_state *Py_NewInterpreter(void);
extern void Py_EndInterpreter(thread_state *);
extern thread_state *PyThreadState_Get(void);
extern thread_state *PyThreadState_Swap(thread_state *);
extern int PyRun_SimpleStringFlags(const char *, void *);

static int
run(const char *where, const char *code)
{
    printf("%s\n", where);
    fflush(stdout);
    return PyRun_SimpleStringFlags(code, (void *)0);
}

static int
run_in_second(const char *where, const char *code)
{
    thread_state *main_state = PyThreadState_Get();
    thread_state *state = Py_NewInterpreter();
    int status = -1;

    if (state != (void *)0) {
        status = run(where, code);
        Py_EndInterpreter(state);
    }
    PyThreadState_Swap(main_state);
    return status;
}

int
main(int argc, char **argv)
{
    int failed = 0;

    if (argc != 2) {
        return 2;
    }
    Py_Initialize();
    failed |= run("main", argv[1]);
    failed |= run_in_second("second", argv[1]);
    failed |= run("main again", argv[1]);
    Py_Finalize();
    Py_Initialize();
    failed |= run("new main", argv[1]);
    failed |= run_in_second("new second", argv[1]);
    Py_Finalize();
    return failed != 0;
}
