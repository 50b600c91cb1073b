// Debian's shared libtoml++ is built in another mode than its headers default to; header-only
// mode avoids the mismatch and leaves nothing to link.
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
// A failed assertion inside the parser must reach the user as an error, not as an abort.
#include <stdexcept>
#define TOML_ASSERT(expression)                                                       \
  do {                                                                                \
    if (!(expression)) throw std::logic_error("parser assertion failed: " #expression); \
  } while (false)
#include <toml++/toml.h>

#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "CTomlParser.h"

struct bulkhead_toml_document {
  toml::table root;
  std::vector<bulkhead_toml_node> nodes;
  std::string error;
  bool failed = false;
  bulkhead_toml_region error_region = {1, 1, 1, 1};
};

namespace {

// Dots outside strings and comments make nesting, and toml++ frees its tree recursively: a
// bound on them keeps a hostile file from exhausting the stack. A real file has a few dozen.
constexpr size_t maximum_dots = 1000;

size_t skip_string(std::string_view text, size_t position) {
  const char quote = text[position];
  const bool triple =
      text.size() - position >= 3 && text[position + 1] == quote && text[position + 2] == quote;
  position += triple ? 3 : 1;
  size_t run = 0;
  while (position < text.size()) {
    const char character = text[position];
    if (!triple && character == '\n') return position;
    if (character == '\\' && quote == '"') {
      position += 2;
      run = 0;
      continue;
    }
    position += 1;
    run = character == quote ? run + 1 : 0;
    if (run == (triple ? 3u : 1u)) return position;
  }
  return text.size();
}

bool has_too_many_dots(std::string_view text) {
  size_t dots = 0;
  size_t position = 0;
  while (position < text.size()) {
    const char character = text[position];
    if (character == '"' || character == '\'') {
      position = skip_string(text, position);
      continue;
    }
    if (character == '#') {
      while (position < text.size() && text[position] != '\n') position += 1;
      continue;
    }
    if (character == '.' && ++dots > maximum_dots) return true;
    position += 1;
  }
  return false;
}

bulkhead_toml_region region_of(const toml::source_region &source) {
  return {source.begin.line, source.begin.column, source.end.line, source.end.column};
}

void flatten(bulkhead_toml_document &document, const toml::node &node, int32_t parent, const toml::key *key) {
  bulkhead_toml_node flat = {};
  flat.parent = parent;
  flat.value_region = region_of(node.source());
  if (key != nullptr) {
    flat.key = key->data();
    flat.key_length = key->length();
    flat.key_region = region_of(key->source());
  }
  if (node.is_table()) {
    flat.kind = BULKHEAD_TOML_TABLE;
  } else if (node.is_array()) {
    flat.kind = BULKHEAD_TOML_ARRAY;
  } else if (const auto *string = node.as_string()) {
    flat.kind = BULKHEAD_TOML_STRING;
    flat.text = string->get().data();
    flat.text_length = string->get().size();
  } else if (const auto *integer = node.as_integer()) {
    flat.kind = BULKHEAD_TOML_INTEGER;
    flat.integer = integer->get();
  } else if (node.is_floating_point()) {
    flat.kind = BULKHEAD_TOML_FLOAT;
  } else if (const auto *boolean = node.as_boolean()) {
    flat.kind = BULKHEAD_TOML_BOOLEAN;
    flat.integer = boolean->get() ? 1 : 0;
  } else {
    flat.kind = BULKHEAD_TOML_TIME;
  }
  const auto index = static_cast<int32_t>(document.nodes.size());
  document.nodes.push_back(flat);
  if (const auto *table = node.as_table()) {
    for (const auto &[child_key, child] : *table) flatten(document, child, index, &child_key);
  } else if (const auto *array = node.as_array()) {
    for (const auto &child : *array) flatten(document, child, index, nullptr);
  }
}

void fail(bulkhead_toml_document &document, std::string_view reason) {
  document.nodes.clear();
  document.failed = true;
  document.error = reason;
}

}  // namespace

extern "C" bulkhead_toml_document *bulkhead_toml_parse(const char *text, size_t length) {
  std::unique_ptr<bulkhead_toml_document> document;
  try {
    document = std::make_unique<bulkhead_toml_document>();
    const std::string_view view(text, length);
    if (has_too_many_dots(view)) {
      fail(*document, "more than 1000 dots outside strings and comments: too deeply nested");
      return document.release();
    }
    document->root = toml::parse(view);
    document->nodes.reserve(512);
    flatten(*document, document->root, -1, nullptr);
    return document.release();
  } catch (const std::bad_alloc &) {
    return nullptr;
  } catch (const toml::parse_error &error) {
    try {
      fail(*document, error.description());
      document->error_region = region_of(error.source());
      return document.release();
    } catch (...) {
      return nullptr;
    }
  } catch (const std::exception &error) {
    try {
      if (document != nullptr) fail(*document, error.what());
      return document.release();
    } catch (...) {
      return nullptr;
    }
  } catch (...) {
    return nullptr;
  }
}

extern "C" void bulkhead_toml_free(bulkhead_toml_document *document) { delete document; }

extern "C" const char *bulkhead_toml_error(const bulkhead_toml_document *document) {
  return document->failed ? document->error.c_str() : nullptr;
}

extern "C" bulkhead_toml_region bulkhead_toml_error_region(const bulkhead_toml_document *document) {
  return document->error_region;
}

extern "C" size_t bulkhead_toml_node_count(const bulkhead_toml_document *document) {
  return document->nodes.size();
}

extern "C" const bulkhead_toml_node *bulkhead_toml_nodes(const bulkhead_toml_document *document) {
  return document->nodes.data();
}
