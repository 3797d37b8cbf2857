// A conversation with a GPT-2 in a terminal: what one types is a turn, what the model writes is its
// reply. Lines that begin with / are commands; Ctrl-C ends a reply, and at the prompt the program.
#include "chat/dialogue.hpp"
#include "interrupt.hpp"
#include "line_reader.hpp"
#include "model_options.hpp"
#include "writing_options.hpp"

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

struct arguments {
    cli::model_options model;
    cli::writing writing;
    cli::dialogue_form form;
    std::optional<cli::turn_end> ends;
    bool quiet = false;
};

bool on_a_terminal() {
#if __has_include(<unistd.h>)
    return isatty(STDIN_FILENO) != 0;
#else
    return false;
#endif
}

class chat {
public:
    chat(const gpt2::language_model& model, arguments given)
        : model_(model), given_(std::move(given)), talk_(model, given_.form) {}

    /// Until the input ends, or /quit. Raises std::runtime_error when lines of a script failed.
    void run() {
        const bool terminal = on_a_terminal();
        std::size_t wrong = 0;
        cli::catch_interrupts();
        cli::line_reader lines(cli::interrupted);
        while (!over_) {
            if (terminal) std::cout << "> " << std::flush;
            const auto line = lines.next();
            if (!line) break;
            try {
                take(line->text);
            } catch (const gpt2::error& problem) {
                cli::complain("chat", problem.what());
                ++wrong;
            }
            if (!std::cout.flush()) return;
        }
        if (terminal && !over_) std::cout << '\n';
        if (!terminal && wrong != 0)
            throw std::runtime_error(std::to_string(wrong) +
                                     (wrong == 1 ? " line failed" : " lines failed"));
    }

private:
    struct command {
        const char *name, *argument, *meaning;
        void (chat::*act)(const std::string& argument);
    };

    static const std::vector<command>& commands() {
        static const std::vector<command> all = {
            {"help", "", "what can be said here", &chat::help},
            {"undo", "", "take back the last turn", &chat::undo},
            {"retry", "", "another reply to the last turn", &chat::retry},
            {"reset", "", "forget all turns", &chat::reset},
            {"save", "FILE", "write the turns to a file", &chat::save},
            {"load", "FILE", "go on with the turns of a file", &chat::load},
            {"tokens", "", "the last turn in tokens", &chat::tokens},
            {"settings", "", "how replies are written", &chat::settings},
            {"set", "NAME VALUE", "change that: names as in generate --help", &chat::set},
            {"stats", "", "what was written, and how fast", &chat::stats},
            {"quit", "", "end; so does Ctrl-D", &chat::quit},
        };
        return all;
    }

    void take(const std::string& line) {
        if (line.find_first_not_of(" \t") == line.npos) return;
        if (line[0] != '/') return say(line);
        if (line.starts_with("//")) return say(line.substr(1));
        const auto space = std::min(line.find(' '), line.size());
        const auto name = line.substr(1, space - 1);
        const auto begin = std::min(line.find_first_not_of(' ', space), line.size());
        for (const auto& one : commands())
            if (name == one.name) return (this->*one.act)(line.substr(begin));
        gpt2::detail::fail(gpt2::errc::invalid_argument, "/", "a command (/help lists them)",
                           gpt2::detail::printable(name, 20));
    }

    void say(const std::string& text) {
        retries_ = 0;
        reply_to(text);
    }

    void reply_to(const std::string& text) {
        auto wanted = given_.writing;
        wanted.how.sequence += retries_;
        const cli::stop_on_interrupt stop;
        bool begun = false;  // spaces before the reply are part of it, and not shown
        const auto answer =
            talk_.say(text, wanted, {.token = stop.token()}, [&](const gpt2::piece& piece) {
                auto shown = piece.text;
                if (!begun)
                    shown.remove_prefix(std::min(shown.find_first_not_of(" \n"), shown.size()));
                begun |= !shown.empty();
                std::cout << shown << std::flush;
                return std::cout ? gpt2::flow::go_on : gpt2::flow::stop;
            });
        std::cout << std::endl;
        count(answer.done);
        if (answer.forgotten != 0)
            note("the context is full: " + std::to_string(answer.forgotten) +
                 (answer.forgotten == 1 ? " turn was" : " turns were") + " forgotten");
        if (answer.done.why == gpt2::finish::cancelled) note("stopped");
        if (answer.done.why == gpt2::finish::context_full)
            note("the reply ends where the context does");
    }

    void count(const gpt2::completion& done) {
        ++replies_;
        last_ = done.stats;
        new_tokens_ += done.stats.new_tokens;
        seconds_ += done.stats.prompt_seconds + done.stats.decode_seconds;
    }

    static void note(const std::string& text) { std::cerr << '(' << text << ")\n"; }

    void help(const std::string&) {
        for (const auto& one : commands())
            std::cout << '/' << std::left << std::setw(18)
                      << std::string(one.name) + ' ' + one.argument << one.meaning << '\n';
        std::cout << std::setw(19) << "//..."
                  << "says a line that begins with /\n"
                  << std::setw(19) << "Ctrl-C"
                  << "ends a reply; here it ends the program\n"
                  << std::right;
    }

