// Tokenizer files: both forms, what stands beside them, and each way to be wrong.
#include "oracle.hpp"

#include <gpt2/detail/byte_alphabet.hpp>
#include <gpt2/tokenizer_files.hpp>

#include <functional>

using gpt2::errc;
using gpt2::load_tokenizer;
using gpt2::specials;
using gpt2::tokenizer_texts;
using nlohmann::json;

namespace {

std::string reference(const std::string& name) {
    return test::read_file(test::reference_folder() / name);
}

/// The vocabulary of the byte symbols alone, 0 to 255, in the order of their characters.
json byte_vocab() {
    json vocab = json::object();
    int next = 0;
    for (char32_t c = 0; c < gpt2::detail::byte_of_symbol.size(); ++c)
        if (gpt2::detail::byte_of_symbol[c] >= 0) vocab[test::to_utf8(c)] = next++;
    return vocab;
}

gpt2::tokenizer from_vocab(const json& vocab, const std::string& merges = "#version: 0.2\n") {
    const std::string text = vocab.dump();
    return load_tokenizer(tokenizer_texts{.vocab_json = text, .merges_txt = merges});
}

gpt2::tokenizer with_merges(const std::string& merges) {
    json vocab = byte_vocab();
    vocab["th"] = 256;
    vocab["the"] = 257;
    vocab["##"] = 258;
    return from_vocab(vocab, merges);
}

std::string message_of(const std::function<void()>& action) {
    const auto problem = test::error_of(action);
    return problem ? problem->what() : "no error";
}

/// tokenizer.json of the reference, changed by `change`.
gpt2::tokenizer changed(const std::function<void(json&)>& change) {
    json document = json::parse(reference("tokenizer.json"));
    change(document);
    const std::string text = document.dump();
    return load_tokenizer(tokenizer_texts{.tokenizer_json = text});
}

json added(int id, const std::string& content) {
    return {{"id", id}, {"content", content}, {"special", true}, {"normalized", false}};
}

}  // namespace

TEST_CASE("all forms of the same tokenizer encode alike") {
    const auto vocab = reference("vocab.json"), merges = reference("merges.txt");
    const auto arrays = changed([](json&) {});
    const auto strings = changed([](json& d) {
        for (auto& item : d["model"]["merges"])
            item = item[0].get<std::string>() + " " + item[1].get<std::string>();
    });
    const auto two = load_tokenizer(tokenizer_texts{.vocab_json = vocab, .merges_txt = merges});
    test::scratch_folder folder;
    test::write_file(folder / "encoder.json", vocab);
    test::write_file(folder / "vocab.bpe", merges);
    const auto old_names = load_tokenizer(folder.path());
    const auto cases = json::parse(reference("cases.json"));
    for (const auto& item : cases["groups"][0]["cases"]) {
        const std::string bytes = test::from_hex(item["hex"]);
        const auto ids = arrays.encode(bytes);
        CHECK(ids == item["ids"].get<test::ids>());
        CHECK(strings.encode(bytes) == ids);
        CHECK(two.encode(bytes) == ids);
        CHECK(old_names.encode(bytes) == ids);
    }
    for (const auto* t : {&arrays, &strings, &two, &old_names}) {
        CHECK(t->size() == 600);
        CHECK(t->is_special(599));
        CHECK(t->encode("<|endoftext|>", specials::as_tokens) == test::ids{599});
        CHECK(t->encode("<|endoftext|>").size() > 1);
    }
}

TEST_CASE("a folder with tokenizer.json is read by that alone") {
    test::scratch_folder folder;
    test::write_file(folder / "tokenizer.json", reference("tokenizer.json"));
    test::write_file(folder / "vocab.json", "not JSON");
    test::write_file(folder / "merges.txt", "nor merges");
    test::write_file(folder / "tokenizer_config.json", "[");
    CHECK(load_tokenizer(folder.path()).size() == 600);
}

TEST_CASE("a folder without tokenizer files says what it should hold") {
    test::scratch_folder folder;
    CHECK_ERROR(errc::not_found, load_tokenizer(folder.path()));
    CHECK_ERROR(errc::not_found, load_tokenizer(folder / "nowhere"));
    test::write_file(folder / "vocab.json", "{}");
    CHECK_ERROR(errc::not_found, load_tokenizer(folder.path()));
    CHECK(message_of([&] { load_tokenizer(folder.path()); }).find("no merges.txt") !=
          std::string::npos);
    std::filesystem::create_directory(folder / "tokenizer.json");
    CHECK_ERROR(errc::not_regular_file, load_tokenizer(folder.path()));
}

