#include "der_time.hpp"

#include <openssl/err.h>

#include <ctime>
#include <memory>

#include "openssl_ptr.hpp"

namespace gatehouse::tls {
namespace {

class der_reader {
 public:
    explicit der_reader(std::span<const unsigned char> der)
        : at_(der.data()), end_(at_ + der.size()) {}

    // Into the next element, a SEQUENCE.
    bool enter() {
        int tag = 0;
        long size = 0;
        if (!begin(tag, size) || tag != V_ASN1_SEQUENCE) return false;
        end_ = at_ + size;
        return true;
    }
    bool skip() {
        int tag = 0;
        long size = 0;
        if (!begin(tag, size)) return false;
        at_ += size;
        return true;
    }
    bool next_is(unsigned char first) const { return at_ != end_ && *at_ == first; }
    ASN1_TIME* time() { return d2i_ASN1_TIME(nullptr, &at_, end_ - at_); }

 private:
    bool begin(int& tag, long& size) {
        constexpr int failed = 0x80, indefinite = 0x01;
        int family = 0;
        if (at_ == end_) return false;
        return (ASN1_get_object(&at_, &size, &tag, &family, end_ - at_) & (failed | indefinite)) ==
               0;
    }
    const unsigned char *at_, *end_;
};

}  // namespace

std::int64_t unix_seconds(const ASN1_TIME* t) {
    std::tm utc{};
    if (t == nullptr || ASN1_TIME_to_tm(t, &utc) != 1) return 0;
    return static_cast<std::int64_t>(timegm(&utc));
}

std::int64_t not_after_in(std::span<const unsigned char> der) {
    constexpr unsigned char version = 0xa0;
    der_reader r(der);
    bool good = r.enter() && r.enter();  // Certificate, TBSCertificate
    if (good && r.next_is(version)) good = r.skip();
    good = good && r.skip() && r.skip() && r.skip();  // serialNumber, signature, issuer
    good = good && r.enter() && r.skip();             // Validity, notBefore
    const std::unique_ptr<ASN1_TIME, openssl_free<ASN1_TIME_free>> end(good ? r.time() : nullptr);
    ERR_clear_error();
    return unix_seconds(end.get());
}

}  // namespace gatehouse::tls
