// A walk as JSON: the schema gpt2-walk/1, written down in examples/explain/walk.schema.json.
//
// One object on one line. Large arrays are halves in base64, small ones numbers of six digits;
// logits of candidates have all theirs. What is no finite number is "NaN", "Infinity" or
// "-Infinity". All texts are UTF-8: ill-formed bytes of prompt and continuation become U+FFFD, a
// token that is no whole characters has its bytes in `hex`.
//
// Before: walk.hpp, detail/json_writer.hpp.
#pragma once

#include "detail/binary_text.hpp"
#include "detail/chain.hpp"
#include "detail/json_writer.hpp"
#include "detail/utf8.hpp"
#include "detail/utf8_stream.hpp"
#include "detail/widen.hpp"
#include "walk.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {

namespace detail {

/// The nearest number of six significant digits.
inline double six_digits(double value) {
    std::array<char, 32> digits;
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                       std::chars_format::general, 6);
    double rounded = value;
    std::from_chars(digits.data(), written.ptr, rounded);
    return rounded;
}

/// The bytes as they are where they are UTF-8, else "<0xE2><0x80>".
inline std::string shown_bytes(std::string_view bytes) {
    if (is_utf8(bytes)) return std::string(bytes);
    std::string text;
    for (const char byte : bytes) text += "<0x" + hex_of({&byte, 1}) + ">";
    for (char& c : text)
        if (c >= 'a' && c <= 'f') c = static_cast<char>(c - 'a' + 'A');
    return text;
}

inline std::string whole_characters(std::string_view bytes) {
    utf8_stream stream;
    const auto begin = stream.push(bytes);
    return begin + stream.finish();
}

/// What was cut, and what went wrong, a sentence each.
inline std::vector<std::string> notes_of(const walk& of) {
    std::vector<std::string> notes;
    if (of.first > 0)
        notes.push_back(
            text_of({"Only the last ", of.shown(), " of ", of.total, " positions are shown."}));
    if (of.why == walk_end::end_of_text) notes.push_back("The model ended the text.");
    if (of.why == walk_end::context_full)
        notes.push_back("Nothing more was written: the model has no more positions.");
    if (of.why == walk_end::not_finite)
        notes.push_back("Nothing more was written: the model's logits are no finite numbers.");
    if (const auto& found = of.first_non_finite)
        notes.push_back(text_of({"The first number that is not finite arises in ", name(found->at),
                                 " at position ", found->position, "."}));
    return notes;
}

class walk_writer {
public:
    explicit walk_writer(const walk& of) : of_(of) {}

