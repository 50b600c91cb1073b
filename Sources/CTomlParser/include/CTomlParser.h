#ifndef BULKHEAD_CTOMLPARSER_H
#define BULKHEAD_CTOMLPARSER_H
int bulkhead_toml_placeholder(void);
#endif