TEST_CASE("ids in vocab.json") {
    for (const json& id : {json(0), json(-1), json(1.5), json("256"), json(1 << 20), json(nullptr),
                           json(4294967296), json(257), json::array({256})}) {
        json vocab = byte_vocab();
        vocab["th"] = id;
        INFO(id.dump());
        CHECK_ERROR(errc::bad_tokenizer, from_vocab(vocab));
    }
    json gap = byte_vocab();
    gap["th"] = 257;
    CHECK(message_of([&] { from_vocab(gap); }) == "vocabulary: id 256 has no token");
    json same = byte_vocab();
    same["th"] = 104;
    CHECK(message_of([&] { from_vocab(same); }).find("104") != std::string::npos);
    CHECK_ERROR(errc::bad_tokenizer, from_vocab(json::array({1})));
    CHECK_ERROR(errc::bad_tokenizer, from_vocab(json(3)));
    CHECK_ERROR(errc::bad_tokenizer, from_vocab(json::object()));
    const auto texts = [](const char* vocab) {
        return tokenizer_texts{.vocab_json = vocab, .merges_txt = ""};
    };
    CHECK_ERROR(errc::bad_json, load_tokenizer(texts(R"({"a": 0, "a": 1})")));
    CHECK_ERROR(errc::bad_json, load_tokenizer(texts(R"({"a": 0)")));
    CHECK_ERROR(errc::bad_json, load_tokenizer(texts("")));
}

TEST_CASE("symbols outside the byte alphabet must be declared") {
    for (const std::string symbol : {"a b", "\n", "\xE4\xBD\xA0", "", "\xC2\xAD"}) {
        json vocab = byte_vocab();
        vocab[symbol] = 256;
        INFO(gpt2::detail::printable(symbol));
        CHECK_ERROR(errc::bad_tokenizer, from_vocab(vocab));
    }
    json vocab = byte_vocab();
    vocab["<a b>"] = 256;
    const std::string text = vocab.dump();
    const auto t =
        load_tokenizer(tokenizer_texts{.vocab_json = text,
                                       .merges_txt = "",
                                       .special_tokens_map_json = R"({"pad_token": "<a b>"})"});
    CHECK(t.encode("<a b>", specials::as_tokens) == test::ids{256});
    CHECK(t.bytes(256) == "<a b>");
}

TEST_CASE("a vocabulary without all byte symbols loads, and encode names the byte") {
    const auto t = from_vocab({{"\xC4\xA0", 0}, {"\xC4\x8A", 1}, {"a", 2}});
    CHECK(t.encode("a a\n") == test::ids{2, 0, 2, 1});
    CHECK(t.decode(test::ids{2, 0, 1}) == "a \n");
    CHECK_ERROR(errc::invalid_argument, t.encode("ab"));
    const auto real = test::shared_data("data/models/slm4096");
    if (real.empty()) return;
    const auto slm = load_tokenizer(real);
    CHECK(slm.size() == 54);
    CHECK(slm.encode("Q: a\n") == test::ids{23, 8, 1, 28, 0});
}

TEST_CASE("lines of merges.txt") {
    CHECK(with_merges("t h\nth e\n# #").encode("the") == test::ids{257});
    CHECK(with_merges("# #\nt h\n").encode("##th") == test::ids{258, 256});
    for (const char* same : {"#version: 0.2\nt h\nth e\n# #\n", "#version: 0.2\nt h\nth e\n# #",
                             "#version: 0.2\r\nt h\r\nth e\r\n# #\r\n", "t h\nth e\n# #\n\n\n",
                             "#version\nt h\nth e\n# #\n"}) {
        INFO(gpt2::detail::printable(same));
        CHECK(with_merges(same).encode("the##") == test::ids{257, 258});
    }
    CHECK(with_merges("").encode("the").size() == 3);
    for (const char* wrong : {"t h\nth", "t h\nth e x", "t h\nth\te", "t h\nth  e", "t h\n th e",
                              "t h\nth e ", "t h\n\nth e", "t h\n#version: 0.2", "t h\n ",
                              "t h\nt e", "t h\nth x", "t h\n\xFF e", "t h\nt h"}) {
        INFO(gpt2::detail::printable(wrong));
        CHECK_ERROR(errc::bad_tokenizer, with_merges(wrong));
        CHECK(message_of([&] { with_merges(wrong); }).starts_with("merges.txt: line 2: "));
    }
}

