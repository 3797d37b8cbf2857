// Scores of texts: held to transformers, windows by its rule, the same bits in every batch, where
// tokens stand in a text, words and spans, what is refused, CSV and JSON.
#include "scored.hpp"

#include <gpt2/score.hpp>
#include <gpt2/score_report.hpp>

#include <numbers>
#include <set>
#include <stop_token>
#include <utility>

namespace {

using test::model_named;
using test::references;
using ids = std::vector<gpt2::token_id>;

/// Log-probabilities of the tokens that have one.
std::vector<double> log_probs(const gpt2::text_score& score) {
    std::vector<double> list;
    for (const auto& one : score.tokens)
        if (one.rank > 0) list.push_back(one.log_prob);
    return list;
}

bool same(const gpt2::text_score& a, const gpt2::text_score& b) {
    return std::ranges::equal(a.tokens, b.tokens, [](const auto& x, const auto& y) {
        return x.token == y.token && x.bytes == y.bytes && x.rank == y.rank &&
               x.log_prob == y.log_prob && x.alternatives.size() == y.alternatives.size();
    });
}

gpt2::score_options with_window(std::size_t window, std::size_t stride) {
    return {.window = window, .stride = stride};
}

/// A byte of the white space in these texts, U+3000 included.
bool is_space_byte(char c) {
    return std::string_view(" \n\xe3\x80").find(c) != std::string_view::npos;
}

const std::string tale = "The wolf came to the door, and the little goat said: \"Who is there?\"";

}  // namespace

TEST_CASE("log-probabilities, ranks and alternatives are those of transformers", "[score]") {
    for (const auto& expected : references()["tokens"]) {
        const auto& model = model_named(expected["model"]);
        gpt2::score_options how{.alternatives = 3};
        if (expected["bos"]) how.before = gpt2::opening::begin_of_text;
        const auto text = expected.value("text", "");
        CAPTURE(text);
        const auto found = text.empty() ? gpt2::score(model, expected["ids"].get<ids>(), how)
                                        : gpt2::score(model, text, how);
        CHECK(test::largest_difference(log_probs(found), expected["log_probs"]) < 5e-5);
        const std::size_t first = expected["first"];
        REQUIRE(found.tokens.size() == expected["ids"].size());
        CHECK(found.scored() == found.tokens.size() - first);
        for (std::size_t i = 0; i < found.tokens.size(); ++i) {
            const auto& one = found.tokens[i];
            CHECK(one.token == expected["ids"][i]);
            if (i < first) {
                CHECK(one.rank == 0);
                CHECK(one.log_prob == 0);
                CHECK(one.alternatives.empty());
                continue;
            }
            const auto& ranks = expected["ranks"][i - first];
            CHECK(one.rank >= ranks[0]);
            CHECK(one.rank <= ranks[1]);
            REQUIRE(one.alternatives.size() == 3);
            for (std::size_t k = 0; k < 3; ++k) {
                CHECK(one.alternatives[k].token == expected["best"][i - first][k]);
                CHECK(std::abs(one.alternatives[k].log_prob -
                               expected["best_log_probs"][i - first][k].get<double>()) < 5e-5);
            }
        }
    }
}

TEST_CASE("a row of logits: ties go to the lower id, banned tokens come last", "[score]") {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    std::vector<double> memory(5);
    const std::vector<float> logits = {1, 2, 2, -infinity, 2};
    const gpt2::detail::distribution row(logits, memory, 7);
    const std::size_t ranks[] = {4, 1, 2, 5, 3};
    for (gpt2::token_id id = 0; id < 5; ++id)
        CHECK(row.rank(id) == ranks[static_cast<std::size_t>(id)]);
    CHECK(row.log_prob(1) == Approx(-std::log(3 + std::exp(-1.0))));
    CHECK(row.log_prob(3) == -std::numeric_limits<double>::infinity());
    for (std::size_t count = 0; count <= 5; ++count) {
        const auto best = row.best(count);
        REQUIRE(best.size() == count);
        for (std::size_t i = 0; i < count; ++i) {
            CHECK(row.rank(best[i].token) == i + 1);
            CHECK(best[i].log_prob == row.log_prob(best[i].token));
        }
    }
    const auto fails = [&](std::vector<float> values, gpt2::errc code, const std::string& words) {
        const auto problem = test::error_of([&] { gpt2::detail::distribution(values, memory, 7); });
        REQUIRE(problem);
        CHECK(static_cast<int>(problem->code()) == static_cast<int>(code));
        CHECK(problem->what() == words);
    };
    using gpt2::errc;
    fails({0, std::nanf("")}, errc::not_finite,
          "token 7: expected logits that are numbers, found NaN for id 1");
    fails({infinity, 0}, errc::not_finite,
          "token 7: expected logits that are numbers, found +infinity for id 0");
    fails({-infinity, -infinity}, errc::no_candidate,
          "token 7: expected a logit above -infinity, found none");
}

