// The whole library in one include:
//
//     #include <gpt2/gpt2.hpp>
//     auto model = gpt2::load("path/to/gpt2");
//     std::cout << model.generate("Once upon a time").text;
//
// Every part can be included alone; README.md in this folder is the map.
#pragma once

#include "load.hpp"
#include "session.hpp"
#include "tokenizer_files.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {

struct load_options {
    storage weights = storage::as_stored;
    unsigned threads = 0;  ///< 0: one per core
    /// Threads that other models use too; null: this model has its own.
    std::shared_ptr<thread_pool> pool = nullptr;
    std::string kernels = {};  ///< one of kernel_names(); empty: the fastest
    gpt2::arithmetic arithmetic = gpt2::arithmetic::reproducible;
    /// How keys and values are kept: f32, f16 or bf16; as_stored: f32, or bf16 where arithmetic is
    /// fast. Halves take half the memory, and half the time of reading them.
    storage cache = storage::as_stored;
};

/// The kernels that this machine can run, the fastest first. All give the same bits.
inline std::vector<std::string_view> kernel_names() {
    std::vector<std::string_view> names;
    for (const auto& set : detail::kernels::available()) names.push_back(set.name);
    return names;
}

namespace detail {

/// The kernels of that name, the fastest for none. Raises invalid_argument.
[[gnu::cold]] inline const kernels::kernel_set& kernels_named(std::string_view name) {
    if (name.empty()) return kernels::best();
    std::string known;
    for (const auto& set : kernels::available()) {
        if (set.name == name) return set;
        if (!known.empty()) known += ", ";
        known += set.name;
    }
    fail(errc::invalid_argument, "kernels", known, printable(name));
}

/// Raises invalid_argument.
inline execution execution_of(const load_options& how) {
    const auto cache = [&] {
        switch (how.cache) {
            case storage::f32:
                return kernels::format::f32;
            case storage::f16:
                return kernels::format::f16;
            case storage::bf16:
                return kernels::format::bf16;
            case storage::as_stored:
                return how.arithmetic == arithmetic::fast ? kernels::format::bf16
                                                          : kernels::format::f32;
            default:
                throw error(errc::invalid_argument, "cache: expected f32, f16 or bf16");
        }
    };
    return {&kernels_named(how.kernels), how.arithmetic, cache()};
}

}  // namespace detail

/// A model with its tokenizer: text in, text out. Cheap to copy, copies share the weights; const
/// calls may run on any number of threads at once.
class language_model {
public:
    explicit language_model(std::shared_ptr<const language_parts> parts)
        : parts_(std::move(parts)) {}
    // Copies alone: a moved-from model would be one without weights.
    language_model(const language_model&) = default;
    language_model& operator=(const language_model&) = default;

    /// Continues a prompt. Raises context_full for a prompt beyond the model's positions (before
    /// any work), empty_prompt, invalid_argument, not_finite, no_candidate, and not_found for a
    /// model without a tokenizer. Cancelling is no error: completion::why says so.
    completion generate(std::string_view prompt, const options& how = {},
                        const on_piece& callback = {}) const {
        return generate(tokenizer().encode(prompt, how.prompt), how, callback);
    }

    /// Continues a prompt given as ids; the same otherwise.
    completion generate(std::span<const token_id> prompt, const options& how = {},
                        const on_piece& callback = {}) const;

    /// Continues several prompts: item i is generate(prompts[i], how), to the bit.
    std::vector<completion> generate(std::span<const std::string> prompts,
                                     const options& how = {}) const {
        std::vector<completion> results;
        for (std::size_t first = 0; first < prompts.size(); first += at_once) {
            std::vector<session> texts;
            for (const auto& prompt :
                 prompts.subspan(first, std::min(at_once, prompts.size() - first))) {
                texts.emplace_back(parts_);
                try {
                    texts.back().feed(prompt, how.prompt, how.until);
                } catch (const error& problem) {
                    if (problem.code() != errc::cancelled) throw;  // the generation says so too
                }
            }
            for (auto& done : session::generate(texts, how)) results.push_back(std::move(done));
        }
        return results;
    }

    /// A running text that begins with `prefix`.
    session start(std::string_view prefix = {}) const {
        session text(parts_);
        if (!prefix.empty()) text.feed(prefix);
        return text;
    }

    /// Raises not_found when the model came without tokenizer files.
    const gpt2::tokenizer& tokenizer() const { return parts_->text(); }
    bool has_tokenizer() const { return parts_->tokenizer.has_value(); }
    const gpt2::model& model() const { return parts_->model; }
    const gpt2::config& config() const { return parts_->model.config(); }
    /// An empty text for model().forward, on this model's threads and kernels.
    gpt2::state<float> state() const { return {config(), *parts_->pool, parts_->how}; }
    /// What `load` used of the files, and what it ignored.
    const gpt2::audit& audit() const { return parts_->audit; }

private:
    /// Prompts that share a reading of the weights; each has a cache of its own meanwhile.
    static constexpr std::size_t at_once = 16;

    std::shared_ptr<const language_parts> parts_;
};

inline completion language_model::generate(std::span<const token_id> prompt, const options& how,
                                           const on_piece& callback) const {
    const auto begun = std::chrono::steady_clock::now();
    session text(parts_);
    try {
        text.feed(prompt, how.until);
    } catch (const error& problem) {
        if (problem.code() != errc::cancelled) throw;
        completion nothing;
        nothing.why = finish::cancelled;
        return nothing;
    }
    const std::chrono::duration<double> fed = std::chrono::steady_clock::now() - begun;
    auto done = text.generate(how, callback);
    done.stats.prompt_seconds += fed.count();
    return done;
}

namespace detail {

/// Whether a folder holds any file of tokens or merges. What stands beside them (added_tokens.json,
/// tokenizer_config.json …) also accompanies tokenizers of other kinds, which GPT-2s of other
/// languages use, and says nothing alone.
[[gnu::cold]] inline bool has_tokenizer_files(const std::filesystem::path& folder) {
    for (const std::string_view name :
         {"tokenizer.json", "vocab.json", "encoder.json", "merges.txt", "vocab.bpe"})
        if (has_entry(folder, name)) return true;  // also a link to nowhere, an error later
    return false;
}

}  // namespace detail

/// Loads a model as it is downloaded: a Hugging Face folder with `config.json`, the weights as
/// safetensors, and the tokenizer's files. Where there is none of those the model takes ids and
/// gives ids; where some are missing that is not_found. Raises a gpt2::error that names file,
/// tensor or key with what was expected and found.
[[gnu::cold]] inline language_model load(const std::filesystem::path& folder,
                                         const load_options& how = {}) {
    const auto execution = detail::execution_of(how);
    const auto pool = how.pool ? how.pool : std::make_shared<thread_pool>(how.threads);
    auto loaded = load_model<float>(folder, how.weights, pool.get());
    std::optional<tokenizer> words;
    if (detail::has_tokenizer_files(folder)) words = load_tokenizer(folder);
    return language_model(std::make_shared<const language_parts>(
        std::move(loaded.model), std::move(words), std::move(loaded.audit), pool, execution));
}

}  // namespace gpt2::inline GPT2_ABI
