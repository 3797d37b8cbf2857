// A tokenizer as the files that Hugging Face's AutoTokenizer and this library
// read.
//
// Byte-level BPE is written out: tokenizer.json, which says everything, and for
// older readers vocab.json and merges.txt; tokenizer_config.json names the
// class and the tokens that begin and end a text. Other kinds are the files
// they were read from, byte for byte.
//
// Before: tokenizer.hpp, detail/json_writer.hpp; tokenizer_files.hpp reads what
// is written here. Next: detail/hf_writer.hpp.
#pragma once

#include "../config.hpp"
#include "../tokenizer.hpp"
#include "byte_alphabet.hpp"
#include "json_writer.hpp"
#include "tokenizer_builder.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// The files of a byte-level BPE.
class bpe_files {
public:
  /// Throws errc::unsupported when two tokens would be written alike.
  bpe_files(const vocabulary &from, const config &sizes)
      : from_(from), sizes_(sizes), names_(from.tokens.size()) {
    for (std::size_t id = 0; id < from.tokens.size(); ++id)
      names_[id] = byte_symbols(from.tokens[id]);
    for (const added_token &token : from.added) {
      const auto id = static_cast<std::size_t>(token.id);
      if (id >= names_.size())
        names_.resize(id + 1);
      names_[id] = token.content;
      by_id_[token.id] = &token;
    }
    std::set<std::string_view> seen;
    for (const std::string &name : names_)
      if (!seen.insert(name).second)
        fail(errc::unsupported, "tokenizer",
             {"two of its tokens would be written as ", printable(name)});
  }

  std::string vocab_json() const {
    json_writer out;
    write_vocabulary(out);
    return out.take() + "\n";
  }

  std::string merges_txt() const {
    std::string text = "#version: 0.2\n";
    for (const merge &each : from_.merges)
      text += name(each.left) + " " + name(each.right) + "\n";
    return text;
  }

  std::string tokenizer_json() const {
    json_writer out;
    out.open('{').member("version", "1.0");
    out.member("truncation", nullptr).member("padding", nullptr);
    out.key("added_tokens").open('[');
    for (const auto &[id, token] : by_id_) {
      out.open('{').member("id", id);
      write_token(out, *token);
    }
    out.close().member("normalizer", nullptr);
    write_byte_level(out, "pre_tokenizer", from_.prefix == prefix::space);
    if (framed())
      write_frame(out);
    else
      write_byte_level(out, "post_processor", true);
    write_byte_level(out, "decoder", true);
    out.key("model").open('{').member("type", "BPE");
    out.member("dropout", nullptr).member("unk_token", nullptr);
    out.member("continuing_subword_prefix", "")
        .member("end_of_word_suffix", "");
    for (const std::string_view flag :
         {"fuse_unk", "byte_fallback", "ignore_merges"})
      out.member(flag, false);
    out.key("vocab");
    write_vocabulary(out);
    out.key("merges").open('[');
    for (const merge &each : from_.merges)
      out.open('[').value(name(each.left)).value(name(each.right)).close();
    out.close().close().close();
    return out.take() + "\n";
  }

  std::string tokenizer_config_json() const {
    json_writer out(json_layout::lines);
    out.open('{').member("add_prefix_space", from_.prefix == prefix::space);
    out.key("added_tokens_decoder").open('{');
    for (const auto &[id, token] : by_id_) {
      out.key(std::to_string(id)).open('{');
      write_token(out, *token);
    }
    out.close()
        .member("clean_up_tokenization_spaces", false)
        .member("errors", "replace");
    const std::optional<token_id> last =
        sizes_.end_of_text.empty() ? std::nullopt
                                   : std::optional(sizes_.end_of_text.front());
    write_named(out, "bos_token", sizes_.begin_of_text);
    write_named(out, "eos_token", last);
    write_named(out, "unk_token", last);
    out.member("model_max_length", sizes_.context_length);
    // GPT2Tokenizer always cuts by the pattern of GPT-2, and puts nothing
    // around a text.
    const bool plain = from_.cuts == cuts::words && !framed();
    out.member("tokenizer_class",
               plain ? "GPT2Tokenizer" : "PreTrainedTokenizerFast");
    return out.close().take();
  }

private:
  const std::string &name(token_id id) const {
    return names_[static_cast<std::size_t>(id)];
  }