TEST_CASE("tokens stand where transformers finds them, in bytes", "[score]") {
    for (const auto& expected : references()["tokens"]) {
        if (!expected.contains("text")) continue;
        const std::string text = expected["text"];
        const auto& list = expected["bytes"];
        const auto found = gpt2::score(model_named("tales"), text);
        REQUIRE(found.tokens.size() == list.size());
        std::size_t end = 0;
        for (std::size_t i = 0; i < list.size(); ++i) {
            const auto at = found.tokens[i].bytes;
            CHECK(at.begin == end);  // byte-level tokens are the text, end to end
            end = at.end;
            CHECK(text.substr(at.begin, at.size()) ==
                  model_named("tales").tokenizer().bytes(found.tokens[i].token));
            // Parts of one character share all of it there.
            const gpt2::byte_range wide{list[i][0], list[i][1]};
            CHECK((wide.begin <= at.begin && at.end <= wide.end));
            const bool shared = (i > 0 && list[i - 1] == list[i]) ||
                                (i + 1 < list.size() && list[i + 1] == list[i]);
            CHECK((shared || at == wide));
        }
        CHECK(end == text.size());
    }
}

TEST_CASE("tokenizers that change a text", "[score]") {
    const auto ranges = [](const std::string& name, const std::string& text) {
        const test::scratch_folder folder;
        std::filesystem::copy_file(
            test::source_folder() / "tests/reference/tokenizers" / (name + ".json"),
            folder / "tokenizer.json");
        const auto words = gpt2::load_tokenizer(folder.path());
        return gpt2::detail::token_ranges(words, text, words.encode(text));
    };
    for (const char* name : {"wordpiece_uncased", "bpe_metaspace", "bpe_llama", "unigram_t5"}) {
        const std::string text = "The  Prince sings\u00e9 a song ";
        CAPTURE(name);
        const auto found = ranges(name, text);
        REQUIRE(found.size() > 3);
        std::size_t begin = 0, end = 0;
        std::set<std::size_t> covered;
        for (const auto& range : found) {
            CHECK(begin <= range.begin);  // in order, within the text
            CHECK(range.begin <= range.end);
            CHECK(range.end <= text.size());
            CHECK(range.end >= end);
            begin = range.begin;
            end = range.end;
            for (auto i = begin; i < end; ++i) covered.insert(i);
        }
        for (std::size_t i = 0; i < text.size(); ++i)
            if (text[i] != ' ') CHECK(covered.contains(i));
    }
    const auto uncased = ranges("wordpiece_uncased", "the THE");
    REQUIRE(uncased.size() >= 2);
    CHECK(uncased.back().end == 7);
    CHECK(uncased.front().begin == 0);
}

TEST_CASE("windows of a long text are those that transformers documents", "[score]") {
    for (const auto& expected : references()["windows"]) {
        const std::size_t window = expected["window"], stride = expected["stride"];
        CAPTURE(window, stride);
        const auto& model = model_named(expected["model"]);
        const auto found =
            gpt2::score(model, expected["ids"].get<ids>(), with_window(window, stride));
        std::vector<std::size_t> places;
        for (std::size_t i = 0; i < found.tokens.size(); ++i)
            if (found.tokens[i].rank > 0) places.push_back(i);
        CHECK(places == expected["places"].get<std::vector<std::size_t>>());
        CHECK(test::largest_difference(log_probs(found), expected["log_probs"]) < 5e-5);
        CHECK(found.perplexity() == Approx(expected["perplexity"].get<double>()).epsilon(1e-6));
    }
    // The defaults: the whole context, by halves.
    const auto all = references()["windows"][0]["ids"].get<ids>();
    const auto& base = model_named("base");
    CHECK(same(gpt2::score(base, all), gpt2::score(base, all, with_window(32, 16))));
}

TEST_CASE("begin-of-text is a token before the text, in its first window", "[score]") {
    const auto model = test::random_language_model();
    const auto text = test::random_ids(model.config(), 20);
    auto how = with_window(8, 4);
    how.before = gpt2::opening::begin_of_text;
    const auto found = gpt2::score(model, text, how);
    ids longer = text;
    longer.insert(longer.begin(), 0);
    const auto whole = gpt2::score(model, longer, with_window(8, 4));
    REQUIRE(found.tokens.size() == 20);
    for (std::size_t i = 0; i < 20; ++i) {
        CHECK(found.tokens[i].log_prob == whole.tokens[i + 1].log_prob);
        CHECK(found.tokens[i].rank > 0);
    }
}

