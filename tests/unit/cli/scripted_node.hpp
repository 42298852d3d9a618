// A listener that gives one connection after another the next of its scripted answers.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <thread>
#include <vector>

struct scripted_node {
    int fd;
    std::string address;
    std::vector<std::string> requests;
    std::thread thread;

    explicit scripted_node(std::vector<std::string> answers) {
        fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a);
        ::listen(fd, 16);
        socklen_t n = sizeof a;
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &n);
        address = "127.0.0.1:" + std::to_string(ntohs(a.sin_port));
        thread = std::thread([this, answers = std::move(answers)] {
            for (const auto& answer : answers)
                serve_one(answer);
        });
    }
    ~scripted_node() { finish(); }
    // The requests that came, once all answers are given. A missing one is unblocked.
    void finish() {
        if (!thread.joinable()) return;
        ::shutdown(fd, SHUT_RDWR);
        thread.join();
        ::close(fd);
    }

 private:
    void serve_one(const std::string& answer) {
        const int c = ::accept(fd, nullptr, nullptr);
        if (c < 0) return;
        std::string request;
        char byte;
        while (request.find("\r\n\r\n") == std::string::npos && ::recv(c, &byte, 1, 0) == 1)
            request += byte;
        // What is not read would be answered with a reset.
        constexpr std::string_view length = "Content-Length: ";
        const auto at = request.find(length);
        for (auto left = at == request.npos ? 0 : std::stoul(request.substr(at + length.size())); left > 0 && ::recv(c, &byte, 1, 0) == 1; --left)
            request += byte;
        requests.push_back(request);
        for (const char b : answer) {
            if (::send(c, &b, 1, MSG_NOSIGNAL) != 1)
                break;  // byte by byte: the client must assemble
        }
        ::close(c);
    }
};

inline std::string http_answer(unsigned status, const std::string& body) {
    return "HTTP/1.1 " + std::to_string(status) +
           " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
