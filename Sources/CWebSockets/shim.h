#include <sys/types.h>
#include <sys/select.h>
#include <libwebsockets.h>
