// SQLite's files on a disk that fails on demand: a VFS in front of the system's own, the default one of a program that has
// faulty_disk.cpp linked in. Any thread; armed and asked by one.
#pragma once

#include <cstddef>

namespace gatehouse::test::faulty_disk {

enum class operation { read, write, sync, open };

// Operations of that kind are counted from 0.
struct plan {
    operation what = operation::write;
    int code = 0;  // SQLITE_IOERR_WRITE, SQLITE_FULL, ...
    std::size_t at = 0;
    bool and_all_after = false;
};

void arm(const plan& p);    // counts anew. Until disarm() nothing is flushed: that takes time, and shows nothing
std::size_t disarm();       // how many were counted

}  // namespace gatehouse::test::faulty_disk
