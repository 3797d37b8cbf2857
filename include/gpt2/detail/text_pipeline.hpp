// A tokenizer in the parts that tokenizer.json names: a normalizer, added tokens that are looked
// for in the normalised text, a pre-tokenizer, a model of words, and a decoder.
//
// Before: detail/normalizer.hpp, detail/pre_tokenizer.hpp, detail/token_texts.hpp. Next:
// detail/pipeline_json.hpp.
#pragma once

#include "added_tokens.hpp"
#include "normalizer.hpp"
#include "pre_tokenizer.hpp"
#include "text_coder.hpp"
#include "token_texts.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// Appends the ids of one piece.
using word_model = std::function<void(std::string_view, std::vector<token_id>&)>;

/// What a pipeline is made of.
struct pipeline_parts {
    detail::normalizer normalizer = {};
    detail::pre_tokenizer pre_tokenizer = {};
    word_model model = {};
    token_texts texts = token_texts();
    std::vector<added_token> added = {};  ///< those that are normalized, before they are
};

/// Const calls are thread-safe.
class text_pipeline final : public text_coder {
public:
    /// Raises errc::bad_tokenizer for an added token of which normalising leaves nothing.
    explicit text_pipeline(pipeline_parts parts) : parts_(std::move(parts)) {
        std::map<std::string, added_token> sorted;
        for (added_token& token : parts_.added) {
            token.content = parts_.normalizer.apply(token.content, false).text;
            if (token.content.empty())
                fail(errc::bad_tokenizer, {"added token ", token.id},
                     "normalising leaves nothing of it");
            sorted.try_emplace(token.content, token);
        }
        std::vector<added_token> tokens;
        for (auto& [content, token] : sorted) tokens.push_back(std::move(token));
        added_ = added_tokens(std::move(tokens));
        parts_.added.clear();
    }

    void encode(const text_stretch& from, std::vector<token_id>& ids) const override {
        if (from.text.empty()) return;
        const normal_text normal = parts_.normalizer.apply(from.text, from.offset == 0);
        const std::string_view text = normal.text;
        words to(parts_.model, ids);
        const auto cut = [&](std::size_t begin, std::size_t end) {
            const text_piece piece{text.substr(begin, end - begin), normal.first > 0 && begin == 0};
            parts_.pre_tokenizer.cut(piece, to);
        };
        std::size_t done = 0;
        if (from.mode != specials::as_text)
            for (auto found = added_.find(text, 0); found.token;
                 found = added_.find(text, found.next)) {
                if (found.begin > done) cut(done, found.begin);
                if (!found.token->special || from.mode != specials::skip)
                    ids.push_back(found.token->id);
                done = std::max(done, found.end);
            }
        cut(done, text.size());
    }

    void decode(token_id id, std::string_view middle, decoding& so_far,
                std::string& text) const override {
        parts_.texts.decode(id, middle, so_far, text);
    }

private:
    struct words final : piece_sink {
        words(const word_model& model_, std::vector<token_id>& ids_) : model(model_), ids(ids_) {}
        void take(const text_piece& piece) override { model(piece.text, ids); }
        const word_model& model;
        std::vector<token_id>& ids;
    };

    pipeline_parts parts_;
    added_tokens added_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
