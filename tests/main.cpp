// Catch2's own main, compiled once and linked into every test program (Catch2 3 brings it built).
#define CATCH_CONFIG_MAIN
#include "support/catch.hpp"