    std::string run() {
        json_.open('{').member("schema", "gpt2-walk/1");
        model();
        text();
        tokens();
        json_.key("embedding").open('{');
        member("token", of_.token_embedding);
        member("position", of_.position_embedding);
        member("sum", of_.sum);
        member("sinusoidal", of_.sinusoidal);
        json_.close().key("layers").open('[');
        for (const auto& one : of_.layers) layer(one);
        json_.close();
        lens();
        member("ln_f", of_.ln_f);
        json_.key("steps").open('[');
        for (const auto& one : of_.steps) step(one);
        json_.close();
        choice();
        edits();
        return json_.close().take();
    }

private:
    void number(double value) {
        if (std::isfinite(value))
            json_.value(six_digits(value));
        else
            json_.value(std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
    }
    void member(std::string_view name, double value) {
        json_.key(name);
        number(value);
    }
    void member(std::string_view name, std::span<const double> values) {
        json_.key(name).open('[');
        for (const double x : values) number(x);
        json_.close();
    }
    void member(std::string_view name, std::span<const token_id> ids) {
        json_.key(name).open('[');
        for (const auto id : ids) json_.value(id);
        json_.close();
    }
    void member(std::string_view name, const walk_array& values) {
        json_.key(name).open('{').key("shape").open('[');
        for (const auto size : values.shape) json_.value(size);
        std::string bytes;
        for (const float x : values.values) {
            const auto half = narrow_half(x);
            bytes += static_cast<char>(half & 0xFF);
            bytes += static_cast<char>(half >> 8);
        }
        json_.close().member("f16", base64_of(bytes)).close();
    }
    void member(std::string_view name, std::span<const moments> of) {
        std::vector<double> means, variances;
        for (const auto& one : of) {
            means.push_back(one.mean);
            variances.push_back(one.variance);
        }
        json_.key(name).open('{');
        member("mean", means);
        member("variance", variances);
        json_.close();
    }

    void model() {
        const auto& c = of_.config;
        const auto counts = c.parameter_table();
        json_.key("model").open('{').member("name", whole_characters(of_.model_name));
        json_.member("layers", c.layers).member("heads", c.heads).member("width", c.width);
        json_.member("inner_width", c.inner_width).member("vocabulary_size", c.vocabulary_size);
        json_.member("context_length", c.context_length).member("activation", name(c.activation));
        json_.member("layer_norm_epsilon", c.layer_norm_epsilon);
        json_.member("parameters", of_.tied_head ? counts.tied : counts.untied);
        json_.member("tied_head", of_.tied_head).member("has_tokenizer", of_.has_tokenizer);
        json_.close();
    }

    void text() {
        json_.key("text");
        if (of_.text)
            json_.value(whole_characters(*of_.text));
        else
            json_.value(nullptr);
        json_.member("continuation", whole_characters(of_.continuation));
        json_.key("notes").open('[');
        for (const auto& one : notes_of(of_)) json_.value(one);
        json_.close().key("first_non_finite");
        if (const auto& found = of_.first_non_finite)
            json_.open('{')
                .member("stage", name(found->at.stage))
                .member("layer", found->at.layer)
                .member("position", found->position)
                .close();
        else
            json_.value(nullptr);
        json_.key("window").open('{').member("first", of_.first).member("count", of_.shown());
        json_.member("total", of_.total).close().member("prompt_tokens", of_.prompt_tokens);
    }

    void tokens() {
        json_.key("tokens").open('[');
        for (const auto& one : of_.tokens) {
            json_.open('{').member("id", one.id).key("text");
            if (of_.has_tokenizer && is_utf8(one.bytes))
                json_.value(one.bytes);
            else
                json_.value(nullptr);
            json_.member("hex", hex_of(one.bytes));
            json_.member("begin", one.place.begin).member("end", one.place.end);
            json_.member("written", one.written).key("merges").open('[');
            for (const auto& [left, right] : one.merges)
                json_.open('[').value(shown_bytes(left)).value(shown_bytes(right)).close();
            json_.close().close();
        }
        json_.close().member("normalised", whole_characters(of_.normalised));
    }

    void layer(const walk_layer& one) {
        json_.open('{');
        member("ln_1", one.ln_1);
        member("ln_2", one.ln_2);
        member("q", one.q);
        member("k", one.k);
        member("v", one.v);
        member("scores", one.scores);
        member("weights", one.weights);
        member("earlier", one.earlier);
        member("head_norms", one.head_norms);
        member("attention_norm", one.attention_norm);
        member("mlp_norm", one.mlp_norm);
        member("residual_norm", one.residual_norm);
        member("middle_norm", one.middle_norm);
        member("entropy", one.entropy);
        member("active_share", one.active_share);
        json_.key("top_units").open('[');
        for (const auto& row : one.top_units) {
            json_.open('[');
            for (const auto& [unit, value] : row) {
                json_.open('[').value(unit);
                number(static_cast<double>(value));
                json_.close();
            }
            json_.close();
        }
        json_.close().close();
    }

    void lens() {
        json_.key("lens").open('[');
        for (const auto& row : of_.lens) {
            json_.open('[');
            for (const auto& answer : row) {
                std::vector<token_id> ids;
                std::vector<double> probabilities;
                for (const auto& one : answer.best) {
                    ids.push_back(one.token);
                    probabilities.push_back(std::exp(one.log_prob));
                }
                json_.open('{');
                member("ids", std::span<const token_id>(ids));
                member("probabilities", probabilities);
                json_.member("chosen_rank", answer.rank).close();
            }
            json_.close();
        }
        json_.close();
    }

    void step(const walk_step& one) {
        json_.open('{').member("position", one.position).key("candidates").open('{');
        json_.key("ids").open('[');
        for (const auto& [id, logit, probability] : one.candidates) json_.value(id);
        json_.close().key("logits").open('[');
        for (const auto& [id, logit, probability] : one.candidates) json_.value(logit);
        json_.close().close().key("rest").open('[');
        for (const auto& [logit, count] : one.rest) {
            json_.open('[');
            number(logit);
            json_.value(count).close();
        }
        json_.close().key("probabilities").open('[');
        constexpr std::size_t most = 10;
        for (const auto& [id, logit, probability] :
             std::span(one.candidates).first(std::min(most, one.candidates.size())))
            number(probability);
        json_.close().key("filters").open('[');
        for (const auto& filter : one.filters) {
            json_.open('{').member("filter", whole_characters(filter.filter));
            json_.member("removed", filter.removed);
            member("examples", std::span<const token_id>(filter.examples));
            json_.close();
        }
        json_.close().member("survivors", one.survivors).member("chosen", one.chosen);
        member("chosen_probability", one.chosen_probability);
        json_.key("draw");
        if (one.draw)
            json_.value(*one.draw);
        else
            json_.value(nullptr);
        json_.close();
    }

    void choice() {
        const auto& how = of_.sampling;
        json_.key("sampling").open('{');
        member("temperature", static_cast<double>(how.temperature));
        json_.member("top_k", how.top_k);
        member("top_p", how.top_p);
        json_.member("seed", of_.seed).member("description", whole_characters(describe(how)));
        json_.close().key("vocabulary").open('{');
        for (const auto& [id, bytes] : of_.vocabulary)
            json_.member(std::to_string(id), shown_bytes(bytes));
        json_.close();
    }

    void edits() {
        json_.key("post_processing").open('[');
        for (const auto& one : of_.post_processing) {
            json_.open('{').member("step", whole_characters(one.step));
            json_.member("before", whole_characters(one.before));
            json_.member("after", whole_characters(one.after)).key("changes").open('[');
            for (const auto& change : one.changes) {
                json_.open('{').member("begin", change.begin).member("end", change.end);
                json_.member("from", whole_characters(change.from));
                json_.member("to", whole_characters(change.to)).close();
            }
            json_.close().close();
        }
        json_.close();
    }

    const walk& of_;
    json_writer json_;
};

}  // namespace detail

/// The walk as one JSON object on one line. O(size of the walk).
inline std::string walk_json(const walk& of) { return detail::walk_writer(of).run(); }

}  // namespace gpt2::inline GPT2_ABI
