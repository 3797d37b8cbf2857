// Scores as CSV, for spreadsheets and data frames, and as JSON, for programs.
//
// Both are UTF-8. A token's text is that of the tokenizer; where it is not whole characters, JSON
// has its bytes in `hex` instead of `text`, and CSV writes them as \xNN. Surprisal is -log2 of the
// probability, in bits. What has no score is null or empty, and so is what is not finite.
//
// Before: score.hpp, rank.hpp.
#pragma once

#include "detail/binary_text.hpp"
#include "detail/json_writer.hpp"
#include "detail/utf8.hpp"
#include "rank.hpp"
#include "score.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <string>
#include <string_view>

namespace gpt2::inline GPT2_ABI {

/// What JSON says of a text or a choice.
enum class score_detail {
    tokens,  ///< everything
    sums,    ///< nothing of single tokens
};

/// -log2 of the probability, in bits.
inline double surprisal(double log_prob) { return -log_prob / std::numbers::ln2; }

namespace detail {

/// Scores as members of JSON's objects.
class score_writer {
public:
    score_writer(const language_model& model, score_detail wanted)
        : model_(model), wanted_(wanted) {}

    void token(token_id id) {
        json_.member("token", id);
        if (!model_.has_tokenizer()) return;
        const auto text = model_.tokenizer().bytes(id);
        if (is_utf8(text))
            json_.member("text", text);
        else
            json_.member("hex", hex_of(text));
    }
    void number(std::string_view name, double value) {
        if (std::isfinite(value))
            json_.member(name, value);
        else
            json_.member(name, nullptr);
    }
    void tokens(std::span<const token_score> list) {
        if (wanted_ == score_detail::sums) return;
        json_.key("tokens").open('[');
        for (const auto& one : list) {
            json_.open('{');
            token(one.token);
            json_.member("begin", one.bytes.begin).member("end", one.bytes.end);
            if (one.rank == 0) {
                json_.member("log_prob", nullptr).member("rank", nullptr);
            } else {
                number("log_prob", one.log_prob);
                number("surprisal_bits", surprisal(one.log_prob));
                json_.member("rank", one.rank);
            }
            if (!one.alternatives.empty()) alternatives(one.alternatives);
            json_.close();
        }
        json_.close();
    }
    void alternatives(std::span<const alternative> list) {
        json_.key("alternatives").open('[');
        for (const auto& one : list) {
            json_.open('{');
            token(one.token);
            number("log_prob", one.log_prob);
            json_.close();
        }
        json_.close();
    }
    void choice(const choice_score& one) {
        json_.open('{');
        number("log_prob", one.log_prob);
        number("value", one.value);
        if (one.given_domain) number("given_domain", *one.given_domain);
        json_.member("bytes", one.bytes).member("characters", one.characters);
        json_.member("greedy", one.greedy());
        tokens(one.tokens);
        json_.close();
    }

    json_writer& json() { return json_; }

private:
    const language_model& model_;
    score_detail wanted_;
    json_writer json_;
};

/// A field in quotes, on one line.
inline std::string csv_text(std::string_view text) {
    std::string out = "\"";
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at != end;) {
        const auto step = read_utf8(at, end);
        const std::string_view bytes(at, step.size);
        at += step.size;
        if (bytes == "\"" || bytes == "\\")
            out.append(bytes == "\"" ? "\"" : "\\").append(bytes);
        else if (bytes == "\n")
            out += "\\n";
        else if (step.what != utf8_step::kind::whole || step.point < 0x20)
            for (const char c : bytes) out += "\\x" + hex_of({&c, 1});
        else
            out += bytes;
    }
    return out + '"';
}

inline std::string csv_number(double value) {
    if (!std::isfinite(value)) return {};
    std::array<char, 32> digits;
    return {digits.data(), std::to_chars(digits.begin(), digits.end(), value).ptr};
}

}  // namespace detail

/// One row for each token, below a row of names: index, token, text, begin, end, log_prob,
/// surprisal_bits, rank. Raises token_out_of_range where the tokenizer is smaller than the model.
inline std::string score_csv(const language_model& of, const text_score& score) {
    std::string text = "index,token,text,begin,end,log_prob,surprisal_bits,rank\n";
    for (std::size_t i = 0; i < score.tokens.size(); ++i) {
        const auto& one = score.tokens[i];
        text += detail::text_of({i, ",", one.token, ","});
        if (of.has_tokenizer()) text += detail::csv_text(of.tokenizer().bytes(one.token));
        text += detail::text_of({",", one.bytes.begin, ",", one.bytes.end, ","});
        if (one.rank == 0)
            text += ",,\n";
        else
            text += detail::csv_number(one.log_prob) + ',' +
                    detail::csv_number(surprisal(one.log_prob)) + ',' + std::to_string(one.rank) +
                    '\n';
    }
    return text;
}

/// One object on one line: log_prob, scored, perplexity, bits_per_byte, and tokens, each with
/// token, text, begin, end, log_prob, surprisal_bits, rank and alternatives. Raises as score_csv.
inline std::string score_json(const language_model& of, const text_score& score,
                              score_detail what = score_detail::tokens) {
    detail::score_writer to(of, what);
    to.json().open('{').member("scored", score.scored());
    to.number("log_prob", score.log_prob());
    const auto number_or_null = [&](std::string_view name, auto value) {
        try {
            to.number(name, value());
        } catch (const error&) {  // nothing was scored
            to.json().member(name, nullptr);
        }
    };
    number_or_null("perplexity", [&] { return score.perplexity(); });
    number_or_null("bits_per_byte", [&] { return score.bits_per_byte(); });
    to.tokens(score.tokens);
    return to.json().close().take();
}

/// One object on one line: by, best, order, and choices, each with log_prob, value, bytes,
/// characters, greedy, given_domain (pointwise) and tokens. Raises as score_csv.
inline std::string ranking_json(const language_model& of, const ranking& found,
                                score_detail what = score_detail::tokens) {
    detail::score_writer to(of, what);
    to.json().open('{').member("by", name(found.by)).member("best", found.best());
    to.json().key("order").open('[');
    for (const auto place : found.order) to.json().value(place);
    to.json().close().key("choices").open('[');
    for (const auto& one : found.choices) to.choice(one);
    return to.json().close().close().take();
}

}  // namespace gpt2::inline GPT2_ABI
