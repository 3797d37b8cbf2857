// Both halves link, run, and continue the text alike.
#include <iostream>
#include <string>

std::string first(const char* folder);
std::string second(const char* folder);

int main(int, char** argv) {
#if defined(__x86_64__) && defined(__GNUC__)
    if (!__builtin_cpu_supports("avx2")) {
        std::cout << "skipped: this processor has no AVX2\n";
        return 77;
    }
#endif
    const std::string one = first(argv[1]), two = second(argv[1]);
    std::cout << one << '\n' << two << '\n';
    return one.empty() || one != two;
}
