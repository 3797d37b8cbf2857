// Text to token ids and back, on the command line: standard input holds the bytes (or, with
// --decode, the ids). A folder with nothing but tokenizer files is enough, and a model's file that
// brings its tokenizer, as GGUF does, or has it beside.
#include "cli.hpp"

#include <gpt2/detail/json.hpp>
#include <gpt2/open.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace {

struct arguments {
    std::string model = GPT2_BUNDLED_MODEL;
    bool decode = false, pieces = false, jsonl = false, specials = false;
    gpt2::specials mode() const {
        return specials ? gpt2::specials::as_tokens : gpt2::specials::as_text;
    }
};

/// "1 2 3" for spaces, "1,2,3" for commas.
std::string joined(std::span<const gpt2::token_id> ids, char divider) {
    std::string text;
    for (const gpt2::token_id id : ids) {
        if (!text.empty()) text += divider;
        text += std::to_string(id);
    }
    return text;
}

/// A line for each piece: where it lies in the input, its bytes, its ids.
void show_pieces(const gpt2::tokenizer& tokenizer, std::string text) {
    std::size_t before = 0;  // a space that is none of the input
    if (tokenizer.prefixes_space() && !text.empty() && text.front() != ' ') {
        text.insert(text.begin(), ' ');
        before = 1;
    }
    std::size_t end = 0;
    for (const std::string_view piece : tokenizer.pieces(text)) {
        const std::size_t begin = end;
        end = static_cast<std::size_t>(piece.data() - text.data()) + piece.size() - before;
        std::cout << begin << ".." << end << '\t' << gpt2::detail::printable(piece, piece.size())
                  << '\t' << joined(tokenizer.merge_piece(piece), ' ') << '\n';
    }
}

std::string bytes_of_hex(std::string_view hex, const std::string& where) {
    const auto value = [&](char c) -> unsigned {
        if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
        if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
        if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
        gpt2::detail::fail(gpt2::errc::invalid_argument, where, "hex digits",
                           gpt2::detail::printable({&c, 1}));
    };
    if (hex.size() % 2 != 0)
        gpt2::detail::fail(gpt2::errc::invalid_argument, where, "an even number of hex digits",
                           std::to_string(hex.size()));
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2)
        bytes += static_cast<char>(value(hex[i]) << 4 | value(hex[i + 1]));
    return bytes;
}

/// The bytes that one line {"text": …} or {"hex": …} means.
std::string bytes_of_line(std::string_view line, const std::string& where) {
    const auto document = gpt2::detail::parse_json(line, where, {.bytes = std::size_t{1} << 28});
    const gpt2::detail::json_fields fields(document, where, gpt2::errc::invalid_argument);
    if (const auto text = fields.text("text")) return std::string(*text);
    if (const auto hex = fields.text("hex")) return bytes_of_hex(*hex, where);
    gpt2::detail::fail(gpt2::errc::invalid_argument, where, "a member text or hex", "neither");
}

void encode_lines(const gpt2::tokenizer& tokenizer, gpt2::specials mode) {
    std::string line;
    for (std::size_t number = 1; std::getline(std::cin, line); ++number) {
        if (line.empty()) continue;
        const std::string bytes = bytes_of_line(line, "line " + std::to_string(number));
        std::cout << "{\"ids\":[" << joined(tokenizer.encode(bytes, mode), ',') << "]}\n";
    }
}

void tokenize(const arguments& given) {
    const gpt2::tokenizer tokenizer = gpt2::open_tokenizer(given.model);
    if (given.jsonl) return encode_lines(tokenizer, given.mode());
    const std::string input = cli::standard_input();
    if (given.decode) {
        std::cout << tokenizer.decode(cli::ids(input));
    } else if (given.pieces) {
        show_pieces(tokenizer, input);
    } else {
        std::cout << joined(tokenizer.encode(input, given.mode()), ' ') << '\n';
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Turns bytes from standard input into token ids on one line, or ids into bytes.",
                 "tokenize");
    app.option_defaults()->always_capture_default();
    arguments given;
    app.add_option("--model", given.model,
                   "Folder or file of a model; a folder of tokenizer files is enough");
    auto* decode = app.add_flag("--decode", given.decode,
                                "Read ids (divided by spaces, commas or newlines), write bytes");
    auto* pieces = app.add_flag("--pieces", given.pieces,
                                "Show the cuts: begin..end (bytes), the piece, its ids")
                       ->excludes(decode);
    app.add_flag("--jsonl", given.jsonl,
                 "Each line {\"text\": ...} or {\"hex\": ...} gives {\"ids\": [...]}")
        ->excludes(decode)
        ->excludes(pieces);
    app.add_flag("--specials", given.specials,
                 "Turn special tokens written in the text, like <|endoftext|>, into their ids")
        ->excludes(decode)
        ->excludes(pieces);
    return cli::run(app, argc, argv, [&] { tokenize(given); });
}