TEST_CASE("a batch is its texts one by one, to the bit", "[score]") {
    const auto& model = model_named("tales");
    const std::vector<std::string> texts = {tale, "king", tale + " said the wolf.", tale,
                                            "\xff\xfe a"};
    const gpt2::score_options how{.alternatives = 2};
    const auto batch = gpt2::score(model, texts, how);
    REQUIRE(batch.size() == texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i)
        CHECK(same(batch[i], gpt2::score(model, texts[i], how)));
    // Nor do rows at once or threads change a bit: every token by itself.
    const auto random = test::random_language_model(1);
    const auto list = test::random_ids(random.config(), 150);
    const auto at_once = gpt2::score(random, list);
    CHECK(same(at_once, gpt2::score(test::random_language_model(3), list)));
    for (const std::size_t length : {2u, 63u, 64u, 65u, 66u, 129u}) {
        const auto less = gpt2::score(random, std::span(list).first(length));
        CHECK(less.tokens.back().log_prob == at_once.tokens[length - 1].log_prob);
    }
}

TEST_CASE("what was generated has the log-probabilities it was drawn with", "[score]") {
    const auto& model = model_named("tales");
    gpt2::options how;
    how.max_new_tokens = 24;
    how.sampling = gpt2::temperature(1);
    auto text = model.start("The king");
    const auto prompt = text.size();
    const auto done = text.generate(how);
    const auto found = gpt2::score(model, text.tokens());
    REQUIRE(found.tokens.size() == prompt + done.tokens.size());
    for (std::size_t i = 0; i < done.tokens.size(); ++i)
        CHECK(static_cast<float>(found.tokens[prompt + i].log_prob) == done.log_probs[i]);
}

TEST_CASE("sums over bytes and words", "[score]") {
    const auto& model = model_named("tales");
    const std::string text = "  The wolf's  den,\nna\u00efve caf\u00e9 \u3000x ";
    const auto found = gpt2::score(model, text, {.before = gpt2::opening::begin_of_text});
    const auto list = gpt2::words(found, text);
    std::vector<std::string> words;
    double sum = 0;
    std::size_t tokens = 0;
    for (const auto& one : list) {
        words.push_back(text.substr(one.bytes.begin, one.bytes.size()));
        CHECK(one.first_token == tokens);
        tokens += one.tokens;
        sum += one.log_prob;
        // Its tokens are the word with the white space before it, the last with that behind it.
        const auto begin = found.tokens[one.first_token].bytes.begin;
        const auto end = found.tokens[tokens - 1].bytes.end;
        CHECK((begin <= one.bytes.begin && end >= one.bytes.end));
        for (auto i = begin; i < end; ++i)
            CHECK((one.bytes.overlaps({i, i + 1}) || is_space_byte(text[i])));
    }
    CHECK(words ==
          std::vector<std::string>{"The", "wolf's", "den,", "na\u00efve", "caf\u00e9", "x"});
    CHECK(tokens == found.tokens.size());
    CHECK(sum == Approx(found.log_prob()));
    CHECK(found.sum({0, text.size()}).log_prob == found.log_prob());
    CHECK(found.sum({0, text.size()}).tokens == found.tokens.size());

    const auto& third = found.tokens[3];
    const auto part = found.sum({third.bytes.begin, third.bytes.begin + 1});
    CHECK(part.log_prob == third.log_prob);
    CHECK((part.first_token == 3 && part.tokens == 1));
    const auto two = found.sum({third.bytes.end - 1, third.bytes.end + 1});
    CHECK(two.tokens == 2);
    CHECK(two.log_prob == third.log_prob + found.tokens[4].log_prob);
    CHECK(found.sum({4, 4}).tokens == 0);
    CHECK_ERROR(gpt2::errc::invalid_argument, found.sum({4, 3}));
    CHECK(gpt2::words(gpt2::score(model, " \n "), " \n ").empty());

    const double bits = found.bits_per_byte() * static_cast<double>(text.size());
    CHECK(bits * std::numbers::ln2 == Approx(-found.log_prob()));
    // Without begin-of-text the first token has no score, and its bytes do not count.
    const auto less = gpt2::score(model, tale);
    CHECK(less.bits_per_byte() * std::numbers::ln2 * static_cast<double>(tale.size() - 3) ==
          Approx(-less.log_prob()));
}