    void undo(const std::string&) { talk_.take_back(); }

    void retry(const std::string&) {
        auto last = talk_.take_back();
        ++retries_;
        try {
            reply_to(last.said);
        } catch (...) {
            talk_.say_again(std::move(last));
            throw;
        }
    }

    void reset(const std::string&) { talk_.reset(); }

    void save(const std::string& path) {
        std::ofstream file(path, std::ios::binary);
        file << cli::dump(cli::shown(talk_)) << std::endl;
        if (!file)
            gpt2::detail::fail(gpt2::errc::write_failed, gpt2::detail::printable(path),
                               "cannot be written");
    }

    void load(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        if (!file)
            gpt2::detail::fail(gpt2::errc::not_found, gpt2::detail::printable(path),
                               "cannot be opened");
        talk_.reset(cli::read_turns(cli::json::parse(file, nullptr, false), model_));
        for (const auto& one : talk_.turns())
            std::cout << "> " << one.said << '\n' << trimmed(one.reply) << '\n';
    }

    static std::string trimmed(const std::string& text) {
        return text.substr(std::min(text.find_first_not_of(" \n"), text.size()));
    }

    void tokens(const std::string&) {
        if (!talk_.turns().empty())
            for (const auto id : talk_.turns().back().ids)
                std::cout << id << '\t' << gpt2::detail::printable(model_.tokenizer().bytes(id))
                          << '\n';
        std::cout << used() << '\n';
    }

    std::string used() const {
        return std::to_string(talk_.tokens()) + " of " +
               std::to_string(model_.config().context_length) + " tokens of the context are used";
    }

    void settings(const std::string&) {
        const cli::writing usual;
        for (const auto& group : cli::groups())
            for (const auto& one : group.settings) {
                const auto value = one.show(given_.writing);
                if (value != one.show(usual) || one.name == "max_new_tokens")
                    std::cout << one.name << ' ' << value << '\n';
            }
        std::cout << "filters: " << gpt2::describe(given_.writing.how.sampling) << '\n'
                  << "turns: "
                  << (talk_.form().ends == cli::turn_end::eos
                          ? "end of text"
                          : talk_.form().user + " ... " + talk_.form().bot + " ...")
                  << '\n';
    }

    void set(const std::string& text) {
        const auto space = std::min(text.find(' '), text.size());
        const auto* const known = cli::find_setting(text.substr(0, space));
        if (known == nullptr || known->name == "samples")
            gpt2::detail::fail(gpt2::errc::invalid_argument, "/set", "a name of generate --help",
                               gpt2::detail::printable(text.substr(0, space), 30));
        auto changed = given_.writing;
        cli::set(changed, *known, {text.substr(std::min(space + 1, text.size()))});
        cli::validate(changed);
        given_.writing = std::move(changed);
    }

    void stats(const std::string&) {
        const auto speed = [](std::size_t tokens, double seconds) {
            std::ostringstream text;
            text << tokens << " tokens in " << std::fixed << std::setprecision(2) << seconds
                 << " s";
            return text.str();
        };
        std::cout << "last reply: "
                  << speed(last_.new_tokens, last_.prompt_seconds + last_.decode_seconds) << '\n'
                  << "all " << replies_ << ": " << speed(new_tokens_, seconds_) << '\n'
                  << used() << '\n';
    }

    void quit(const std::string&) { over_ = true; }

    gpt2::language_model model_;
    arguments given_;
    cli::dialogue talk_;
    bool over_ = false;
    std::size_t retries_ = 0, replies_ = 0, new_tokens_ = 0;
    double seconds_ = 0;
    gpt2::statistics last_;
};

void talk(arguments& given) {
    cli::validate(given.writing);
    const auto model = given.model.load();
    given.form.ends = given.ends ? *given.ends : cli::turns_of(model.source());
    if (!given.writing.seed) given.writing.seed = std::random_device()();
    if (!given.quiet)
        std::cerr << "seed: " << *given.writing.seed << "; /help lists the commands" << std::endl;
    chat(model, given).run();
}

void declare(CLI::App& app, arguments& given) {
    app.option_defaults()->always_capture_default();
    cli::declare(app, given.model);
    using ends = std::optional<cli::turn_end>;
    cli::add_choice<ends>(app, "--turns", given.ends,
                          {{"text", cli::turn_end::text}, {"eos", cli::turn_end::eos}},
                          "How turns are told apart: lines that name the speaker, or the "
                          "end-of-text token as in DialoGPT; default: as the model's files tell")
        ->default_str("");
    app.add_option("--user", given.form.user, "Before what you say, with --turns text");
    app.add_option("--bot", given.form.bot, "Before what the model says");
    app.add_option("--preface", given.form.preface, "A text before all turns, never forgotten")
        ->default_str("");
    app.add_flag("--quiet", given.quiet, "Nothing on standard error but errors and notes");
    cli::declare(app, given.writing, {"samples"});
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("A conversation with a GPT-2.", "chat");
    arguments given;
    declare(app, given);
    return cli::run(app, argc, argv, [&] { talk(given); });
}
