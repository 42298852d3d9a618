// A folder for the length of a test.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

struct temporary_folder {
    std::filesystem::path path;
    temporary_folder() {
        auto pattern = (std::filesystem::temp_directory_path() / "gatehouse-admin-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }
    ~temporary_folder() { std::filesystem::remove_all(path); }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    std::string file(const std::string& name) const { return (path / name).string(); }
};
