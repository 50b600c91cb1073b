#include <sys/types.h>
#include <sys/select.h>
#include <libwebsockets.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

/* What is wrong with a certificate chain and a key (PEM files); NULL when they can be used together. */
static inline const char *bulkhead_tls_problem(const char *chain, const char *key) {
  const char *problem = 0;
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  if (!context) return "no memory for a TLS context";
  if (SSL_CTX_use_certificate_chain_file(context, chain) != 1) problem = "the certificate cannot be read";
  else if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
    problem = "the key cannot be read, or is not the certificate's";
  else if (SSL_CTX_check_private_key(context) != 1) problem = "the key is not the certificate's";
  SSL_CTX_free(context);
  ERR_clear_error();
  return problem;
}
