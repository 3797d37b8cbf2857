// A conversation with a model that only continues texts: turns are written one after the other, in
// a form that the model knows, and what it writes then is its reply.
//
// The turns are the truth; the session is brought to them before each reply, and computes only what
// it has not computed yet. When the context is full the oldest turns are forgotten.
#pragma once

#include "../writing_options.hpp"

#include <gpt2/gpt2.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cli {

/// What stands between turns.
enum class turn_end {
    text,  ///< lines that begin with who speaks
    eos,   ///< the end-of-text token, as in DialoGPT
};

struct dialogue_form {
    turn_end ends = turn_end::text;
    std::string user = "User:", bot = "Bot:";  ///< of turn_end::text
    std::string preface;                       ///< before all turns, never forgotten
};

/// What somebody said, and the reply; as tokens the two are one.
struct turn {
    std::string said, reply;
    std::vector<gpt2::token_id> ids;
};

class dialogue {
public:
    using ids = std::vector<gpt2::token_id>;

    struct answer {
        gpt2::completion done;
        std::size_t forgotten = 0;  ///< turns, to make room
    };

    /// Raises not_found for a model without a tokenizer, invalid_argument for turns that end with a
    /// token which the model has not.
    dialogue(const gpt2::language_model& model, dialogue_form form)
        : model_(model), form_(std::move(form)), session_(model.start()) {
        preface_ = model_.tokenizer().encode(form_.preface);
        if (form_.ends == turn_end::text) {
            between_ = model_.tokenizer().encode("\n");
        } else {
            if (model_.config().end_of_text.empty())
                gpt2::detail::fail(gpt2::errc::invalid_argument, "--turns eos",
                                   "a model with an end-of-text token", "none");
            between_ = {model_.config().end_of_text[0]};
        }
        if (!preface_.empty()) append(preface_, between_);
    }

    /// Says something and has the reply written. When it raises, or is stopped before the reply
    /// began, nothing was said. Raises context_full when it is too long for any reply.
    answer say(const std::string& text, const writing& wanted, const gpt2::interruption& until,
               const gpt2::on_piece& callback) {
        const ids prompt = prompt_of(text);
        answer result;
        result.forgotten = make_room(prompt.size(), wanted.how.max_new_tokens);
        ids all = text_of_turns();
        append(all, prompt);
        bring_to(all, until);
        auto how = settled(wanted, model_, all.size());
        how.until = until;
        if (form_.ends == turn_end::text) how.stop.push_back("\n" + form_.user);
        result.done = session_.generate(how, callback);
        turn made{text, result.done.text, prompt};
        append(made.ids, kept(result.done));
        turns_.push_back(std::move(made));
        return result;
    }

    /// Takes back what was said last, and the reply. Raises invalid_argument when nothing was.
    turn take_back() {
        if (turns_.empty()) throw gpt2::error(gpt2::errc::invalid_argument, "nothing was said yet");
        turn last = std::move(turns_.back());
        turns_.pop_back();
        return last;
    }

    void say_again(turn taken_back) { turns_.push_back(std::move(taken_back)); }

    const std::vector<turn>& turns() const { return turns_; }
    void reset(std::vector<turn> turns = {}) { turns_ = std::move(turns); }
    const dialogue_form& form() const { return form_; }
    /// Of the whole conversation.
    std::size_t tokens() const {
        std::size_t sum = preface_.size();
        for (const auto& one : turns_) sum += one.ids.size() + between_.size();
        return turns_.empty() ? sum : sum - between_.size();
    }

private:
    static void append(ids& to, const ids& more) { to.insert(to.end(), more.begin(), more.end()); }

    ids prompt_of(const std::string& text) const {
        const auto& words = model_.tokenizer();
        if (form_.ends == turn_end::text)
            return words.encode(form_.user + ' ' + text + '\n' + form_.bot);
        ids prompt = words.encode(text);
        append(prompt, between_);
        return prompt;
    }

    /// All there is, ready for another turn.
    ids text_of_turns() const {
        ids all = preface_;
        for (const auto& one : turns_) {
            append(all, one.ids);
            append(all, between_);
        }
        return all;
    }

