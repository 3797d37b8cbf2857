// generate --jsonl: a request a line in, a result a line out, in the order of the requests, however
// long the input is. A request that is wrong gets a result that says so, and the others go on.
//
// A result is written as soon as it and all before it are there, whole: what a run that was killed
// has left in a file can be gone on with.
#pragma once

#include "../line_reader.hpp"
#include "../progress_bar.hpp"
#include "../writing_options.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iomanip>
#include <map>
#include <ostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace cli {

/// One request of a row.
struct asked_for {
    std::size_t index = 0;   ///< in the row
    json id = nullptr;       ///< the caller's; null: none
    bool log_probs = false;  ///< wanted
    std::uint64_t seed = 0;
    std::vector<gpt2::outcome> ends = {};  ///< of its samples
    std::size_t finished = 0;              ///< of these
};

/// Results in the order of the requests, whatever the order in which they come.
class results_in_order {
public:
    explicit results_in_order(std::ostream& out, std::size_t first) : out_(out), first_(first) {}

    /// The place of another result: its number in the row. `input`: how much was read for it.
    std::size_t expect(std::uint64_t input) {
        waiting_.push_back({"", input});
        return first_ + waiting_.size() - 1;
    }

    /// Raises std::runtime_error when it cannot be written.
    void give(std::size_t index, const json& result) {
        waiting_[index - first_].result = dump(result) + '\n';
        for (; !waiting_.empty() && !waiting_.front().result.empty(); ++first_) {
            out_ << waiting_.front().result << std::flush;
            if (!out_) throw std::runtime_error("the results cannot be written");
            input_ = waiting_.front().input;
            waiting_.pop_front();
        }
    }

    std::size_t waiting() const { return waiting_.size(); }
    std::size_t written() const { return first_; }
    /// How much was read for what is written.
    std::uint64_t input() const { return input_; }

private:
    std::ostream& out_;
    struct place {
        std::string result;  // empty: not there yet
        std::uint64_t input;
    };

    std::size_t first_;  // of those not written
    std::deque<place> waiting_;
    std::uint64_t input_ = 0;
};

/// What a file holds of the results of an earlier run.
struct results_so_far {
    std::size_t written = 0, failed = 0;
};

/// Reads them, and cuts a last line that is not whole. Raises errc::bad_json for a file of another
/// kind.
inline results_so_far resume(const std::filesystem::path& path) {
    results_so_far found;
    std::uintmax_t whole = 0;
    std::ifstream file(path, std::ios::binary);
    for (std::string line; std::getline(file, line) && !file.eof(); whole += line.size() + 1) {
        const json result = json::parse(line, nullptr, false);
        if (!result.is_object() || result.value("index", json()) != found.written)
            gpt2::detail::fail(
                gpt2::errc::bad_json,
                {gpt2::detail::printable(path.string()), ", line ", found.written + 1},
                {"result ", found.written, " of --jsonl"}, gpt2::detail::printable(line, 40));
        ++found.written;
        found.failed += result.contains("error");
    }
    file.close();
    if (std::filesystem::exists(path)) std::filesystem::resize_file(path, whole);
    return found;
}

/// Raises errc::limit_exceeded and errc::bad_json.
inline json parse_object(const line_reader::line& line) {
    using gpt2::errc, gpt2::detail::fail;
    if (line.too_long)
        fail(errc::limit_exceeded, "request", {"at most ", line_reader::longest, " bytes"}, "more");
    const auto check_depth = [](int depth, json::parse_event_t, const json&) {
        if (depth > 32) fail(errc::bad_json, "request", "at most 32 levels", "more");
        return true;
    };
    try {
        json given = json::parse(line.text, check_depth);
        if (given.is_object()) return given;
    } catch (const json::parse_error& problem) {
        fail(errc::bad_json, "request", "a JSON object", {"an error at byte ", problem.byte});
    }
    fail(errc::bad_json, "request", "a JSON object", gpt2::detail::printable(line.text, 40));
}

/// What became of a continuation.
inline json result_of(const gpt2::completion& done) {
    return {{"text", done.text},
            {"tokens", done.tokens},
            {"log_probs", done.log_probs},
            {"finish", gpt2::name(done.why)},
            {"prompt_tokens", done.stats.prompt_tokens}};
}

/// Reads requests, has them written, writes results.
class request_row {
public:
    struct settings {
        writing defaults;  ///< what a request need not say
        std::size_t at_once = 32;
        bool log_probs = false;
        bool progress = true;
        results_so_far before = {};
    };

    request_row(const gpt2::language_model& model, const std::optional<gpt2::language_model>& draft,
                settings how, std::ostream& out)
        : model_(model),
          draft_(draft),
          how_(std::move(how)),
          out_(out, how_.before.written),
          bar_(how_.progress) {}

    /// All of them. Raises std::runtime_error when some failed, at the end.
    void run() {
        skip(how_.before.written);
        while (!at_end_) {
            number_ = 0;
            model_.generate([&] { return next(); },
                            [&](std::size_t request, std::size_t sample, gpt2::outcome&& end) {
                                take(request, sample, std::move(end));
                            },
                            how_.at_once);
        }
        const auto failed = failed_ + how_.before.failed;
        if (failed != 0)
            throw std::runtime_error(std::to_string(failed) + " of " +
                                     std::to_string(out_.written()) + " requests failed");
    }

private:
    using clock = std::chrono::steady_clock;

