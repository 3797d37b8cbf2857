// One running text: feed it, ask for logits, let it go on, fork it, rewind it.
//
// A session shares ownership of its model, so it cannot dangle. One thread at a time may use it;
// any number of sessions may run on one model. After an exception, of ours or of a callback, it
// still holds exactly the tokens that `tokens()` shows, and can go on.
//
// Before: model.hpp, tokenizer.hpp, sampler.hpp. After: gpt2.hpp, which makes sessions.
#pragma once

#include "detail/text_stream.hpp"
#include "model.hpp"
#include "sampler.hpp"
#include "tokenizer.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// What an end-of-text token does when it is drawn.
enum class end_rule {
    stop,   ///< it ends the generation and is not part of it
    go_on,  ///< it is a token like any other
};

/// How to write.
struct options {
    std::size_t max_new_tokens = 64;
    gpt2::sampling sampling = greedy();
    std::uint64_t seed = 0;  ///< the same seed draws the same tokens, everywhere
    /// Text that ends the generation, never emitted; at most 64.
    std::vector<std::string> stop = {};
    end_rule at_end_of_text = end_rule::stop;
    specials prompt = specials::as_text;  ///< whether "<|endoftext|>" in a prompt is a token
    interruption until = {};              ///< stop token and deadline, heeded within a layer's work
};

/// A step of a generation, as the callback sees it. `text` is whole UTF-8 characters, and empty
/// while a character or a possible stop text is incomplete; it is valid during the call only.
struct piece {
    std::string_view text;
    token_id token = 0;
    float log_prob = 0;  ///< natural logarithm, of the model's own distribution before any filter
};

enum class flow { go_on, stop };

/// Called once per token, and once more, with the end-of-text token, when text was held back as it
/// came. May raise: the exception reaches the caller, the session stays usable.
using on_piece = std::function<flow(const piece&)>;

enum class finish {
    length,        ///< max_new_tokens were written
    end_of_text,   ///< the model ended the text
    stop_text,     ///< one of options::stop came up
    callback,      ///< the callback asked to stop
    cancelled,     ///< the stop token or the deadline
    context_full,  ///< the model has no more positions
};

inline std::string_view name(finish why) {
    constexpr std::string_view names[] = {"length",   "end_of_text", "stop_text",
                                          "callback", "cancelled",   "context_full"};
    return names[static_cast<std::size_t>(why)];
}

/// Counts, and seconds by the steady clock.
struct statistics {
    std::size_t prompt_tokens = 0, new_tokens = 0;
    double prompt_seconds = 0;  ///< up to the logits behind the prompt
    double decode_seconds = 0;  ///< from there to the end
};

struct completion {
    /// What the callback was given, concatenated. What was held back when the callback stopped the
    /// generation, or something cancelled it, is in `tokens` only.
    std::string text;
    std::vector<token_id> tokens;
    std::vector<float> log_probs;
    finish why = finish::length;
    statistics stats;
};

/// What a language model is made of; const and shared by all its sessions.
struct language_parts {
    language_parts(gpt2::model model_, std::optional<gpt2::tokenizer> tokenizer_,
                   gpt2::audit audit_, std::shared_ptr<thread_pool> pool_,
                   const execution& how_ = {}, std::filesystem::path source_ = {})
        : model(std::move(model_)),
          tokenizer(std::move(tokenizer_)),
          audit(std::move(audit_)),
          pool(std::move(pool_)),
          how(how_),
          source(std::move(source_)) {}

    gpt2::model model;
    std::optional<gpt2::tokenizer> tokenizer;  ///< none: ids in, ids out
    gpt2::audit audit;
    std::shared_ptr<thread_pool> pool;
    execution how;
    std::filesystem::path source;  ///< what was loaded; empty: no file

    /// Raises not_found when the model came without tokenizer files.
    const gpt2::tokenizer& text() const {
        if (!tokenizer)
            throw error(errc::not_found, "this model came without a tokenizer: feed it ids");
        return *tokenizer;
    }
};

class session {
public:
    explicit session(std::shared_ptr<const language_parts> parts)
        : parts_(std::move(parts)), run_(std::make_unique<running>(*parts_)) {}

    /// Continues the text. Text and tokens fed in parts are read as if fed at once, but each part
    /// is cut into tokens on its own. Raises context_full before any work, token_out_of_range,
    /// cancelled; nothing is fed then.
    void feed(std::string_view text, specials rule = specials::as_text,
              const interruption& until = {}) {
        run();  // refuses a session that was moved from
        feed(parts_->text().encode(text, rule), until);
    }
    void feed(std::span<const token_id> ids, const interruption& until = {});

    /// (V): how well each token would follow; valid until the session changes. Raises empty_prompt
    /// when nothing was fed, context_full when the last token lies beyond the model's positions.
    std::span<const float> logits() const;

    /// Writes on. An empty session begins with the model's begin-of-text token.
    /// Raises invalid_argument (options), empty_prompt, not_finite, no_candidate.
    completion generate(const options& how = {}, const on_piece& callback = {});