TEST_CASE("merges that never end are refused early") {
    std::string many;
    for (int i = 0; i <= 1 << 20; ++i) many += "t h\n";
    CHECK_ERROR(errc::limit_exceeded, with_merges(many));
    CHECK_ERROR(errc::limit_exceeded, with_merges(std::string((64 << 20) + 1, 'a')));
    CHECK_ERROR(errc::bad_tokenizer, with_merges(std::string(60 << 20, 'a')));
    json vocab = json::object();
    for (int i = 0; i <= 1 << 20; ++i) vocab[std::to_string(i)] = i;
    CHECK_ERROR(errc::limit_exceeded, from_vocab(vocab));
    const std::string long_text((64 << 20) + 1, ' ');
    CHECK_ERROR(errc::limit_exceeded,
                load_tokenizer(tokenizer_texts{.vocab_json = long_text, .merges_txt = ""}));
    CHECK_ERROR(errc::limit_exceeded, load_tokenizer(tokenizer_texts{.tokenizer_json = long_text}));
}

TEST_CASE("files that stand beside vocab.json and merges.txt") {
    const std::string vocab = reference("vocab.json"), merges = reference("merges.txt");
    tokenizer_texts texts{.vocab_json = vocab, .merges_txt = merges};
    texts.added_tokens_json = R"({"<pad>": 601, "<user>": 600})";
    texts.special_tokens_map_json =
        R"({"pad_token": "<pad>", "eos_token": {"content": "<|endoftext|>", "lstrip": true,
            "normalized": true}, "unk_token": "<no such token>", "bos_token": null})";
    const auto t = load_tokenizer(texts);
    CHECK(t.size() == 602);
    CHECK(t.is_special(601));
    CHECK_FALSE(t.is_special(600));
    CHECK(t.encode("a <user><pad> <|endoftext|>", specials::as_tokens) ==
          test::ids{t.encode("a")[0], t.encode(" ")[0], 600, 601, 599});

    texts.tokenizer_config_json =
        R"({"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": true, "add_bos_token": false,
            "added_tokens_decoder": {"602": {"content": "<x>", "special": true, "rstrip": true}},
            "additional_special_tokens": ["<user>"]})";
    const auto more = load_tokenizer(texts);
    CHECK(more.size() == 603);
    CHECK(more.is_special(600));
    CHECK(more.encode("a") == t.encode(" a"));
    CHECK(more.encode(" a") == t.encode(" a"));
    CHECK(more.encode("<x>  a", specials::as_tokens).front() == 602);
    CHECK(more.encode("<x>  a", specials::as_tokens).size() == 2);
}

TEST_CASE("files beside the vocabulary that contradict it, or ask for more") {
    const std::string vocab = reference("vocab.json"), merges = reference("merges.txt");
    const auto with = [&](std::optional<std::string_view> tokenizer_texts::*file,
                          std::string_view content) {
        tokenizer_texts texts{.vocab_json = vocab, .merges_txt = merges};
        texts.*file = content;
        return load_tokenizer(texts);
    };
    const auto tokens = &tokenizer_texts::added_tokens_json;
    const auto map = &tokenizer_texts::special_tokens_map_json;
    const auto config = &tokenizer_texts::tokenizer_config_json;
    for (const char* wrong :
         {R"({"<|endoftext|>": 598})", R"({"<x>": 5})", R"({"<x>": -1})", R"({"<x>": 2147483648})",
          R"({"": 600})", R"({"<x>": 601})", "[]", R"({"<x>": "600"})"}) {
        INFO(wrong);
        CHECK_ERROR(errc::bad_tokenizer, with(tokens, wrong));
    }
    CHECK_ERROR(errc::bad_json, with(tokens, "{"));
    CHECK_ERROR(errc::bad_tokenizer, with(map, R"({"pad_token": 3})"));
    CHECK_ERROR(errc::bad_tokenizer, with(map, R"({"pad_token": {"lstrip": true}})"));
    for (const char* wrong :
         {R"({"added_tokens_decoder": {"600x": {"content": "<x>"}}})",
          R"({"added_tokens_decoder": {"": {"content": "<x>"}}})",
          R"({"added_tokens_decoder": {"600": "<x>"}})", R"({"add_prefix_space": 1})",
          R"({"added_tokens_decoder": {"-1": {"content": "<x>"}}})",
          R"({"added_tokens_decoder": {"600": {"content": "<x>", "lstrip": "yes"}}})"}) {
        INFO(wrong);
        CHECK_ERROR(errc::bad_tokenizer, with(config, wrong));
    }
    CHECK_ERROR(errc::unsupported, with(config, R"({"tokenizer_class": "CLIPTokenizer"})"));
    CHECK(with(config, R"({"add_bos_token": true})").frame().before == test::ids{599});
    CHECK_ERROR(errc::unsupported, with(config, R"({"add_eos_token": true})"));
}

