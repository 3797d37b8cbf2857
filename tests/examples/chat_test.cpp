// The chat program from outside: replies are what the model writes behind the turns, commands do
// what they say, and Ctrl-C ends a reply and not the conversation.
#include "../support/catch.hpp"
#include "../support/files.hpp"
#include "../support/program.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <string>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;

const std::string how = "--seed 4 --max-new-tokens 12 --threads 2 --quiet ";

/// What it says to these lines.
test::outcome chat(const std::string& lines, const std::string& arguments = "",
                   const std::string& errors = "2>/dev/null") {
    const test::scratch_folder scratch;
    test::write_file(scratch / "lines", lines);
    return test::run_program("chat", how + arguments + " < " + (scratch / "lines").string(),
                             errors);
}

/// What `generate` writes behind that text, as chat shows it.
std::string behind(const std::string& text, const std::string& arguments) {
    const test::scratch_folder scratch;
    test::write_file(scratch / "text", text);
    auto shown = test::run_program(
                     "generate", how + arguments + " --prompt-file " + (scratch / "text").string())
                     .output;
    return shown.substr(std::min(shown.find_first_not_of(" \n"), shown.size()));
}

std::string line_form(const std::string& text) { return behind(text, "--stop '\nUser:'"); }

/// A chat whose input and output are pipes.
class running_chat {
public:
    explicit running_chat(const char* tokens) {
        std::array<int, 2> in{}, out{};
        REQUIRE(::pipe(in.data()) == 0);
        REQUIRE(::pipe(out.data()) == 0);
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            ::dup2(in[0], 0);
            ::dup2(out[1], 1);
            ::close(in[1]);
            ::close(out[0]);
            ::execl(GPT2_EXAMPLES_DIR "/chat", "chat", "--seed", "1", "--threads", "1", "--quiet",
                    "--kernels", "portable", "--ignore-end", "--max-new-tokens", tokens, nullptr);
            ::_exit(127);
        }
        ::close(in[0]);
        ::close(out[1]);
        in_ = in[1];
        out_ = out[0];
    }
    ~running_chat() {
        ::close(in_);
        ::close(out_);
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }
    running_chat(const running_chat&) = delete;
    running_chat& operator=(const running_chat&) = delete;

    void say(const std::string& line) {
        REQUIRE(::write(in_, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
    }
    /// What comes until it holds that text, or the output ends, or a minute is over.
    std::string hear(const std::string& text) {
        std::string heard;
        std::array<char, 512> part;
        pollfd output{out_, POLLIN, 0};
        while (heard.find(text) == heard.npos && ::poll(&output, 1, 60000) > 0) {
            const auto got = ::read(out_, part.data(), part.size());
            if (got <= 0) break;
            heard.append(part.data(), static_cast<std::size_t>(got));
        }
        return heard;
    }
    void interrupt() { ::kill(pid_, SIGINT); }
    /// How it ended.
    int wait() {
        int status = -1;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }

private:
    pid_t pid_ = -1;
    int in_ = -1, out_ = -1;
};

}  // namespace

TEST_CASE("chat: a reply is what the model writes behind all turns", "[examples]") {
    const auto first = line_form("User: Who are you?\nBot:");
    CHECK(chat("Who are you?\n").output == first);
    const auto turns = chat("Who are you?\nAnd the wolf?\n");
    CHECK(turns.status == 0);
    REQUIRE(turns.output.starts_with(first));
    CHECK(turns.output.size() > first.size());
    // The turn before counts.
    CHECK(turns.output.substr(first.size()) != line_form("User: And the wolf?\nBot:"));
    CHECK(chat("Who are you?\nAnd the wolf?\n").output == turns.output);
    CHECK(chat("Hello\n", "--user Child: --bot Wolf: --preface 'Once upon a time'").output ==
          behind("Once upon a time\nChild: Hello\nWolf:", "--stop '\nChild:'"));
    CHECK(chat("//Hello\n").output == line_form("User: /Hello\nBot:"));
    CHECK(chat("\n   \n").output.empty());
}

