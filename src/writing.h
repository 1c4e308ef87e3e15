/* writing.h: write. */
#ifndef BACKPORTS_MAKEFILE_WRITING_H
#define BACKPORTS_MAKEFILE_WRITING_H

#include "stream.h"

INTERNAL extern const char write_doc[];

INTERNAL PyObject *socketio_write(PyObject *op, PyObject *buffer);

#endif
