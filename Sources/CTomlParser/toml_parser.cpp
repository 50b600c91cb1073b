extern "C" int bulkhead_toml_placeholder(void) { return 0; }
