/* logql/template/decimal.h - addf and its kin: sprig adds floats as decimals, so that 1.1 * 3 is
 * 3.3. */
#pragma once

/* mantissa * 10^exponent; inexact once it has outgrown 38 digits. */
struct decimal {
    __int128 mantissa;
    int exponent;
};

struct decimal decimal_from_float(double f);
double decimal_to_float(struct decimal d);
struct decimal decimal_add(struct decimal a, struct decimal b);
struct decimal decimal_sub(struct decimal a, struct decimal b);
struct decimal decimal_mul(struct decimal a, struct decimal b);
/* To 16 places behind the point; b is not 0. */
struct decimal decimal_div(struct decimal a, struct decimal b);