TEST_CASE("chat: turns that end with the end of text, as in DialoGPT", "[examples]") {
    const auto expected = behind("Who are you?<|endoftext|>", "--specials");
    CHECK(chat("Who are you?\n", "--turns eos").output == expected);
    CHECK(chat("Who are you?\n").output != expected);
    // An end of text that a person types is text.
    CHECK(chat("Who<|endoftext|>\n", "--turns eos").output !=
          behind("Who<|endoftext|><|endoftext|>", "--specials"));

    const test::scratch_folder scratch;
    fs::copy(GPT2_BUNDLED_MODEL, scratch / "model");
    const auto model = "--model " + (scratch / "model").string();
    CHECK(chat("Who are you?\n", model).output != expected);
    test::write_file(scratch / "model" / "tokenizer_config.json",
                     R"({"chat_template": "{% for message in messages %}{{ message.content }})"
                     R"({{ eos_token }}{% endfor %}"})");
    CHECK(chat("Who are you?\n", model).output == expected);
    CHECK(chat("Who are you?\n", model + " --turns text").output != expected);
    fs::remove(scratch / "model" / "tokenizer_config.json");
    fs::rename(scratch / "model", scratch / "DialoGPT-tales");
    CHECK(chat("Who are you?\n", "--model " + (scratch / "DialoGPT-tales").string()).output ==
          expected);
}

TEST_CASE("chat: turns are taken back, tried again, forgotten", "[examples]") {
    const auto one = chat("Who are you?\n").output;
    const auto two = chat("Who are you?\nAnd the wolf?\n").output;
    const auto second = two.substr(one.size());
    CHECK(chat("Who are you?\nAnd the wolf?\n/undo\nAnd the wolf?\n").output == two + second);
    CHECK(chat("Who are you?\n/reset\nWho are you?\n").output == one + one);
    const auto tried = chat("Who are you?\n/retry\n").output;
    CHECK(tried == one + behind("User: Who are you?\nBot:", "--stop '\nUser:' --sequence 1"));
    CHECK(tried != one + one);
    // What follows knows the reply that stands.
    CHECK(chat("Who are you?\n/retry\n/undo\nWho are you?\nAnd the wolf?\n").output == tried + two);
}

TEST_CASE("chat: a conversation is saved and gone on with", "[examples]") {
    const test::scratch_folder scratch;
    const auto file = (scratch / "talk.json").string();
    const auto one = chat("Who are you?\n").output;
    CHECK(chat("Who are you?\n/save " + file + "\n").status == 0);
    const auto loaded = chat("/load " + file + "\nAnd the wolf?\n");
    CHECK(loaded.status == 0);
    const auto two = chat("Who are you?\nAnd the wolf?\n").output;
    REQUIRE(loaded.output.starts_with("> Who are you?\n"));
    CHECK(loaded.output.ends_with(two.substr(one.size())));
    for (const char* const wrong : {"", "[]", "{}", R"({"turns": 1})", R"({"turns": [1]})",
                                    R"({"turns": [{"said": "a", "reply": "b", "ids": [4096]}]})",
                                    R"({"turns": [{"said": "a", "reply": 1, "ids": [5]}]})"}) {
        INFO(wrong);
        test::write_file(file, wrong);
        // The conversation is as it was.
        const auto refused = chat("Who are you?\n/load " + file + "\nAnd the wolf?\n");
        CHECK(refused.status == 1);
        CHECK(refused.output == two);
    }
    CHECK(chat("/load /nowhere/at/all\n").status == 1);
    CHECK(chat("/save /nowhere/at/all\n").status == 1);
}

