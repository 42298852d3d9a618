// Certificates that come by the API: into certs_dir, as if an operator had put them there.
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <gatehouse/base/error.hpp>
#include <gatehouse/base/file.hpp>
#include <gatehouse/tls/certificates.hpp>
#include <utility>

#include "certificate_file.hpp"

namespace gatehouse::tls {
namespace {

std::string text_of(int number) {
    return error_code(number, boost::system::system_category()).message();
}

certificate_change refuse(std::string why) { return {.refused = true, .why = std::move(why)}; }

}  // namespace

certificate_change put_certificate(const std::string& certs_dir, const std::string& name, std::string_view pem) {
    const std::string file = file_of(name);
    if (pattern_of(file) != name) return refuse(fmt::format("{} is no host name that a certificate can be for", name));
    if (pem.size() > most_certificate_bytes) return refuse(fmt::format("it has more than {} bytes", most_certificate_bytes));
    std::string error;
    const auto c = parse_certificate(pem, error);
    if (!c) return refuse(error);
    if (auto wrong = name_error(*c, name); !wrong.empty()) return refuse(wrong);
    if (c->not_after <= std::time(nullptr)) return refuse("it is over: have it renewed");
    const auto why = write_whole(certs_dir + '/' + file, pem);
    if (why.empty()) return {};
    return {.refused = false, .why = fmt::format("{} cannot be written: {}", file, why)};
}

bool has_certificate(const std::string& certs_dir, const std::string& host) {
    const auto there = [&certs_dir](const std::string& name) { return ::access((certs_dir + '/' + file_of(name)).c_str(), R_OK) == 0; };
    if (there(host)) return true;
    const auto dot = host.find('.');
    return !host.starts_with('*') && dot != host.npos && there('*' + host.substr(dot));
}

certificate_change remove_certificate(const std::string& certs_dir, const std::string& name) {
    const std::string file = file_of(name);
    if (pattern_of(file) != name) return refuse(fmt::format("{} is no host name that a certificate can be for", name));
    if (::unlink((certs_dir + '/' + file).c_str()) == 0) return {};
    if (errno == ENOENT) return refuse(fmt::format("there is no certificate of {}'s own", name));
    return {.refused = false, .why = fmt::format("{} cannot be removed: {}", file, text_of(errno))};
}

}  // namespace gatehouse::tls