TEST_CASE("what tokenizer.json asks for and is not known is refused by name") {
    const auto refused = [](const std::string& named, const std::function<void(json&)>& change) {
        INFO(named);
        CHECK_ERROR(errc::unsupported, changed(change));
        CHECK(message_of([&] { changed(change); }).find(named) != std::string::npos);
    };
    const auto regex = [](const std::string& part, const std::string& pattern) {
        return [=](json& d) {
            d[part] = {{"type", part == "normalizer" ? "Replace" : "Split"},
                       {"pattern", {{"Regex", pattern}}},
                       {part == "normalizer" ? "content" : "behavior", "Isolated"}};
        };
    };
    for (const char* part : {"normalizer", "pre_tokenizer", "decoder", "post_processor"}) {
        refused("Curious", [&](json& d) { d[part] = {{"type", "Curious"}}; });
        refused("new_thing", [&](json& d) {
            d[part] = {{"type", "Sequence"}, {"new_thing", json::array()}};
        });
    }
    for (const char* type : {"UnicodeScripts", "Delimiter"})
        refused(type, [&](json& d) { d["pre_tokenizer"] = {{"type", type}}; });
    refused("CTC", [](json& d) { d["decoder"] = {{"type", "CTC"}}; });
    for (const char* part : {"normalizer", "pre_tokenizer"})
        for (const char* pattern :
             {"a++",     "a*?", "(?<x>a)", "\\p{Han}",  "\\p{Lu}", "[a-z&&[aeiou]]",
              "a{2}{3}", "^a",  "(?!ab)a", "(?<=a)b",   "\\bword", "(?i:\u00e9)",
              "a**",     "(",   ")",       "[a",        "\\",      "a{,3}",
              "a|",      "a*",  "",        "(?:a|b?)c*"})
            refused("pattern", regex(part, pattern));
    refused("MergedTwice", [](json& d) {
        d["pre_tokenizer"] = {
            {"type", "Split"}, {"pattern", {{"String", "a"}}}, {"behavior", "MergedTwice"}};
    });
    refused("middle", [](json& d) {
        d["pre_tokenizer"] = {
            {"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "middle"}};
    });
    refused("new_thing", [](json& d) { d["pre_tokenizer"]["new_thing"] = 1; });
    refused("one text", [](json& d) {
        d["post_processor"] = {{"type", "TemplateProcessing"}, {"single", json::array()}};
    });
    refused("joins tokens", [](json& d) {
        d["decoder"] = {
            {"type", "Sequence"},
            {"decoders",
             {{{"type", "Fuse"}},
              {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "b"}}}}};
    });
    refused("Curious", [](json& d) { d["model"]["type"] = "Curious"; });
    refused("dropout", [](json& d) { d["model"]["dropout"] = 0.1; });
    refused("new_thing", [](json& d) { d["model"]["new_thing"] = 1; });
    refused("new_thing", [](json& d) { d["new_thing"] = 1; });
}

TEST_CASE("parts of tokenizer.json that break their own rules") {
    const auto wrong = [](const char* part, const json& value) {
        INFO(value.dump());
        CHECK_ERROR(errc::bad_tokenizer, changed([&](json& d) { d[part] = value; }));
    };
    for (const char* part : {"normalizer", "pre_tokenizer", "decoder", "post_processor"}) {
        wrong(part, 3);
        wrong(part, json::array());
        wrong(part, {{"type", 3}});
        wrong(part, {{"type", "Sequence"}});
    }
    wrong("normalizer", {{"type", "Prepend"}});
    wrong("normalizer", {{"type", "Replace"}, {"content", "a"}});
    wrong("normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "a"}});
    wrong("normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "AAAA????"}});
    wrong("normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "AAAAAAAA"}});
    wrong("pre_tokenizer", {{"type", "Metaspace"}});
    wrong("pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "ab"}});
    wrong("pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"split", 1}});
    wrong("pre_tokenizer", {{"type", "FixedLength"}, {"length", 0}});
    wrong("pre_tokenizer", {{"type", "CharDelimiterSplit"}, {"delimiter", ""}});
    wrong("decoder", {{"type", "Strip"}, {"content", "ab"}, {"start", 1}, {"stop", 0}});
    wrong("decoder", {{"type", "WordPiece"}});
    wrong("post_processor", {{"type", "BertProcessing"}, {"cls", {"<s>", 1}}});
    wrong("post_processor", {{"type", "BertProcessing"}, {"cls", {"<s>", -1}}, {"sep", {"", 1}}});
    wrong("post_processor",
          {{"type", "TemplateProcessing"},
           {"single", {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}}}});
    CHECK_ERROR(errc::token_out_of_range, changed([](json& d) {
                    d["post_processor"] = {
                        {"type", "BertProcessing"}, {"cls", {"<s>", 600}}, {"sep", {"", 1}}};
                }));
}

TEST_CASE("tokenizer.json as transformers 5 writes it") {
    const auto t = changed([](json& d) {
        d["post_processor"] = {{"type", "TemplateProcessing"},
                               {"single", {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
                               {"special_tokens", json::object()}};
        d["model"]["continuing_subword_prefix"] = "";
        d["model"]["end_of_word_suffix"] = "";
        d["model"]["dropout"] = nullptr;
        d["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"use_regex", true}};
        d["truncation"] = nullptr;
        d["padding"] = nullptr;
    });
    CHECK(t.encode("the the") == changed([](json&) {}).encode("the the"));
    CHECK(changed([](json& d) { d["model"].erase("type"); }).size() == 600);
}

TEST_CASE("merges and added tokens of tokenizer.json") {
    const auto wrong_merges = [](const json& item) {
        return changed(
            [&](json& d) { d["model"]["merges"].insert(d["model"]["merges"].begin(), item); });
    };
    for (const json& item :
         {json::array({"a"}), json::array({"a", "b", "c"}), json::array({"a", 1}), json("a"),
          json("a b c"), json(1), json("zz qq"), json("a zz"), json::array({"a", ""})}) {
        INFO(item.dump());
        CHECK_ERROR(errc::bad_tokenizer, wrong_merges(item));
    }
    CHECK(message_of([&] { wrong_merges("a"); }).starts_with("tokenizer.json: model: merges 0: "));
    CHECK_ERROR(errc::bad_tokenizer, changed([](json& d) { d["model"]["merges"] = 3; }));
    CHECK_ERROR(errc::bad_tokenizer, changed([](json& d) { d["model"].erase("vocab"); }));
    CHECK_ERROR(errc::bad_tokenizer, changed([](json& d) { d["model"] = "BPE"; }));
    CHECK_ERROR(errc::bad_tokenizer, changed([](json& d) { d.erase("model"); }));
    CHECK_ERROR(errc::bad_tokenizer, changed([](json& d) { d["added_tokens"] = 3; }));
    for (const json& item :
         {added(598, "<x>"), added(600, "a"), added(600, ""), added(-1, "<x>"), added(601, "<x>"),
          json::object(), json(3), json({{"content", "<x>"}})}) {
        INFO(item.dump());
        CHECK_ERROR(errc::bad_tokenizer,
                    changed([&](json& d) { d["added_tokens"].push_back(item); }));
    }
    for (const std::int64_t id : {std::int64_t{1} << 20, std::int64_t{1} << 31}) {
        json item = added(0, "<x>");
        item["id"] = id;
        CHECK_ERROR(errc::bad_tokenizer,
                    changed([&](json& d) { d["added_tokens"].push_back(item); }));
    }
}

TEST_CASE("an added token is its characters, not bytes in the byte alphabet") {
    // "é" is the symbol of the byte E9; a vocabulary that holds it apart from the symbols cannot be
    // written, but "été" can: its characters are all in the alphabet, and the token is no symbol.
    const auto t =
        changed([](json& d) { d["added_tokens"].push_back(added(600, "\xC3\xA9t\xC3\xA9")); });
    CHECK(t.bytes(600) == "\xC3\xA9t\xC3\xA9");
    json vocab = byte_vocab();
    vocab["\xC3\xA9t\xC3\xA9"] = 256;
    CHECK(from_vocab(vocab).bytes(256) == "\xE9t\xE9");
    const std::string text = vocab.dump();
    const auto declared = load_tokenizer(
        tokenizer_texts{.vocab_json = text,
                        .merges_txt = "",
                        .special_tokens_map_json = "{\"pad_token\": \"\xC3\xA9t\xC3\xA9\"}"});
    CHECK(declared.bytes(256) == "\xC3\xA9t\xC3\xA9");
}
