// Google Benchmark: encoding and decoding with the bundled model's tokenizer, a text of each kind;
// bytes are those of the text. tokenizer_speed.py compares with other tokenizers instead.
//
//     build/tests/bench_tokenizer
#include <gpt2/tokenizer_files.hpp>

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

namespace {

constexpr const char* english =
    "Once upon a time there lived a miller who had three sons, a mill, a donkey and a cat. The "
    "sons had to grind, the donkey had to carry the flour, and the cat had to catch the mice. "
    "When the miller died, the sons divided what he left: the eldest got the mill, the second "
    "the donkey, and nothing remained for the youngest but the cat. \"It's hard,\" he said, \"I'm "
    "left with the worst; what shall I do with a cat in 1812?\"\n\n";
constexpr const char* spanish =
    "Había una vez un molinero que tenía tres hijos, un molino, un asno y un gato. Cuando murió, "
    "el mayor recibió el molino, el segundo el asno, y para el más joven no quedó sino el gato. "
    "—¡Qué mala suerte! —dijo—, ¿qué haré yo con él?\n\n";
constexpr const char* chinese =
    "从前有一个磨坊主，他有三个儿子、一座磨坊、一头驴和一只猫。磨坊主死后，老大得到了磨坊，"
    "老二得到了驴，留给小儿子的只有那只猫。\n";
constexpr const char* source =
    "for (std::size_t i = 0; i < units.size(); ++i) {\n"
    "    if (units[i].first >= 0x80) continue;  // not ASCII\n"
    "    sum += weights[i] * scale(units[i].second, 1.5e-3f);\n"
    "}\n";

std::string repeated(const char* text) {
    std::string result;
    while (result.size() < 100'000) result += text;
    return result;
}

}  // namespace

int main(int argc, char** argv) {
    const auto tokenizer = gpt2::load_tokenizer(std::filesystem::path(GPT2_BUNDLED_MODEL));
    const std::pair<std::string, std::string> texts[] = {{"english", repeated(english)},
                                                         {"spanish", repeated(spanish)},
                                                         {"chinese", repeated(chinese)},
                                                         {"source", repeated(source)}};
    for (const auto& text : texts) {
        const auto add = [&text](const std::string& what, auto work) {
            const auto run = [&text, work](benchmark::State& turns) {
                for (auto _ : turns) benchmark::DoNotOptimize(work());
                turns.SetBytesProcessed(turns.iterations() *
                                        static_cast<std::int64_t>(text.second.size()));
            };
            benchmark::RegisterBenchmark((what + "/" + text.first).c_str(), run);
        };
        add("encode", [&] { return tokenizer.encode(text.second); });
        add("decode",
            [&tokenizer, ids = tokenizer.encode(text.second)] { return tokenizer.decode(ids); });
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