    /// Writes several texts of one model on together, so that the weights are read once for all:
    /// each as it would be written alone, to the bit. Raises as above; every text
    /// then holds what it had written.
    static std::vector<completion> generate(std::span<session> texts, const options& how = {});

    /// Another session with the same past. O(size).
    session fork() const;

    /// Forgets all but the first `length` tokens. Raises invalid_argument beyond size().
    void rewind(std::size_t length);

    std::size_t size() const { return run().tokens.size(); }
    std::span<const token_id> tokens() const { return run().tokens; }

private:
    class generation;

    struct running {
        explicit running(const language_parts& parts)
            : state(parts.model.config(), *parts.pool, parts.how),
              logits(parts.model.config().vocabulary_size) {}

        gpt2::state<float> state;
        std::vector<token_id> tokens;  // all of them; the first state.kv.size() are computed
        buffer<float> logits;          // (V), behind the last computed token
    };

    running& run() const {
        if (!run_) throw error(errc::invalid_argument, "session: used after it was moved from");
        return *run_;
    }
    /// Computes the tokens that are not computed yet.
    void catch_up(const interruption& until) const;
    static void catch_up(std::span<generation* const> active, const interruption& until);
    static void step(std::span<generation* const> some, const interruption& until);
    void begin(const interruption& until);

    std::shared_ptr<const language_parts> parts_;
    std::unique_ptr<running> run_;
};

inline void session::feed(std::span<const token_id> ids, const interruption& until) {
    const auto before = run().tokens.size(), room = run().state.kv.capacity();
    if (ids.empty()) return;
    if (before + ids.size() > room)
        detail::fail(errc::context_full, "feed", {"at most ", room, " tokens in all"},
                     {before, " and ", ids.size(), " more"});
    auto& tokens = run().tokens;
    tokens.resize(before + ids.size());
    std::copy_n(ids.data(), ids.size(), tokens.data() + before);
    try {
        catch_up(until);
    } catch (...) {
        tokens.resize(before);
        throw;
    }
}

inline void session::catch_up(const interruption& until) const {
    auto& s = run().state;
    const auto waiting = std::span<const token_id>(run().tokens).subspan(s.kv.size());
    if (waiting.empty()) return;
    s.stop = until;
    parts_->model.forward(waiting, s, {run().logits.data(), 1, run().logits.size()});
}

inline std::span<const float> session::logits() const {
    if (run().tokens.empty())
        throw error(errc::empty_prompt, "logits: nothing was fed to this session yet");
    catch_up({});
    return run().logits.span();
}

inline session session::fork() const {
    run();
    session other(parts_);
    other.run().tokens = run().tokens;
    other.run().state.kv.copy_from(run().state.kv);
    std::copy_n(run().logits.data(), run().logits.size(), other.run().logits.data());
    return other;
}

inline void session::rewind(std::size_t length) {
    if (length > size())
        detail::fail(errc::invalid_argument, "rewind", {"at most ", size()}, length);
    auto& kv = run().state.kv;
    run().tokens.resize(length);
    // The last token is computed anew for the logits behind it, unless they are there already.
    if (kv.size() > length) kv.resize(length == 0 ? 0 : length - 1);
}

inline void session::begin(const interruption& until) {
    if (until.requested()) throw error(errc::cancelled, "generate: stopped before it began");
    const auto& first = parts_->model.config().begin_of_text;
    if (!first)
        throw error(errc::empty_prompt,
                    "generate: an empty prompt, and the model names no begin-of-text token");
    feed(std::span(&*first, 1), until);
}

/// One call of generate: the loop and what it gathers.
class session::generation {
public:
    generation(session& text, const options& how, const on_piece& callback)
        : text_(text),
          how_(how),
          callback_(callback),
          sampler_(how.sampling, how.seed),
          words_(words_of(text)),
          stream_(how.stop) {
        // The prompt may end within a character, of at most 4 bytes, that the first token
        // completes.
        stream_.skip(words_.skip(text.tokens()));
    }

    /// The whole generation, alone.
    completion run() {
        guarded([&] {
            begin();
            while (goes_on()) {
                text_.catch_up(how_.until);
                draw_one();
            }
        });
        return result();
    }

    /// Calls a step; cancelling ends the generation and is no error.
    template <class Step>
    void guarded(Step step) {
        try {
            step();
        } catch (const error& problem) {
            if (problem.code() != errc::cancelled) throw;
            why_ = finish::cancelled;
        }
    }

    void begin() {
        if (text_.size() == 0) text_.begin(how_.until);
        result_.stats.prompt_tokens = text_.size();
    }

    /// Whether another token is to be drawn.
    bool goes_on() {
        if (!why_ && result_.tokens.size() >= how_.max_new_tokens) why_ = finish::length;
        if (!why_ && full()) why_ = finish::context_full;
        return !why_;
    }