TEST_CASE("chat: settings, and what the commands say", "[examples]") {
    CHECK(chat("/set temperature 0\nWho are you?\n").output ==
          behind("User: Who are you?\nBot:", "--stop '\nUser:' --temperature 0"));
    CHECK(chat("/set max-new-tokens 3\n/settings\n").output ==
          "max_new_tokens 3\nseed 4\nfilters: temperature 0.8, top-k 40\nturns: User: ... Bot: "
          "...\n");
    const auto help = chat("/help\n").output;
    for (const char* const command :
         {"/undo", "/retry", "/reset", "/save FILE", "/load FILE", "/tokens", "/settings",
          "/set NAME VALUE", "/stats", "/quit", "Ctrl-C"})
        CHECK_THAT(help, test::mentions(command));
    CHECK_THAT(chat("Hi\n/tokens\n").output, test::mentions("53\t\"U\"\n2684\t\"ser\"\n"));
    CHECK_THAT(chat("Hi\n/tokens\n").output, test::mentions(" of 512 tokens of the context"));
    CHECK_THAT(chat("Hi\n/stats\n").output, test::mentions("last reply: "));
    CHECK(chat("/quit\nWho are you?\n").output.empty());
    const auto wrong =
        chat("/undo\n/retry\n/bogus\n/set\n/set nope 1\n/set top_p 2\n/set top_k x\nHi\n",
             "--temperature 0", "2>&1");
    CHECK(wrong.status == 1);
    for (const char* const said :
         {"chat: nothing was said yet\n", "a command (/help lists them), found \"bogus\"",
          "found \"nope\"", "sampling.top_p", "top_k", "chat: 7 lines failed\n"})
        CHECK_THAT(wrong.output, test::mentions(said));
    CHECK_THAT(wrong.output, test::mentions(chat("Hi\n", "--temperature 0").output));
    CHECK(chat("", "--turns both").status == 2);
    CHECK(chat("", "--samples 2").status == 2);
    CHECK(chat("", "--top-p 2").status == 1);
}

TEST_CASE("chat: the oldest turns are forgotten when the context is full", "[examples]") {
    std::string lines = "/set max_new_tokens 150\n/set ignore_end true\n";
    for (int i = 0; i < 6; ++i) lines += "Tell me a tale.\n";
    lines += "/tokens\n";
    const auto done = chat(lines, "", "2>&1");
    CHECK(done.status == 0);
    CHECK_THAT(done.output, test::mentions("(the context is full: 1 turn was forgotten)"));
    const auto at = done.output.rfind(" of 512 tokens");
    REQUIRE(at != done.output.npos);
    const auto used = std::stoul(done.output.substr(done.output.rfind('\n', at) + 1));
    CHECK(used > 256);
    CHECK(used <= 512);
    const auto long_one = chat(std::string(4000, 'x') + "\nHi\n", "--temperature 0", "2>&1");
    CHECK(long_one.status == 1);
    CHECK_THAT(long_one.output, test::mentions("what was said: expected less than 512 tokens"));
    CHECK_THAT(long_one.output, test::mentions(chat("Hi\n", "--temperature 0").output));
}

TEST_CASE("chat: Ctrl-C ends a reply, and at the prompt the program", "[examples]") {
    running_chat talk("480");
    talk.say("Tell me a tale.\n");
    CHECK(!talk.hear(" ").empty());
    talk.interrupt();
    talk.say("/tokens\n");
    const auto rest = talk.hear(" of 512 tokens of the context are used\n");
    const auto at = rest.rfind(" of 512");
    REQUIRE(at != rest.npos);
    CHECK(std::stoul(rest.substr(rest.rfind('\n', at) + 1)) < 400);  // it was stopped
    talk.say("/set max_new_tokens 3\nAnd then?\n/stats\n");
    CHECK_THAT(talk.hear("all 2: "), test::mentions("last reply: 3 tokens"));
    talk.hear("are used\n");
    talk.interrupt();
    CHECK(talk.wait() == 0);
}