    /// Forgets the oldest turns until a prompt and its reply have room, or half the context is
    /// free for the reply.
    std::size_t make_room(std::size_t prompt, std::size_t reply) {
        const auto most = model_.config().context_length;
        if (preface_.size() + prompt >= most)
            gpt2::detail::fail(gpt2::errc::context_full, "what was said",
                               {"less than ", most - std::min(most, preface_.size()), " tokens"},
                               prompt);
        const auto wanted = prompt + std::min(reply, most / 2);
        std::size_t forgotten = 0;
        while (!turns_.empty() && text_of_turns().size() + wanted > most) {
            turns_.erase(turns_.begin());
            ++forgotten;
        }
        return forgotten;
    }

    /// Makes the session this text, of which it mostly has the beginning.
    void bring_to(const ids& text, const gpt2::interruption& until) {
        const auto known = session_.tokens();
        const auto same = std::mismatch(known.begin(), known.end(), text.begin(), text.end());
        const auto size = static_cast<std::size_t>(same.first - known.begin());
        session_.rewind(size);
        session_.feed(std::span(text).subspan(size), until);
    }

    /// The tokens of a reply, without those of a text that stopped it.
    ids kept(const gpt2::completion& done) const {
        if (done.why != gpt2::finish::stop_text) return done.tokens;
        const auto& words = model_.tokenizer();
        ids tokens;
        std::size_t bytes = 0;
        for (const auto id : done.tokens) {
            const auto next = bytes + words.bytes(id).size();
            if (next > done.text.size()) break;
            bytes = next;
            tokens.push_back(id);
        }
        append(tokens, words.encode(done.text.substr(bytes)));
        return tokens;
    }

    gpt2::language_model model_;
    dialogue_form form_;
    ids preface_, between_;
    std::vector<turn> turns_;
    gpt2::session session_;
};

/// How this model was taught turns: DialoGPT and its like by end of text, which their files tell by
/// a chat template, by a task, or by their name.
inline turn_end turns_of(const std::filesystem::path& source) {
    const auto read = [&](const char* name) {
        std::ifstream file(source / name, std::ios::binary);
        return json::parse(file, nullptr, false);
    };
    const json shape = read("config.json"), words = read("tokenizer_config.json");
    const auto tasks = shape.is_object() ? shape.value("task_specific_params", json()) : json();
    const auto form = words.is_object() ? words.value("chat_template", json()) : json();
    const bool by_template =
        form.is_string() &&
        form.get_ref<const std::string&>().find("message.content }}{{ eos") != std::string::npos;
    std::string name = source.string();
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const bool by_name = name.find("dialogpt") != name.npos;
    return by_template || tasks.contains("conversational") || by_name ? turn_end::eos
                                                                      : turn_end::text;
}

/// The turns as JSON, to be read again by `read_turns`.
inline json shown(const dialogue& talk) {
    json turns = json::array();
    for (const auto& one : talk.turns())
        turns.push_back({{"said", one.said}, {"reply", one.reply}, {"ids", one.ids}});
    return {{"turns", turns}};
}

/// Raises bad_json, and token_out_of_range for tokens that the model has not.
inline std::vector<turn> read_turns(const json& file, const gpt2::language_model& model) {
    const auto text = [](const json& one, const char* name) {
        const json value = one.is_object() ? one.value(name, json()) : json();
        if (!value.is_string()) sampler_options::refuse(name, "a text", value);
        return value.get<std::string>();
    };
    if (!file.is_object() || !file.contains("turns"))
        throw gpt2::error(gpt2::errc::bad_json, "expected a conversation that /save wrote");
    std::vector<turn> turns;
    for (const json& one : sampler_options::list("turns", file["turns"])) {
        turn made{text(one, "said"), text(one, "reply"), {}};
        made.ids = sampler_options::ids("ids", one.value("ids", json()));
        for (const auto id : made.ids)
            if (static_cast<std::size_t>(id) >= model.config().vocabulary_size)
                gpt2::detail::fail(gpt2::errc::token_out_of_range, "ids",
                                   {"ids below ", model.config().vocabulary_size}, id);
        turns.push_back(std::move(made));
    }
    return turns;
}

}  // namespace cli