  void write_vocabulary(json_writer &out) const {
    out.open('{');
    for (std::size_t id = 0; id < names_.size(); ++id)
      out.member(names_[id], id);
    out.close();
  }

  /// The rest of an object that is open.
  static void write_token(json_writer &out, const added_token &token) {
    out.member("content", token.content)
        .member("single_word", token.single_word);
    out.member("lstrip", token.lstrip).member("rstrip", token.rstrip);
    out.member("normalized", token.normalized)
        .member("special", token.special)
        .close();
  }

  void write_byte_level(json_writer &out, std::string_view key,
                        bool add_prefix_space) const {
    out.key(key).open('{').member("type", "ByteLevel");
    out.member("add_prefix_space", add_prefix_space)
        .member("trim_offsets", true);
    out.member("use_regex", from_.cuts == cuts::words).close();
  }

  bool framed() const {
    return !from_.frame.before.empty() || !from_.frame.after.empty();
  }

  /// What stands around a text, as a post-processor.
  void write_frame(json_writer &out) const {
    const auto ids = [&](const std::vector<token_id> &around) {
      for (const token_id id : around) {
        out.open('{').key("SpecialToken").open('{');
        out.member("id", name(id)).member("type_id", 0).close().close();
      }
    };
    const auto text = [&](std::string_view which, int type) {
      out.open('{').key("Sequence").open('{');
      out.member("id", which).member("type_id", type).close().close();
    };
    out.key("post_processor").open('{').member("type", "TemplateProcessing");
    for (const std::string_view form : {"single", "pair"}) {
      out.key(form).open('[');
      ids(from_.frame.before);
      text("A", 0);
      if (form == "pair")
        text("B", 1);
      ids(from_.frame.after);
      out.close();
    }
    std::set<token_id> around(from_.frame.before.begin(),
                              from_.frame.before.end());
    around.insert(from_.frame.after.begin(), from_.frame.after.end());
    out.key("special_tokens").open('{');
    for (const token_id id : around) {
      out.key(name(id))
          .open('{')
          .member("id", name(id))
          .key("ids")
          .open('[')
          .value(id);
      out.close().key("tokens").open('[').value(name(id)).close().close();
    }
    out.close().close();
  }

  /// The name of a token that plays a part; null where there is none or it is
  /// an ordinary one.
  void write_named(json_writer &out, std::string_view part,
                   std::optional<token_id> id) const {
    const auto token = id ? by_id_.find(*id) : by_id_.end();
    if (token != by_id_.end() && token->second->special)
      out.member(part, token->second->content);
    else
      out.member(part, nullptr);
  }

  const vocabulary &from_;
  const config &sizes_;
  std::vector<std::string> names_; // by id, as files write them
  std::map<token_id, const added_token *> by_id_;
};

/// The files that say what a tokenizer is. Throws errc::unsupported for what
/// they cannot say.
[[gnu::cold]] inline std::vector<tokenizer_file> files_of(const tokenizer &from,
                                                          const config &sizes) {
  if (const auto known = from.definition(); !known.empty())
    return {known.begin(), known.end()};
  const vocabulary parts = from.parts();
  const bpe_files files(parts, sizes);
  return {{"tokenizer.json", files.tokenizer_json()},
          {"vocab.json", files.vocab_json()},
          {"merges.txt", files.merges_txt()},
          {"tokenizer_config.json", files.tokenizer_config_json()}};
}

} // namespace detail
} // namespace gpt2::inline GPT2_ABI