    /// Draws the next token from the logits of the text, all of whose tokens are computed.
    void draw_one() {
        if (result_.tokens.empty()) prompted_ = clock::now();
        const draw next = sampler_.next(text_.run().logits.span(), text_.size());
        if (ends(next.token)) {
            if (const auto rest = stream_.finish(); !rest.empty()) emit(rest, next);
            why_ = finish::end_of_text;
            return;
        }
        append(next);
        auto shown = stream_.push(words_.push(next.token));
        const bool last = result_.tokens.size() == how_.max_new_tokens || full();
        if (last && !stream_.stopped()) shown += stream_.finish();
        const auto wish = emit(shown, next);
        if (stream_.stopped())
            why_ = finish::stop_text;
        else if (wish == flow::stop)
            why_ = finish::callback;
    }

    completion result() {
        if (result_.tokens.empty()) prompted_ = clock::now();
        const std::chrono::duration<double> prompt = prompted_ - begun_,
                                            decode = clock::now() - prompted_;
        result_.why = *why_;
        result_.stats.new_tokens = result_.tokens.size();
        result_.stats.prompt_seconds = prompt.count();
        result_.stats.decode_seconds = decode.count();
        return std::move(result_);
    }

    session& text() { return text_; }

private:
    using clock = std::chrono::steady_clock;

    /// What ids stand for, or nothing. Raises what run raises.
    static const gpt2::tokenizer* words_of(const session& text) {
        (void)text.run();
        return text.parts_->tokenizer ? &*text.parts_->tokenizer : nullptr;
    }

    /// A token beyond the last position can be drawn, but nothing can follow it.
    bool full() const { return text_.size() > text_.run().state.kv.capacity(); }

    bool ends(token_id id) const {
        if (how_.at_end_of_text == end_rule::go_on) return false;
        for (const token_id end : text_.parts_->model.config().end_of_text)
            if (id == end) return true;
        return false;
    }

    void append(const draw& next) {
        text_.run().tokens.push_back(next.token);
        result_.tokens.push_back(next.token);
        result_.log_probs.push_back(next.log_prob);
    }

    flow emit(const std::string& shown, const draw& next) {
        result_.text += shown;
        return callback_ ? callback_({shown, next.token, next.log_prob}) : flow::go_on;
    }

    session& text_;
    const options& how_;
    const on_piece& callback_;
    gpt2::sampler sampler_;
    token_stream words_;
    detail::text_stream stream_;
    completion result_;
    std::optional<finish> why_;
    clock::time_point begun_ = clock::now(), prompted_ = begun_;
};

inline completion session::generate(const options& how, const on_piece& callback) {
    return generation(*this, how, callback).run();
}

inline std::vector<completion> session::generate(std::span<session> texts, const options& how) {
    const on_piece nobody;
    std::vector<std::unique_ptr<generation>> all;
    for (session& text : texts) {
        if (text.parts_ != texts[0].parts_)
            throw error(errc::invalid_argument, "generate: sessions of different models");
        all.push_back(std::make_unique<generation>(text, how, nobody));
        all.back()->guarded([&] { all.back()->begin(); });
    }
    std::vector<generation*> active;
    for (;;) {
        active.clear();
        for (auto& one : all)
            if (one->goes_on()) active.push_back(one.get());
        if (active.empty()) break;
        catch_up(active, how.until);
        for (auto* one : active)
            if (one->goes_on()) one->draw_one();
    }
    std::vector<completion> results;
    for (auto& one : all) results.push_back(one->result());
    return results;
}

/// Computes the last token of every text, all at once; whatever else is to be computed, before.
inline void session::catch_up(std::span<generation* const> active, const interruption& until) {
    std::vector<generation*> waiting;
    for (auto* one : active) {
        auto& run = one->text().run();
        if (run.tokens.size() - run.state.kv.size() == 1)
            waiting.push_back(one);
        else
            one->guarded([&] { one->text().catch_up(until); });
    }
    const auto most = active[0]->text().run().state.work.rows();
    for (std::size_t first = 0; first < waiting.size(); first += most) {
        const auto some = std::span(waiting).subspan(first, std::min(most, waiting.size() - first));
        step(some, until);
    }
}

/// One token of each text.
inline void session::step(std::span<generation* const> some, const interruption& until) {
    std::vector<token_id> ids;
    std::vector<gpt2::state<float>*> states;
    for (auto* one : some) {
        ids.push_back(one->text().run().tokens.back());
        states.push_back(&one->text().run().state);
    }
    const auto& network = some[0]->text().parts_->model;
    const auto width = network.config().vocabulary_size;
    buffer<float> logits(some.size() * width);
    states[0]->stop = until;
    try {
        network.forward_batch(ids, states, {logits.data(), some.size(), width});
    } catch (const error&) {
        for (auto* one : some) one->guarded([] { throw; });
        return;
    }
    for (std::size_t i = 0; i < some.size(); ++i)
        std::copy_n(logits.data() + i * width, width, some[i]->text().run().logits.data());
}

}  // namespace gpt2::inline GPT2_ABI