TEST_CASE("what cannot be scored is refused", "[score]") {
    using gpt2::errc;
    const auto random = test::random_language_model();
    const auto& base = model_named("base");
    const ids some = {1, 2, 3};
    CHECK_ERROR(errc::empty_prompt, gpt2::score(random, ids{}));
    CHECK_ERROR(errc::empty_prompt, gpt2::score(model_named("tales"), ""));
    CHECK_ERROR(errc::not_found, gpt2::score(random, "text"));
    CHECK_ERROR(errc::token_out_of_range, gpt2::score(random, ids{1, 53}));  // the last, too
    CHECK_ERROR(errc::token_out_of_range, gpt2::score(random, ids{-1, 1}));
    CHECK_ERROR(errc::empty_prompt,
                gpt2::score(base, some, {.before = gpt2::opening::begin_of_text}));
    CHECK_ERROR(errc::invalid_argument, gpt2::score(base, some, {.alternatives = 18}));
    CHECK_ERROR(errc::invalid_argument, gpt2::score(base, some, with_window(33, 1)));
    CHECK_ERROR(errc::invalid_argument, gpt2::score(base, some, with_window(8, 0)));
    const auto problem = test::error_of([&] { gpt2::score(base, some, with_window(8, 9)); });
    REQUIRE(problem);
    CHECK(std::string(problem->what()) == "stride: expected from 1 to the window, 8, found 9");
    CHECK_ERROR(errc::not_finite, gpt2::score(test::overflowing_model(), some));
    std::stop_source stop;
    stop.request_stop();
    CHECK_ERROR(errc::cancelled, gpt2::score(base, some, {.until = {.token = stop.get_token()}}));
    // One token with nothing before it.
    const auto alone = gpt2::score(base, ids{1});
    CHECK(alone.scored() == 0);
    CHECK_ERROR(errc::invalid_argument, alone.perplexity());
    CHECK_ERROR(errc::invalid_argument, alone.bits_per_byte());
    CHECK_ERROR(errc::invalid_argument, gpt2::score(base, some).bits_per_byte());  // no bytes known
}

TEST_CASE("scores as CSV and JSON", "[score]") {
    const auto& model = model_named("tales");
    const std::string text = "The \"wolf\\\" \u65e5\n";
    const auto found = gpt2::score(model, text, {.alternatives = 2});
    const auto parsed = nlohmann::json::parse(gpt2::score_json(model, found));
    CHECK(parsed["scored"] == found.tokens.size() - 1);
    CHECK(parsed["perplexity"] == found.perplexity());
    CHECK(parsed["bits_per_byte"] == found.bits_per_byte());
    CHECK(parsed["log_prob"] == found.log_prob());
    REQUIRE(parsed["tokens"].size() == found.tokens.size());
    std::string bytes;
    for (std::size_t i = 0; i < found.tokens.size(); ++i) {
        const auto& one = parsed["tokens"][i];
        CHECK(one["token"] == found.tokens[i].token);
        CHECK(one["begin"] == found.tokens[i].bytes.begin);
        CHECK(one["end"] == found.tokens[i].bytes.end);
        CHECK(one["log_prob"].is_null() == (i == 0));
        CHECK(one.contains("alternatives") == (i > 0));
        if (i > 0) {
            CHECK(one["log_prob"] == found.tokens[i].log_prob);
            CHECK(one["alternatives"][1]["token"] == found.tokens[i].alternatives[1].token);
        }
        if (one.contains("text")) bytes += one["text"].get<std::string>();
        for (std::size_t k = 0; one.contains("hex") && k < one["hex"].size(); k += 2)
            bytes += static_cast<char>(
                std::stoi(one["hex"].get<std::string>().substr(k, 2), nullptr, 16));
    }
    CHECK(bytes.starts_with("The "));
    CHECK(bytes == text);

    const auto sums =
        nlohmann::json::parse(gpt2::score_json(model, found, gpt2::score_detail::sums));
    CHECK_FALSE(sums.contains("tokens"));
    CHECK(sums["perplexity"] == found.perplexity());

    const auto csv = gpt2::score_csv(model, found);
    CHECK(csv.starts_with("index,token,text,begin,end,log_prob,surprisal_bits,rank\n0,"));
    CHECK(static_cast<std::size_t>(std::ranges::count(csv, '\n')) == 1 + found.tokens.size());
    CHECK_THAT(csv, test::mentions(",\"The\",0,3,,,\n"));
    CHECK(gpt2::detail::csv_text("a\"b\\c\n\xe6\x97\x01") == R"("a""b\\c\n\xe6\x97\x01")");
    // A model without a tokenizer has no texts.
    const auto& base = model_named("base");
    const auto plain = gpt2::score(base, ids{1, 2});
    CHECK_FALSE(nlohmann::json::parse(gpt2::score_json(base, plain))["tokens"][1].contains("text"));
    CHECK_THAT(gpt2::score_csv(base, plain), test::mentions("\n0,1,,0,0,,,\n1,2,,0,0,-"));
    const auto alone = nlohmann::json::parse(gpt2::score_json(base, gpt2::score(base, ids{1})));
    CHECK(alone["perplexity"].is_null());
    CHECK(alone["log_prob"] == 0);
}
