// A folder of a test's own, removed with it.
#pragma once

#include <unistd.h>
#include <filesystem>
#include <string>

namespace gatehouse::test {

class temp_folder {
 public:
    temp_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "gatehouse-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~temp_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    temp_folder(const temp_folder&) = delete;
    temp_folder& operator=(const temp_folder&) = delete;
    const std::string& path() const { return path_; }
    std::string operator/(const std::string& name) const { return path_ + '/' + name; }

 private:
    std::string path_;
};

}  // namespace gatehouse::test
