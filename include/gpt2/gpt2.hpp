// The whole library in one include:
//
//     #include <gpt2/gpt2.hpp>
//     auto model = gpt2::load("path/to/gpt2");
//     std::cout << model.generate("Once upon a time").text;
//
// Every part can be included alone; README.md in this folder is the map.
#pragma once

#include "batch.hpp"
#include "load.hpp"
#include "plan.hpp"
#include "session.hpp"
#include "speculation.hpp"
#include "tokenizer_files.hpp"

#include <cstddef>
#include <filesystem>
#include <functional>
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
    /// Bytes that the weights and one text of the whole context, with its scratch memory, may take
    /// (plan.hpp); 0: whatever they need. A model that needs more is refused before it is read.
    std::uint64_t memory_limit = 0;
    /// Bytes of keys and values that are kept of prompts for other prompts that begin alike; each
    /// then computes only what is new. 0: none.
    std::size_t prefix_cache = 0;

    /// How keys and values are then kept: `cache`, with as_stored resolved.
    storage cache_kept() const {
        if (cache != storage::as_stored) return cache;
        return arithmetic == gpt2::arithmetic::fast ? storage::bf16 : storage::f32;
    }
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
    return {&kernels_named(how.kernels), how.arithmetic, cache_format(how.cache_kept())};
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
                        const on_piece& callback = {}) const {
        const request one{{prompt.begin(), prompt.end()}, how, 1, callback};
        return std::move(generate(std::span(&one, 1))[0]);
    }

    /// Continues several prompts: item i is generate(prompts[i], how), to the bit.
    std::vector<completion> generate(std::span<const std::string> prompts,
                                     const options& how = {}) const {
        std::vector<request> requests;
        for (const auto& prompt : prompts)
            requests.push_back({tokenizer().encode(prompt, how.prompt), how});
        return generate(requests);
    }

    /// Continues several prompts, each in its own way: in their order, samples of one side by side,
    /// each as if it were written alone, to the bit. Raises what the first that failed raised, when
    /// all others are finished.
    std::vector<completion> generate(std::span<const request> requests) const;

    /// The same for a row of requests of any length: `next` gives them one by one, `done` hears of
    /// each sample as it is finished, whatever its place in the row. At most `at_once` are under
    /// way; each has a cache of its own meanwhile. Raises what next and done raise.
    void generate(const std::function<std::optional<request>()>& next, const on_outcome& done,
                  std::size_t at_once = 32) const {
        detail::write_all(parts_, next, done, at_once);
    }

    /// A running text that begins with `prefix`.
    session start(std::string_view prefix = {}) const {
        session text(parts_);
        if (!prefix.empty()) text.feed(prefix);
        return text;
    }

    /// The running text of a file that session::save wrote; raises what session::resume raises.
    session resume(const std::filesystem::path& saved) const {
        return session::resume(parts_, saved);
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
    /// What was loaded, a folder or a file; empty for a model that came from no file.
    const std::filesystem::path& source() const { return parts_->source; }

    /// What this is made of, for what works below it: a draft_model, a session.
    const std::shared_ptr<const language_parts>& parts() const { return parts_; }

private:
    std::shared_ptr<const language_parts> parts_;
};

inline std::vector<completion> language_model::generate(std::span<const request> requests) const {
    std::vector<std::vector<outcome>> ends;
    for (const auto& one : requests) ends.emplace_back(one.samples);
    std::size_t taken = 0;
    generate(
        [&] { return taken < requests.size() ? std::optional(requests[taken++]) : std::nullopt; },
        [&](std::size_t i, std::size_t sample, outcome&& end) {
            ends[i][sample] = std::move(end);
        });
    std::vector<completion> results;
    for (auto& samples : ends)
        for (auto& end : samples) results.push_back(end.take());
    return results;
}

/// The model and tokenizer of files that are open.
[[gnu::cold]] inline language_model load(const stored_model& files, const load_options& how = {}) {
    const auto execution = detail::execution_of(how);
    const auto pool = how.pool ? how.pool : std::make_shared<thread_pool>(how.threads);
    if (how.memory_limit != 0)
        detail::keep_within(
            how.memory_limit, plan(files),
            {.weights = how.weights, .cache = how.cache_kept(), .threads = pool->size()});
    auto loaded = load_model<float>(files, how.weights, pool.get());
    return language_model(std::make_shared<const language_parts>(
        std::move(loaded.model), files.read_tokenizer(), std::move(loaded.audit), pool, execution,
        files.source, how.prefix_cache));
}

/// Loads a model as it was downloaded: a folder of Hugging Face's or OpenAI's, or a file of
/// safetensors, GGUF, PyTorch or llm.c, recognised by its contents. Where no tokenizer came along
/// the model takes ids and gives ids; where some of its files are missing that is not_found. Raises
/// a gpt2::error that names file, tensor or key with what was expected and found; limit_exceeded
/// for a model that needs more than load_options::memory_limit.
[[gnu::cold]] inline language_model load(const std::filesystem::path& path,
                                         const load_options& how = {}) {
    return load(open_model(path), how);
}

/// The same for a file in memory, which is not needed once the model is there.
[[gnu::cold]] inline language_model load(std::span<const std::byte> file,
                                         const load_options& how = {}) {
    return load(open_model(file), how);
}

/// The same for a folder in memory: each file under the name that it would have there.
[[gnu::cold]] inline language_model load(std::span<const file_part> parts,
                                         const load_options& how = {}) {
    return load(open_model(parts), how);
}

}  // namespace gpt2::inline GPT2_ABI
