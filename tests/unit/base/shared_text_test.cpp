// Texts that copies share.
#include <atomic>
#include <catch2/catch.hpp>
#include <gatehouse/base/shared_text.hpp>
#include <set>
#include <thread>
#include <vector>

using gatehouse::shared_text;

TEST_CASE("a shared text is its text, and its copies are the same block") {
    CHECK(shared_text().empty());
    CHECK(shared_text("") == shared_text());
    CHECK(shared_text().view().data() == shared_text("").view().data());
    const shared_text a("a text to keep");
    const shared_text copy = a;
    CHECK(copy.view().data() == a.view().data());
    CHECK(copy == a);
    CHECK(a == shared_text(a.view()));
    CHECK(a.size() == a.view().size());
    CHECK(fmt::format("<{}>", shared_text("x")) == "<x>");
    const std::string s = shared_text("b");
    CHECK(s == "b");
    CHECK(shared_text("b") == s);
    CHECK(shared_text("a") < shared_text("b"));
    CHECK(std::string_view("a") < shared_text("b"));
    shared_text assigned = a;
    assigned = {};
    CHECK(assigned.empty());
    CHECK(a == "a text to keep");
}

TEST_CASE("copies of a shared text come and go on several threads") {
    const shared_text text("shared by all of them");
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([text, &right] {
            std::multiset<shared_text> kept;
            for (int n = 0; n < 2000; ++n) {
                kept.insert(text);
                if (n % 3 == 0) kept.erase(kept.begin());
            }
            if (*kept.begin() == text) ++right;
        });
    for (auto& t : threads)
        t.join();
    CHECK(right == 4);
    CHECK(text == "shared by all of them");
}
