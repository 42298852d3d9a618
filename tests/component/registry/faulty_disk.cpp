#include "faulty_disk.hpp"

#include <sqlite3.h>

#include <atomic>
#include <cstdlib>

namespace gatehouse::test::faulty_disk {
namespace {

std::atomic<bool> armed{false};
std::atomic<std::size_t> count{0};
plan now;

// SQLITE_OK: it goes through.
int strike(operation what) {
    if (!armed || what != now.what) return SQLITE_OK;
    const auto number = count++;
    return number == now.at || (now.and_all_after && number > now.at) ? now.code : SQLITE_OK;
}

// What stands before the system's own file in the memory SQLite gives for both.
struct file {
    sqlite3_file base;
    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
    static file& of(sqlite3_file* f) { return *reinterpret_cast<file*>(f); }
};

const sqlite3_io_methods* real(sqlite3_file* f) { return file::of(f).real()->pMethods; }

const sqlite3_io_methods methods{
    .iVersion = 2,   // no memory maps: reads are calls
    .xClose = [](sqlite3_file* f) { return real(f)->xClose(file::of(f).real()); },
    .xRead = [](sqlite3_file* f, void* to, int bytes, sqlite3_int64 at) {
        const int code = strike(operation::read);
        return code != SQLITE_OK ? code : real(f)->xRead(file::of(f).real(), to, bytes, at);
    },
    .xWrite = [](sqlite3_file* f, const void* from, int bytes, sqlite3_int64 at) {
        const int code = strike(operation::write);
        return code != SQLITE_OK ? code : real(f)->xWrite(file::of(f).real(), from, bytes, at);
    },
    .xTruncate = [](sqlite3_file* f, sqlite3_int64 bytes) { return real(f)->xTruncate(file::of(f).real(), bytes); },
    .xSync = [](sqlite3_file* f, int flags) {
        const int code = strike(operation::sync);
        return code != SQLITE_OK || armed ? code : real(f)->xSync(file::of(f).real(), flags);
    },
    .xFileSize = [](sqlite3_file* f, sqlite3_int64* bytes) { return real(f)->xFileSize(file::of(f).real(), bytes); },
    .xLock = [](sqlite3_file* f, int level) { return real(f)->xLock(file::of(f).real(), level); },
    .xUnlock = [](sqlite3_file* f, int level) { return real(f)->xUnlock(file::of(f).real(), level); },
    .xCheckReservedLock = [](sqlite3_file* f, int* out) { return real(f)->xCheckReservedLock(file::of(f).real(), out); },
    .xFileControl = [](sqlite3_file* f, int what, void* with) { return real(f)->xFileControl(file::of(f).real(), what, with); },
    .xSectorSize = [](sqlite3_file* f) { return real(f)->xSectorSize(file::of(f).real()); },
    .xDeviceCharacteristics = [](sqlite3_file* f) { return real(f)->xDeviceCharacteristics(file::of(f).real()); },
    .xShmMap = [](sqlite3_file* f, int page, int bytes, int extend, void volatile** out) {
        return real(f)->xShmMap(file::of(f).real(), page, bytes, extend, out);
    },
    .xShmLock = [](sqlite3_file* f, int at, int n, int flags) { return real(f)->xShmLock(file::of(f).real(), at, n, flags); },
    .xShmBarrier = [](sqlite3_file* f) { real(f)->xShmBarrier(file::of(f).real()); },
    .xShmUnmap = [](sqlite3_file* f, int gone) { return real(f)->xShmUnmap(file::of(f).real(), gone); },
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

sqlite3_vfs* system_vfs = nullptr;

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* f, int flags, int* given) {
    f->pMethods = nullptr;   // else SQLite closes it
    if (const int code = strike(operation::open); code != SQLITE_OK) return code;
    const int code = system_vfs->xOpen(system_vfs, name, file::of(f).real(), flags, given);
    if (code == SQLITE_OK) f->pMethods = &methods;
    return code;
}

// Before main(): a connection takes the VFS that is the default when it is opened.
const bool registered = [] {
    system_vfs = sqlite3_vfs_find(nullptr);
    static sqlite3_vfs front = *system_vfs;   // all but files is the system's
    front.pNext = nullptr;
    front.zName = "faulty-disk";
    front.szOsFile = static_cast<int>(sizeof(file)) + system_vfs->szOsFile;
    front.xOpen = open_file;
    if (sqlite3_vfs_register(&front, 1) != SQLITE_OK) std::abort();
    return true;
}();

}  // namespace

void arm(const plan& p) {
    now = p;
    count = 0;
    armed = registered;
}

std::size_t disarm() {
    armed = false;
    return count;
}

}  // namespace gatehouse::test::faulty_disk
