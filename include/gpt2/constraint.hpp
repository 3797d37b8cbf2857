// Output that must be of a given form: a grammar crossed with a vocabulary, and a cursor that says
// before each token which ones may come.
//
//     options how{.constraint = constraint(json_schema(text), tokens)};   // for generate, or
//
//     const constraint json(json_schema(text), tokens);  // made once, for any number of sequences
//     auto at = json.start();
//     while (!at.is_complete()) {
//         for (const token_id id : at.forced()) at.advance(id);  // no question to the model
//         at.advance(draw(logits, at.allowed()));
//     }
//
// Any text made of allowed tokens can be completed: there are no dead ends, also for vocabularies
// that cannot write every byte, and within a number of tokens if one is given.
//
// Before: grammar.hpp, tokenizer.hpp. Next: detail/constraint_engine.hpp.
#pragma once

#include "core.hpp"
#include "error.hpp"
#include "grammar.hpp"
#include "guide.hpp"
#include "tokenizer.hpp"
#include "detail/constraint_engine.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

/// The tokens of a tokenizer as constraints need them; made once and shared by all of them.
/// O(1) to copy; may be shared by threads.
class constraint_tokens {
public:
    /// `ends` are the tokens that end a text; no other special token is ever allowed. Raises
    /// errc::token_out_of_range. O(bytes of all tokens · log V).
    explicit constraint_tokens(std::shared_ptr<const tokenizer> from,
                               std::vector<token_id> ends = {})
        : table_(std::make_shared<const detail::token_table>(std::move(from), std::move(ends))) {}

    /// The number of tokens, V.
    std::size_t size() const noexcept { return table_->from->size(); }
    /// The words of a mask of V bits.
    std::size_t words() const noexcept { return table_->words(); }

private:
    friend class constraint;
    std::shared_ptr<const detail::token_table> table_;
};

/// Where one sequence stands. Copied in O(1), so that it can be forked and gone back to; a copy and
/// the original are independent. Not to be shared by threads.
class constraint_cursor {
public:
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

    /// The tokens that may come next, token i as bit i % 64 of word i / 64, valid as long as the
    /// cursor is not changed, moved or asked again. Ends are among them where the text may end;
    /// empty only where is_complete() and there are no ends. With `left`, the tokens that may still
    /// come, only those after which the text can be completed in time (an end takes no token):
    /// exact for grammars without recursion, else by the shortest text. Raises
    /// errc::invalid_argument when `left` is not enough for any. O(1) for a state asked before,
    /// else O(V).
    std::span<const std::uint64_t> allowed(std::size_t left = unlimited) const;

    /// Whether that token may come next. Raises errc::token_out_of_range. O(its bytes).
    bool allows(token_id token) const;

    /// Goes on behind a token. Raises errc::invalid_argument, and stays, when it is not allowed;
    /// errc::token_out_of_range.
    void advance(token_id token);

    /// Whether the text may end here.
    bool may_end() const noexcept { return ended_ || at_->accepts; }

    /// Whether the text must end here: nothing but an end can come.
    bool is_complete() const noexcept { return ended_ || (at_->accepts && at_->ways.empty()); }

    /// The next tokens where only one text is possible, as the tokenizer would cut it; else none,
    /// also where they would not leave enough of `left`. They need not be asked for: advance over
    /// them.
    std::vector<token_id> forced(std::size_t left = unlimited) const {
        return ended_ ? std::vector<token_id>() : engine_->forced(at_, left);
    }

    /// The least `left` for which `allowed` has an answer.
    std::uint64_t tokens_needed() const { return may_end() ? 0 : engine_->tokens_left(at_); }

private:
    friend class constraint;
    explicit constraint_cursor(std::shared_ptr<const detail::constraint_engine> engine)
        : engine_(std::move(engine)), at_(engine_->start()) {}

    std::shared_ptr<const detail::constraint_engine> engine_;
    detail::reading_ptr at_;
    mutable std::shared_ptr<const detail::constraint_engine::mask> mask_;
    bool ended_ = false;
};

/// A grammar crossed with a vocabulary. Immutable to its users; O(1) to copy; may be shared by
/// threads, which then wait for each other while a mask is found.
class constraint {
public:
    /// Raises errc::invalid_argument when the vocabulary can write no text of the grammar,
    /// errc::limit_exceeded when it takes too many states to know what it can write.
    constraint(const grammar& texts, const constraint_tokens& tokens)
        : engine_(std::make_shared<const detail::constraint_engine>(texts.automaton(),
                                                                    tokens.table_)) {}

    /// A cursor before the first token.
    constraint_cursor start() const { return constraint_cursor(engine_); }

    /// The same as a guide, so that options::constraint takes a constraint as it is.
    std::unique_ptr<guide> operator()() const;

private:
    std::shared_ptr<const detail::constraint_engine> engine_;
};

// ------------------------------------------------------------------------------------------------

inline std::span<const std::uint64_t> constraint_cursor::allowed(std::size_t left) const {
    if (ended_)
        mask_ = std::make_shared<detail::constraint_engine::mask>(engine_->tokens().words());
    else
        mask_ = engine_->allowed(at_, left);
    return *mask_;
}

inline bool constraint_cursor::allows(token_id token) const {
    (void)engine_->tokens().from->bytes(token);
    if (engine_->tokens().is_end(token)) return !ended_ && at_->accepts;
    return !ended_ && engine_->advanced(at_, token) != nullptr;
}

inline void constraint_cursor::advance(token_id token) {
    (void)engine_->tokens().from->bytes(token);
    if (engine_->tokens().is_end(token) && !ended_ && at_->accepts) {
        ended_ = true;
        return;
    }
    auto next = ended_ ? nullptr : engine_->advanced(at_, token);
    if (!next)
        detail::fail(errc::invalid_argument, "constraint", "a token that is allowed",
                     {token, ", ", detail::printable(engine_->tokens().from->bytes(token), 40)});
    at_ = std::move(next);
}

namespace detail {

/// A cursor as a generation sees it.
class constraint_guide : public guide {
public:
    explicit constraint_guide(constraint_cursor at) : at_(std::move(at)) {}

    std::span<const std::uint64_t> allowed(std::size_t left) override { return at_.allowed(left); }
    std::vector<token_id> forced(std::size_t left) override { return at_.forced(left); }
    void advance(token_id token) override { at_.advance(token); }
    bool is_complete() const override { return at_.is_complete(); }

private:
    constraint_cursor at_;
};

}  // namespace detail

inline std::unique_ptr<guide> constraint::operator()() const {
    return std::make_unique<detail::constraint_guide>(start());
}

}  // namespace gpt2::inline GPT2_ABI
