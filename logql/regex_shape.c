#include "logql/regex_shape.h"

bool regex_shape_is_plain(str regex)
{
    for (size_t i = 0; i < regex.len; i++) {
        if (strchr("\\.+*?()|[]{}^$", regex.ptr[i]) != NULL) {
            return false;
        }
    }
    return true;
}
