// Python's pickles, read as data: nothing that a pickle names is ever looked up, imported or run.
//
// A pickle is a program for a small stack machine. This one knows the instructions that numbers,
// texts, tuples, lists and dictionaries are made of (protocols 2 to 4). The callables a file may
// mention are a list given by the caller; to "call" one makes a node that says which and with what.
// Any other instruction or name is refused by its name. Nothing recurses; nodes refer to each other
// by number, so what contains itself does no harm.
//
// Before: detail/byte_reader.hpp. Next: detail/pytorch.hpp.
#pragma once

#include "../error.hpp"
#include "byte_reader.hpp"

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gpt2::inline GPT2_ABI {
namespace detail {

/// A checkpoint of gpt2-xl with its optimizer takes about 80,000 instructions.
struct pickle_limits {
    static constexpr std::size_t bytes = std::size_t{8} << 20;
    static constexpr std::size_t instructions = 200'000;
    static constexpr std::size_t name_bytes = 256;
};

enum class pickle_kind : unsigned char {
    none,
    boolean,
    integer,
    big_integer,  // beyond 64 bits: `text` has its bytes, little-endian
    real,
    text,
    bytes,
    tuple,
    list,
    dict,        // items are key, value, key, value, …
    name,        // one of the known callables: `number` says which
    call,        // items are the name and the tuple of its arguments
    persistent,  // items are what stands for an object outside the pickle
};

struct pickle_node {
    pickle_kind what = pickle_kind::none;
    std::uint32_t begin = 0, size = 0;  // of a text
    std::int64_t number = 0;            // or the bits of a real
    std::vector<std::uint32_t> items;
};

/// One value of a document, which must outlive it.
class pickle_value {
public:
    pickle_value(const std::vector<pickle_node>& nodes, const std::string& bytes,
                 std::uint32_t index)
        : nodes_(&nodes), bytes_(&bytes), node_(&nodes[index]) {}

    pickle_kind what() const { return node_->what; }
    bool is(pickle_kind kind) const { return node_->what == kind; }

    /// Each of these: nothing when the value is of another kind.
    std::optional<bool> boolean() const {
        return is(pickle_kind::boolean) ? std::optional(node_->number != 0) : std::nullopt;
    }
    std::optional<std::int64_t> integer() const {
        return is(pickle_kind::integer) ? std::optional(node_->number) : std::nullopt;
    }
    std::optional<double> real() const {
        return is(pickle_kind::real) ? std::optional(std::bit_cast<double>(node_->number))
                                     : std::nullopt;
    }
    std::optional<std::string_view> text() const {
        return is(pickle_kind::text) ? std::optional(raw()) : std::nullopt;
    }
    /// Which of the known callables.
    std::optional<std::size_t> name() const {
        return is(pickle_kind::name) ? std::optional(static_cast<std::size_t>(node_->number))
                                     : std::nullopt;
    }
    /// The bytes of a text, of bytes or of a big integer.
    std::string_view raw() const {
        return std::string_view(*bytes_).substr(node_->begin, node_->size);
    }

    std::size_t size() const { return node_->items.size(); }
    pickle_value operator[](std::size_t i) const { return {*nodes_, *bytes_, node_->items[i]}; }

    /// The value of a dictionary's key, the last one where it is given twice.
    std::optional<pickle_value> find(std::string_view key) const {
        if (!is(pickle_kind::dict)) return std::nullopt;
        for (std::size_t i = size(); i >= 2; i -= 2)
            if ((*this)[i - 2].text() == key) return (*this)[i - 1];
        return std::nullopt;
    }

private:
    const std::vector<pickle_node>* nodes_;
    const std::string* bytes_;
    const pickle_node* node_;
};

/// What one pickle says. Moves with its nodes; the bytes are shared.
struct pickle_document {
    std::shared_ptr<const std::string> bytes;
    std::vector<pickle_node> nodes;
    std::uint32_t root_index = 0;
    std::size_t end = 0;  ///< where the pickle ended

    pickle_value root() const { return {nodes, *bytes, root_index}; }
};

/// The machine. Everything a file can do wrong is errc::bad_weights, errc::truncated,
/// errc::limit_exceeded or, by name, errc::unsupported.
class pickle_reader {
public:
    /// Reads the pickle that begins at `begin`. `known`: the callables, as "module.name".
    pickle_reader(std::shared_ptr<const std::string> bytes, std::size_t begin, std::string where,
                  std::span<const std::string_view> known)
        : bytes_(std::move(bytes)), where_(std::move(where)), known_(known), at_(begin) {}

    pickle_document read() {
        nodes_.reserve(std::min(bytes_->size() - at_, pickle_limits::instructions));
        for (std::size_t count = 0;; ++count) {
            if (count == pickle_limits::instructions)
                fail(errc::limit_exceeded, where_,
                     {"a pickle of at most ", pickle_limits::instructions, " instructions"},
                     "more");
            const auto code = static_cast<unsigned char>(take(1)[0]);
            if (code == '.') break;
            if (!constant(code) && !text(code) && !container(code) && !item(code) && !memo(code) &&
                !object(code))
                refuse_instruction(code);
        }
        pickle_document document;
        document.root_index = pop();
        document.bytes = bytes_;
        document.nodes = std::move(nodes_);
        document.end = at_;
        return document;
    }

private:
    using kind = pickle_kind;
    using index = std::uint32_t;

    // --- bytes

    std::string_view take(std::size_t size) {
        if (size > bytes_->size() - at_)
            fail(errc::truncated, where_, {"a pickle with ", size, " bytes from byte ", at_, " on"},
                 {bytes_->size() - at_, " left"});
        return std::string_view(*bytes_).substr(std::exchange(at_, at_ + size), size);
    }
    template <std::integral Number>
    Number number() {
        return number_at<Number>(take(sizeof(Number)), 0);
    }
    std::string_view line() {
        const auto rest = std::string_view(*bytes_).substr(at_, pickle_limits::name_bytes + 1);
        const auto end = rest.find('\n');
        if (end == rest.npos) refuse({"a name of at most ", pickle_limits::name_bytes}, "none");
        return take(end + 1).substr(0, end);
    }

    // --- nodes and the stack

    index push(kind what, std::int64_t value = 0) {
        nodes_.push_back({what, 0, 0, value, {}});
        stack_.push_back(static_cast<index>(nodes_.size() - 1));
        return stack_.back();
    }
    void push_text(kind what, std::string_view text) {
        pickle_node& node = nodes_[push(what)];
        node.begin = static_cast<index>(text.data() - bytes_->data());
        node.size = static_cast<index>(text.size());
    }
    /// Values above the last mark; what lies below is out of reach until that mark is taken.
    std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
    index pop() {
        const index top = this->top();
        stack_.pop_back();
        return top;
    }
    index top() const {
        if (stack_.size() <= floor()) refuse("a value on the stack", "none");
        return stack_.back();
    }
    std::vector<index> pop_to_mark() {
        if (marks_.empty()) refuse("a mark on the stack", "none");
        const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
        std::vector<index> items(first, stack_.end());
        stack_.erase(first, stack_.end());
        marks_.pop_back();
        return items;
    }
    std::vector<index> pop_last(std::size_t count) {
        std::vector<index> items(count);
        for (std::size_t i = count; i-- > 0;) items[i] = pop();
        return items;
    }
    void push_items(kind what, std::vector<index> items) {
        if (what == kind::dict && items.size() % 2 != 0) refuse("a value for each key", "none");
        nodes_[push(what)].items = std::move(items);
    }
    void append(kind what, const std::vector<index>& items) {
        pickle_node& into = nodes_[top()];
        if (into.what != what || (what == kind::dict && items.size() % 2 != 0))
            refuse(what == kind::dict ? "pairs for a dictionary" : "values for a list",
                   "something else");
        into.items.insert(into.items.end(), items.begin(), items.end());
    }

    // --- instructions, by what they do; false: not one of these

    bool constant(unsigned char code) {
        switch (code) {
            case 0x80:  // PROTO
                if (const int protocol = number<std::uint8_t>(); protocol < 2 || protocol > 4)
                    fail(errc::unsupported, where_, "a pickle of protocol 2 to 4", protocol);
                return true;
            case 0x95:  // FRAME
                number<std::uint64_t>();
                return true;
            case 'N':
                push(kind::none);
                return true;
            case 0x88:  // NEWTRUE
            case 0x89:  // NEWFALSE
                push(kind::boolean, code == 0x88);
                return true;
            case 'K':  // BININT1
                push(kind::integer, number<std::uint8_t>());
                return true;
            case 'M':  // BININT2
                push(kind::integer, number<std::uint16_t>());
                return true;
            case 'J':  // BININT
                push(kind::integer, number<std::int32_t>());
                return true;
            case 0x8a:  // LONG1
                push_long(take(number<std::uint8_t>()));
                return true;
            case 'G': {  // BINFLOAT: the one number with its high byte first
                std::uint64_t bits = 0;
                for (const char byte : take(8)) bits = bits << 8 | static_cast<unsigned char>(byte);
                push(kind::real, static_cast<std::int64_t>(bits));
                return true;
            }
            default:
                return false;
        }
    }
    void push_long(std::string_view digits) {
        if (digits.size() > 8) return push_text(kind::big_integer, digits);
        const bool negative = !digits.empty() && static_cast<signed char>(digits.back()) < 0;
        std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
        for (std::size_t i = digits.size(); i-- > 0;)
            value = value << 8 | static_cast<unsigned char>(digits[i]);
        push(kind::integer, static_cast<std::int64_t>(value));
    }

    bool text(unsigned char code) {
        const bool plain = code == 'X' || code == 0x8c || code == 0x8d || code == 'T' ||
                           code == 'U';  // Python 2's texts are bytes
        switch (code) {
            case 0x8c:  // SHORT_BINUNICODE
            case 'U':   // SHORT_BINSTRING
            case 'C':   // SHORT_BINBYTES
                push_text(plain ? kind::text : kind::bytes, take(number<std::uint8_t>()));
                return true;
            case 'X':  // BINUNICODE
            case 'T':  // BINSTRING
            case 'B':  // BINBYTES
                push_text(plain ? kind::text : kind::bytes, take(number<std::uint32_t>()));
                return true;
            case 0x8d:  // BINUNICODE8
            case 0x8e:  // BINBYTES8
                push_text(plain ? kind::text : kind::bytes, take(number<std::uint64_t>()));
                return true;
            default:
                return false;
        }
    }

    bool container(unsigned char code) {
        switch (code) {
            case '(':  // MARK
                marks_.push_back(stack_.size());
                return true;
            case ')':  // EMPTY_TUPLE
                push(kind::tuple);
                return true;
            case 0x85:  // TUPLE1, TUPLE2, TUPLE3
            case 0x86:
            case 0x87:
                push_items(kind::tuple, pop_last(code - 0x84u));
                return true;
            case 't':
                push_items(kind::tuple, pop_to_mark());
                return true;
            case ']':  // EMPTY_LIST
                push(kind::list);
                return true;
            case 'l':
                push_items(kind::list, pop_to_mark());
                return true;
            case '}':  // EMPTY_DICT
                push(kind::dict);
                return true;
            case 'd':
                push_items(kind::dict, pop_to_mark());
                return true;
            default:
                return false;
        }
    }

    bool item(unsigned char code) {
        switch (code) {
            case 'a':  // APPEND
                append(kind::list, pop_last(1));
                return true;
            case 'e':  // APPENDS
                append(kind::list, pop_to_mark());
                return true;
            case 's':  // SETITEM
                append(kind::dict, pop_last(2));
                return true;
            case 'u':  // SETITEMS
                append(kind::dict, pop_to_mark());
                return true;
            case '0':  // POP
                pop();
                return true;
            case '1':  // POP_MARK
                pop_to_mark();
                return true;
            case '2':  // DUP
                stack_.push_back(top());
                return true;
            default:
                return false;
        }
    }

    bool memo(unsigned char code) {
        switch (code) {
            case 'q':  // BINPUT
                remember(number<std::uint8_t>());
                return true;
            case 'r':  // LONG_BINPUT
                remember(number<std::uint32_t>());
                return true;
            case 0x94:  // MEMOIZE
                remember(memo_.size());
                return true;
            case 'h':  // BINGET
                recall(number<std::uint8_t>());
                return true;
            case 'j':  // LONG_BINGET
                recall(number<std::uint32_t>());
                return true;
            default:
                return false;
        }
    }
    /// Writers number what they remember from 0 on, without a gap.
    void remember(std::size_t place) {
        if (place > memo_.size()) refuse({"memo places in order, up to ", memo_.size()}, place);
        if (place == memo_.size()) memo_.push_back(0);
        memo_[place] = top();
    }
    void recall(std::size_t place) {
        if (place >= memo_.size()) refuse({"a memo place below ", memo_.size()}, place);
        stack_.push_back(memo_[place]);
    }

    bool object(unsigned char code) {
        switch (code) {
            case 'c': {  // GLOBAL
                const auto module = line(), name = line();
                push_name(module, name);
                return true;
            }
            case 0x93: {  // STACK_GLOBAL
                const auto parts = pop_last(2);
                if (nodes_[parts[0]].what != kind::text || nodes_[parts[1]].what != kind::text)
                    refuse("a module and a name", "something else");
                push_name(text_of_node(parts[0]), text_of_node(parts[1]));
                return true;
            }
            case 'R':  // REDUCE
                call(pop_last(2));
                return true;
            case 'b':  // BUILD: an ordered dictionary of PyTorch carries _metadata, unused here
                pop();
                if (nodes_[top()].what != kind::dict)
                    fail(errc::unsupported, where_, "no state but that of a dictionary", "BUILD");
                return true;
            case 'Q':  // BINPERSID
                push_items(kind::persistent, pop_last(1));
                return true;
            default:
                return false;
        }
    }
    std::string_view text_of_node(index node) const {
        return std::string_view(*bytes_).substr(nodes_[node].begin, nodes_[node].size);
    }
    static constexpr std::string_view ordered = "collections.OrderedDict";
    static constexpr std::int64_t ordered_number = -1;

    void push_name(std::string_view module, std::string_view name) {
        const std::string full = text_of({module, ".", name});
        if (full == ordered) {
            push(kind::name, ordered_number);
            return;
        }
        for (std::size_t i = 0; i < known_.size(); ++i)
            if (known_[i] == full) {
                push(kind::name, static_cast<std::int64_t>(i));
                return;
            }
        fail(errc::unsupported, where_, "nothing but tensors, numbers, texts, lists and dicts",
             {"the callable ", printable(full), ", which is not run"});
    }
    void call(std::vector<index> parts) {
        if (nodes_[parts[0]].what != kind::name || nodes_[parts[1]].what != kind::tuple)
            refuse("a call of a name with a tuple", "something else");
        if (nodes_[parts[0]].number != ordered_number)
            return push_items(kind::call, std::move(parts));
        const auto arguments = nodes_[parts[1]].items;
        if (!arguments.empty())
            fail(errc::unsupported, where_, "an OrderedDict that is filled item by item",
                 "one made from arguments");
        push(kind::dict);
    }

    [[noreturn, gnu::noinline, gnu::cold]] void refuse(const phrase& expected,
                                                       const phrase& found) const {
        fail(errc::bad_weights, {where_, ": pickle before byte ", at_}, expected, found);
    }
    [[noreturn, gnu::noinline, gnu::cold]] void refuse_instruction(unsigned char code) const {
        struct instruction {
            unsigned char code;
            std::string_view name;
        };
        static constexpr instruction refused[] = {
            {'i', "INST"},         {'o', "OBJ"},
            {0x81, "NEWOBJ"},      {0x92, "NEWOBJ_EX"},
            {0x82, "EXT1"},        {0x83, "EXT2"},
            {0x84, "EXT4"},        {'P', "PERSID"},
            {'F', "FLOAT"},        {'I', "INT"},
            {'L', "LONG"},         {'S', "STRING"},
            {'V', "UNICODE"},      {'p', "PUT"},
            {'g', "GET"},          {0x8b, "LONG4"},
            {0x8f, "EMPTY_SET"},   {0x90, "ADDITEMS"},
            {0x91, "FROZENSET"},   {0x96, "BYTEARRAY8"},
            {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"},
        };
        std::string_view name = "unknown to Python";
        for (const auto& entry : refused)
            if (entry.code == code) name = entry.name;
        fail(errc::unsupported, where_, "the instructions that state dicts are made of",
             {"instruction ", static_cast<int>(code), " (", name, ") at byte ", at_ - 1});
    }

    std::shared_ptr<const std::string> bytes_;
    std::string where_;
    std::span<const std::string_view> known_;
    std::size_t at_;
    std::vector<pickle_node> nodes_;
    std::vector<index> stack_;
    std::vector<std::size_t> marks_;
    std::vector<index> memo_;
};

}  // namespace detail
}  // namespace gpt2::inline GPT2_ABI
