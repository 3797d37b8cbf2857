// One running text: feed it, ask for logits, let it go on, fork it, rewind it.
//
// A session shares ownership of its model, so it cannot dangle. One thread at a time may use it;
// any number of sessions may run on one model. After an exception, of ours or of a callback, it
// still holds exactly the tokens that `tokens()` shows, and can go on.
//
// Before: model.hpp, tokenizer.hpp, sampler.hpp. After: gpt2.hpp, which makes sessions.
#pragma once

#include "batch.hpp"
#include "detail/generation.hpp"
#include "detail/running_text.hpp"
#include "options.hpp"
#include "snapshot.hpp"
#include "tokenizer.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

class session {
public:
    explicit session(std::shared_ptr<const language_parts> parts)
        : text_(std::make_unique<detail::running_text>(std::move(parts))) {}

    /// Continues the text. Text and tokens fed in parts are read as if fed at once, but each part
    /// is cut into tokens on its own. Where the policy makes room, the oldest tokens are
    /// dropped and those behind them computed again. Raises context_full before any work,
    /// token_out_of_range, cancelled; nothing is fed then.
    void feed(std::string_view text, specials rule = specials::as_text,
              const interruption& until = {}, const context_policy& policy = {}) {
        feed(this->text().parts().text().encode(text, rule), until, policy);
    }
    void feed(std::span<const token_id> ids, const interruption& until = {},
              const context_policy& policy = {}) {
        text().feed(ids, until, policy);
    }

    /// (V): how well each token would follow; valid until the session changes. Raises empty_prompt
    /// when nothing was fed, context_full when the last token lies beyond the model's positions.
    std::span<const float> logits() const {
        if (text().size() == 0)
            throw error(errc::empty_prompt, "logits: nothing was fed to this session yet");
        text().catch_up({});
        return text().logits();
    }

    /// Writes on. An empty session begins with the model's begin-of-text token.
    /// Raises invalid_argument (options), empty_prompt, not_finite, no_candidate.
    completion generate(const options& how = {}, const on_piece& callback = {}) {
        return detail::generation(text(), how, callback).run();
    }

    /// Writes several texts of one model on together, so that the weights are read once for all:
    /// each as it would be written alone, to the bit. Raises as above what the first of them
    /// raised, once the others are finished; every text then holds what it had written.
    static std::vector<completion> generate(std::span<session> texts, const options& how = {});

    /// Another session with the same past. O(size).
    session fork() const { return session(text().fork()); }

    /// Forgets all but the first `length` tokens. Raises invalid_argument beyond size().
    void rewind(std::size_t length) {
        if (length > size())
            detail::fail(errc::invalid_argument, "rewind", {"at most ", size()}, length);
        text().rewind(length);
    }

    /// Writes the text into a file from which language_model::resume goes on, to the bit as this
    /// session would. Raises write_failed, also where something is there that may not be replaced.
    void save(const std::filesystem::path& target, existing what = existing::keep) const {
        detail::save_snapshot(text().snapshot(), text().parts().identity(), target, what);
    }

    /// The session of such a file. Raises bad_session where it is damaged, or of another model,
    /// tokenizer or format of keys and values; not_found, truncated, unsupported, limit_exceeded.
    static session resume(std::shared_ptr<const language_parts> parts,
                          const std::filesystem::path& source) {
        const detail::file_source file(source);
        const auto taken =
            detail::read_snapshot(file, parts->model.config(), parts->identity(), parts->how.cache);
        return session(detail::running_text::restore(std::move(parts), taken));
    }

    std::size_t size() const { return text().size(); }
    std::span<const token_id> tokens() const { return text().tokens(); }

private:
    explicit session(std::unique_ptr<detail::running_text> text) : text_(std::move(text)) {}

    detail::running_text& text() const {
        if (!text_) throw error(errc::invalid_argument, "session: used after it was moved from");
        return *text_;
    }

    std::unique_ptr<detail::running_text> text_;
};

inline std::vector<completion> session::generate(std::span<session> texts, const options& how) {
    for (const session& text : texts)
        if (text.text().shared_parts() != texts[0].text().shared_parts())
            throw error(errc::invalid_argument, "generate: sessions of different models");
    std::vector<outcome> ends(texts.size());
    detail::batch together(texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i)
        together.add(texts[i].text(), how, {}, [&, i](outcome&& end) { ends[i] = std::move(end); });
    while (!together.is_empty()) together.step();
    std::vector<completion> results;
    for (auto& end : ends) results.push_back(end.take());
    return results;
}

}  // namespace gpt2::inline GPT2_ABI
