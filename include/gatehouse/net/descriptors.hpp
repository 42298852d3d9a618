// Which descriptors traffic may use. The kernel gives the lowest that is free, so one from the top of
// the range says that nearly all are used: those stay for what must go on, as the admin address,
// certificates and health checks. The process's, as RLIMIT_NOFILE is. Any thread.
#pragma once

namespace gatehouse::net {

enum class descriptor_use : unsigned char { traffic, anything };

// Traffic may use those below `bound`; 0: all.
void set_traffic_descriptors(int bound) noexcept;
// Whether `fd`, which was just opened, lies above; then traffic must close it.
bool is_reserved(int fd) noexcept;

}  // namespace gatehouse::net
