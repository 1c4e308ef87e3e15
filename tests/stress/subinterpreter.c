/* run_in_subinterp(code) for 2.7, whose own test module has none.  Called with the GIL
   (ctypes.PyDLL), returns with it; what PyRun_SimpleString returned, 0 if all is well. */
typedef struct thread_state thread_state;
extern thread_state *Py_NewInterpreter(void);
extern void Py_EndInterpreter(thread_state *);
extern thread_state *PyThreadState_Get(void);
extern thread_state *PyThreadState_Swap(thread_state *);
extern int PyRun_SimpleStringFlags(const char *, void *);

int
run_in_subinterp(const char *code)
{
    thread_state *main_state = PyThreadState_Get();
    thread_state *state = Py_NewInterpreter();
    int status = -2;

    if (state != (void *)0) {
        status = PyRun_SimpleStringFlags(code, (void *)0);
        Py_EndInterpreter(state);
    }
    PyThreadState_Swap(main_state);
    return status;
}
