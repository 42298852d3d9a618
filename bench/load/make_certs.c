/* Certificates for many hosts, each with a key of its own: FOLDER/www.customer-N.example.pem for N
   from 0 to COUNT - 1 in six digits; chain and key in one file, P-256, self-signed, for a year.
   Files that are there stay as they are.

   make_certs FOLDER COUNT THREADS */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char* folder;
static long count;
static atomic_long next;

static void must(int fine) {
    if (fine) return;
    ERR_print_errors_fp(stderr);
    perror("make_certs");
    exit(1);
}

static X509* certificate(EVP_PKEY* key, const char* host, long serial) {
    char names[128];
    snprintf(names, sizeof names, "DNS:%s", host);
    X509* c = X509_new();
    must(c && X509_set_version(c, X509_VERSION_3));
    must(ASN1_INTEGER_set(X509_get_serialNumber(c), serial + 1));
    must(X509_gmtime_adj(X509_getm_notBefore(c), -86400) != NULL);
    must(X509_gmtime_adj(X509_getm_notAfter(c), 365L * 86400) != NULL);
    X509_NAME* name = X509_get_subject_name(c);
    const unsigned char* text = (const unsigned char*)host;
    must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0));
    must(X509_set_issuer_name(c, name) && X509_set_pubkey(c, key));
    X509_EXTENSION* e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    must(e && X509_add_ext(c, e, -1));
    X509_EXTENSION_free(e);
    must(X509_sign(c, key, EVP_sha256()) > 0);
    return c;
}

static void make(long n) {
    char host[64], path[4096];
    snprintf(host, sizeof host, "www.customer-%06ld.example", n);
    snprintf(path, sizeof path, "%s/%s.pem", folder, host);
    if (access(path, F_OK) == 0) return;
    EVP_PKEY* key = EVP_EC_gen("P-256");
    must(key != NULL);
    X509* c = certificate(key, host, n);
    FILE* f = fopen(path, "w");
    must(f && PEM_write_X509(f, c));
    must(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
    must(fclose(f) == 0);
    X509_free(c);
    EVP_PKEY_free(key);
}

static void* work(void* unused) {
    (void)unused;
    for (long n; (n = atomic_fetch_add(&next, 1)) < count;)
        make(n);
    return NULL;
}

int main(int argc, char** argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: make_certs FOLDER COUNT THREADS\n");
        return 2;
    }
    folder = argv[1];
    count = atol(argv[2]);
    const int threads = atoi(argv[3]) < 64 ? atoi(argv[3]) : 64;
    pthread_t ids[64];
    for (int i = 0; i < threads; i++)
        must(pthread_create(&ids[i], NULL, work, NULL) == 0);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return 0;
}
