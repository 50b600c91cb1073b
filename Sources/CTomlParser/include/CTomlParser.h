#ifndef BULKHEAD_CTOMLPARSER_H
#define BULKHEAD_CTOMLPARSER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A C view of toml++: one flat array of nodes, parents before their children. No exception
// leaves this library. Lines and columns count from 1; columns count Unicode scalars; an end
// is one past the last column.

typedef struct {
  uint32_t line;
  uint32_t column;
  uint32_t end_line;
  uint32_t end_column;
} bulkhead_toml_region;

typedef enum {
  BULKHEAD_TOML_TABLE = 1,
  BULKHEAD_TOML_ARRAY = 2,
  BULKHEAD_TOML_STRING = 3,
  BULKHEAD_TOML_INTEGER = 4,
  BULKHEAD_TOML_FLOAT = 5,
  BULKHEAD_TOML_BOOLEAN = 6,
  BULKHEAD_TOML_TIME = 7,  // a date, a time or both
} bulkhead_toml_kind;

typedef struct {
  int32_t parent;  // index of the table or array that holds this node; -1 for the root
  uint32_t kind;   // bulkhead_toml_kind
  const char *key;  // UTF-8, not terminated; NULL for the root and for elements of an array
  size_t key_length;
  bulkhead_toml_region key_region;
  bulkhead_toml_region value_region;
  const char *text;  // of a string: UTF-8, not terminated
  size_t text_length;
  int64_t integer;  // of an integer; 0 or 1 of a boolean
} bulkhead_toml_node;

typedef struct bulkhead_toml_document bulkhead_toml_document;

// Parses `length` bytes of UTF-8. NULL only when memory is exhausted. Everything the document
// points to lives until bulkhead_toml_free.
bulkhead_toml_document *bulkhead_toml_parse(const char *text, size_t length);
void bulkhead_toml_free(bulkhead_toml_document *document);

// NULL when the text is valid TOML; else what is wrong with it, and where.
const char *bulkhead_toml_error(const bulkhead_toml_document *document);
bulkhead_toml_region bulkhead_toml_error_region(const bulkhead_toml_document *document);

// Node 0 is the root table. No nodes when there is an error.
size_t bulkhead_toml_node_count(const bulkhead_toml_document *document);
const bulkhead_toml_node *bulkhead_toml_nodes(const bulkhead_toml_document *document);

#ifdef __cplusplus
}
#endif
#endif
