// What the log lets through.
#include <catch2/catch.hpp>
#include <gatehouse/base/log.hpp>

using namespace gatehouse;

TEST_CASE("a message stays one line") {
    using namespace std::string_literals;
    CHECK(log::one_line("plain text, h\xc3\xa4user") == "plain text, h\xc3\xa4user");
    CHECK(log::one_line("a\nb\r\tc") == "a\\nb\\x0d\\x09c");
    CHECK(log::one_line("\x1b[31m\x7f\0"s) == "\\x1b[31m\\x7f\\x00");
    CHECK(log::one_line("\xc2\x9b"
                        "31m") == "\\xc2\\x9b31m");
    CHECK(log::one_line("\xc2") == "\xc2");
    CHECK(log::one_line("") == "");
}

TEST_CASE("levels") {
    log::set_level(log::level::warn);
    CHECK_FALSE(log::enabled(log::level::debug));
    CHECK_FALSE(log::enabled(log::level::info));
    CHECK(log::enabled(log::level::warn));
    CHECK(log::enabled(log::level::error));
    log::set_level(log::level::info);
    CHECK(log::enabled(log::level::info));
}

TEST_CASE("a limiter counts what it swallows") {
    log::limiter l(3);
    std::uint64_t suppressed = 0;
    int allowed = 0;
    for (int i = 0; i < 1000; ++i)
        allowed += l.allow(&suppressed) ? 1 : 0;
    CHECK(allowed >= 3);
    CHECK(allowed <= 6);  // the second may turn once meanwhile
    log::limiter none(0);
    CHECK_FALSE(none.allow(&suppressed));
}
