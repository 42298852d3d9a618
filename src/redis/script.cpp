#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <gatehouse/base/text.hpp>
#include <gatehouse/redis/script.hpp>
#include <utility>
#include <vector>

namespace gatehouse::redis {

using clock = std::chrono::steady_clock;

namespace {

std::string sha1_of(std::string_view s) {
    std::array<char, 20> digest{};
    unsigned n = 0;
    ::EVP_Digest(s.data(), s.size(), reinterpret_cast<unsigned char*>(digest.data()), &n,
                 ::EVP_sha1(), nullptr);
    return hex({digest.data(), digest.size()});
}

// What EVAL needs once more, when EVALSHA was in vain.
struct call {
    std::shared_ptr<const std::string> source;
    std::vector<std::string> rest;  // number of keys, keys, arguments
    clock::time_point end;

    void send(client& c, std::string_view verb, std::string_view which,
              client::callback done) const {
        std::vector<std::string_view> parts{verb, which};
        parts.insert(parts.end(), rest.begin(), rest.end());
        const auto left = std::chrono::ceil<milliseconds>(end - clock::now());
        if (left.count() <= 0) return done(error_code(errc::timeout));
        c.send(parts, left, std::move(done));
    }
};

}  // namespace

script::script(std::string source)
    : source_(std::make_shared<const std::string>(std::move(source))), sha1_(sha1_of(*source_)) {}

void script::run(client& c, command keys, command arguments, milliseconds deadline,
                 client::callback done) const {
    const auto job = std::make_shared<call>();
    job->source = source_;
    job->end = clock::now() + std::max(deadline, milliseconds{1});
    job->rest.push_back(std::to_string(keys.size()));
    job->rest.insert(job->rest.end(), keys.begin(), keys.end());
    job->rest.insert(job->rest.end(), arguments.begin(), arguments.end());
    // The client calls this back itself, or for the last time while it goes: then never NOSCRIPT.
    job->send(c, "EVALSHA", sha1_, [&c, job, done = std::move(done)](result<reply> r) mutable {
        if (r && r->is_error() && r->text.starts_with("NOSCRIPT"))
            job->send(c, "EVAL", *job->source, std::move(done));
        else
            done(std::move(r));
    });
}

}  // namespace gatehouse::redis