    /// The next line that is not empty.
    std::optional<line_reader::line> next_line() {
        for (;;) {
            auto line = lines_.next();
            if (!line) at_end_ = true;
            if (!line || line->text.find_first_not_of(" \t") != line->text.npos) return line;
        }
    }

    void skip(std::size_t count) {
        while (count-- > 0 && next_line()) {
        }
    }

    /// The next request that can be tried; nothing at the end of the input, and while there is
    /// none, or no room for its result, and others are under way.
    std::optional<gpt2::request> next() {
        while (!at_end_) {
            const bool busy = !under_way_.empty();
            if (busy && (!lines_.ready() || out_.waiting() >= most_waiting_)) return {};
            const auto line = next_line();
            if (!line) return {};
            asked_for asked;
            asked.index = out_.expect(lines_.consumed());
            try {
                auto request = read(*line, asked);
                asked.ends.resize(request.samples);
                under_way_.emplace(number_++, std::move(asked));
                return request;
            } catch (const std::exception& problem) {
                refuse(asked, problem);
            }
        }
        return {};
    }

    /// One line. Raises errc::bad_json, errc::invalid_argument and what encoding raises.
    gpt2::request read(const line_reader::line& line, asked_for& asked) {
        const json given = parse_object(line);
        if (given.contains("id")) asked.id = given["id"];
        asked.log_probs = how_.log_probs;
        writing wanted = how_.defaults;
        for (const auto& [name, value] : given.items()) {
            if (name == "id" || name == "prompt" || name == "ids" || value.is_null()) continue;
            if (name == "log_probs")
                asked.log_probs = sampler_options::flag(name, value);
            else if (const auto* const known = find_setting(name); known && known->name == name)
                known->read(wanted, value);
            else
                sampler_options::refuse("request", "a name that is known", name);
        }
        gpt2::request request{prompt_of(given, wanted)};
        request.samples = wanted.samples;
        request.options = settled(wanted, model_, request.prompt.size(), draft_);
        asked.seed = request.options.seed;
        return request;
    }

    std::vector<gpt2::token_id> prompt_of(const json& given, const writing& wanted) const {
        if (given.contains("prompt") == given.contains("ids"))
            gpt2::detail::fail(gpt2::errc::invalid_argument, "request", "prompt or ids",
                               given.contains("ids") ? "both" : "neither");
        if (given.contains("ids")) return sampler_options::ids("ids", given["ids"]);
        if (!given["prompt"].is_string())
            sampler_options::refuse("prompt", "a text", given["prompt"]);
        return model_.tokenizer().encode(given["prompt"].get<std::string>(), wanted.how.prompt);
    }

    void take(std::size_t number, std::size_t sample, gpt2::outcome&& end) {
        const auto found = under_way_.find(number);
        auto& asked = found->second;
        asked.ends[sample] = std::move(end);
        if (++asked.finished < asked.ends.size()) return;
        asked_for whole = std::move(asked);
        under_way_.erase(found);
        answer(whole);
    }

    void answer(asked_for& asked) {
        json samples = json::array();
        try {
            for (auto& end : asked.ends) {
                const auto done = end.take();
                tokens_ += done.tokens.size();
                samples.push_back(result_of(done));
                if (!asked.log_probs) samples.back().erase("log_probs");
            }
        } catch (const std::exception& problem) {
            return refuse(asked, problem);
        }
        json result = samples.size() == 1 ? samples[0] : json{{"samples", samples}};
        result["seed"] = asked.seed;
        give(asked, result);
    }

    void refuse(const asked_for& asked, const std::exception& problem) {
        ++failed_;
        json said = {{"message", problem.what()}};
        if (const auto* const ours = dynamic_cast<const gpt2::error*>(&problem))
            said["code"] = static_cast<int>(ours->code());
        give(asked, {{"error", said}});
    }

    void give(const asked_for& asked, json result) {
        result["index"] = asked.index;
        if (!asked.id.is_null()) result["id"] = asked.id;
        out_.give(asked.index, result);
        show();
    }

    void show() {
        const std::chrono::duration<double> took = clock::now() - begun_;
        std::ostringstream note;
        note << out_.written() << " written, " << std::fixed << std::setprecision(1)
             << static_cast<double>(tokens_) / took.count() << " tokens/s";
        if (const auto all = line_reader::size())
            bar_.show(std::min(1.0, static_cast<double>(out_.input()) / static_cast<double>(*all)),
                      note.str());
        else
            bar_.show(note.str());
    }

    const gpt2::language_model& model_;
    const std::optional<gpt2::language_model>& draft_;
    settings how_;
    line_reader lines_;
    results_in_order out_;
    progress_bar bar_;
    std::map<std::size_t, asked_for> under_way_;  // by the number that the model knows it by
    std::size_t number_ = 0;
    std::size_t most_waiting_ = std::max<std::size_t>(256, 8 * how_.at_once);
    std::size_t failed_ = 0, tokens_ = 0;
    clock::time_point begun_ = clock::now();
    bool at_end_ = false;
};

}  // namespace cli
