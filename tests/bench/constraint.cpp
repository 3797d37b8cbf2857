// What a constraint costs: making it, the first mask of a state, a mask asked for again; for a
// folder with a tokenizer, GPT-2's by default with its 50,257 tokens.
//
//     build/tests/bench_constraint [folder]
#include <gpt2/constraint.hpp>
#include <gpt2/json_schema.hpp>
#include <gpt2/tokenizer_files.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace {

/// Of this process, whatever else the machine does.
double milliseconds(const std::function<void()>& action) {
    const std::clock_t start = std::clock();
    action();
    return 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

struct subject {
    const char* name;
    std::function<gpt2::grammar()> make;
};

const char* const person = R"({"type": "object", "properties": {
    "name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 130},
    "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "maxItems": 5},
    "home": {"type": "object", "properties": {"street": {"type": "string", "maxLength": 40},
             "city": {"type": "string"}}, "required": ["city"]}},
    "required": ["name", "age", "home"]})";

const std::vector<subject> subjects = {
    {"regex [a-z ]+", [] { return gpt2::matching("[a-z ]+"); }},
    {"regex .{1,200}", [] { return gpt2::matching(".{1,200}"); }},
    {"a date", [] { return gpt2::matching("\\d{4}-\\d{2}-\\d{2}"); }},
    {"choice of 3",
     [] {
         return gpt2::one_of({"yes", "no", "perhaps"});
     }},
    {"JSON, a person", [] { return gpt2::json_schema(person); }},
    {"any JSON", [] { return gpt2::json_schema("{}"); }},
    {"sums with brackets",
     [] { return gpt2::ebnf("s ::= t ([+*] t)*  t ::= [0-9]+ | '(' s ')'"); }},
    {"without 3 words",
     [] {
         return gpt2::without({" bad", "worse", "worst"});
     }},
};

/// A walk by chance; the times of the masks on it.
void walk(const gpt2::constraint& made, unsigned seed, std::vector<double>& times) {
    std::mt19937 dice(seed);
    auto at = made.start();
    for (std::size_t left = 100; left > 0 && !at.is_complete(); --left) {
        std::vector<gpt2::token_id> ids;
        std::span<const std::uint64_t> mask;
        times.push_back(milliseconds([&] { mask = at.allowed(left); }));
        for (std::size_t word = 0; word < mask.size(); ++word)
            for (std::uint64_t bits = mask[word]; bits != 0; bits &= bits - 1)
                ids.push_back(static_cast<gpt2::token_id>(64 * word) + std::countr_zero(bits));
        if (ids.empty()) return;
        const gpt2::token_id id = ids[dice() % ids.size()];
        if (!at.allows(id)) return;
        at.advance(id);
    }
}

void report(const subject& one, const gpt2::constraint_tokens& tokens) {
    std::unique_ptr<const gpt2::grammar> grammar;
    const double compiled =
        milliseconds([&] { grammar = std::make_unique<const gpt2::grammar>(one.make()); });
    const gpt2::constraint made(*grammar, tokens);
    double first = milliseconds([&] { (void)made.start().allowed(); });
    std::vector<double> times;
    for (unsigned seed = 0; seed < 10; ++seed) walk(made, seed, times);
    double sum = 0, worst = 0;
    for (const double time : times) sum += time, worst = std::max(worst, time);
    const double again = milliseconds([&] {
        for (int i = 0; i < 1000; ++i) (void)made.start().allowed();
    });
    std::printf("%-20s %10.2f %10.3f %10.3f %10.3f %10.5f\n", one.name, compiled, first,
                sum / static_cast<double>(times.size()), worst, again / 1000);
}

}  // namespace

int main(int count, char** arguments) {
    const std::string folder =
        count > 1 ? arguments[1] : GPT2_SOURCE_DIR "/../shared/data/tokenizer/gpt2";
    const auto from =
        std::make_shared<const gpt2::tokenizer>(gpt2::load_tokenizer(std::string(folder)));
    std::unique_ptr<const gpt2::constraint_tokens> tokens;
    const double indexed =
        milliseconds([&] { tokens = std::make_unique<const gpt2::constraint_tokens>(from); });
    std::printf("%zu tokens, indexed in %.1f ms; milliseconds:\n", tokens->size(), indexed);
    std::printf("%-20s %10s %10s %10s %10s %10s\n", "", "grammar", "first mask", "mean mask",
                "worst mask", "again");
    for (const subject& one : subjects) report(one, *tokens);
}
